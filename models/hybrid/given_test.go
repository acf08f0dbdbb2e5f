package hybrid_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/release/safetensors"
)

// Contents that the parameters describe are one more part: tried, weighed by
// what it finds, and fitted again from what was chosen.
func TestTriesContentsThatAreGiven(t *testing.T) {
	d := clubs(false)
	items, names := make([]features.Item, d.NumItems()), strings.Join(d.Items, "\n")
	numbers := make([]float32, 2*len(items))
	for row, id := range d.Items {
		items[row] = features.Item{ID: id, Title: "a thing"}
		var n int
		fmt.Sscanf(id, "i%d", &n)
		numbers[2*row+n/20] = 1 // the club, which words do not say
	}
	var err error
	if d.Catalog, err = catalog.Of(items); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	vectors, ids := filepath.Join(dir, "v.safetensors"), filepath.Join(dir, "ids")
	f, err := os.Create(vectors)
	if err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(f, []safetensors.Named{{Name: "v", Tensor: models.TensorOf(numbers, len(items), 2)}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ids, []byte(names), 0o600); err != nil {
		t.Fatal(err)
	}
	params := func(file string) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"content": {"embeddings": {"file": %q, "ids": %q, "weight": 0.9}}}`, file, ids))
	}
	m, err := owner().Fit(context.Background(), models.FitInput{Train: d, Params: params(vectors), Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	own := m.(*hybrid.Model)
	alone := map[string]float64{}
	for _, one := range own.Story().Tried {
		alone[one.Name] = one.NDCG
	}
	if given, words := alone["hybrid.content-given"], alone["hybrid.content"]; !(given > words) {
		t.Errorf("got NDCG %v of contents with vectors and %v of words that say nothing, want the vectors above: %v", given, words, own.Account())
	}
	again(t, d, own)
	for name, bad := range map[string]json.RawMessage{"no file": params("none.safetensors"), "unknown": json.RawMessage(`{"content": {"colour": 1}}`)} {
		if _, err := owner().Fit(context.Background(), models.FitInput{Train: d, Params: bad, Seed: 1, Workers: 2}); err == nil {
			t.Errorf("%s: got no error, want one: the contents were asked for", name)
		}
	}
}
