package kind

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

func TestKindsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range All() {
		if k.Name == "" || seen[k.Name] {
			t.Errorf("kind %q: the name is empty or not unique", k.Name)
		}
		seen[k.Name] = true
		if k.Summary == "" || k.Fit == nil || k.Open == nil || k.Defaults == nil {
			t.Errorf("kind %q lacks a summary, defaults, Fit or Open", k.Name)
		}
		raw, err := json.Marshal(k.Defaults)
		if err != nil {
			t.Errorf("kind %q: defaults: %v", k.Name, err)
		}
		var params map[string]any
		if err := json.Unmarshal(raw, &params); err != nil {
			t.Errorf("kind %q: defaults are not an object: %v", k.Name, err)
		}
		for _, r := range k.Space {
			if _, ok := params[r.Param]; !ok {
				t.Errorf("kind %q: its space varies %q, which is no parameter", k.Name, r.Param)
			}
		}
		if k.Parts != nil {
			for _, part := range k.Parts(&dataset.Dataset{}) {
				if of, err := Of(part); err != nil || of.Parts != nil {
					t.Errorf("kind %q: part %q is no simple kind: %v", k.Name, part, err)
				}
			}
		}
		got, err := Of(k.Name)
		if err != nil || got.Name != k.Name {
			t.Errorf("Of(%q): got %q, %v", k.Name, got.Name, err)
		}
	}
	if _, err := Of("no-such-kind"); !errors.Is(err, models.ErrKind) {
		t.Errorf("got %v, want ErrKind", err)
	}
}
