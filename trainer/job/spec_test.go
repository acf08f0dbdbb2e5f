package job

import (
	"fmt"
	"testing"
)

func TestParamsTakeNumbersAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]any{
		".5": .5, "-.5": -.5, "+3": 3., "2.": 2., "1e-3": 1e-3, ".5e2": 50., "007": 7.,
		"fuse": "fuse", "true": true, "[1,2]": []any{1., 2.}, "0x10": "0x10", ".": ".", "NaN": "NaN", "1.2.3": "1.2.3",
	} {
		if got := valueOf(text); fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("%q: got %T %v, want %T %v", text, got, got, want, want)
		}
	}
}
