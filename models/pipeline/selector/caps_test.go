package selector_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/selector"
)

// plain hides what a catalogue knows beyond features.Catalog.
type plain struct{ features.Catalog }

// Counting by codes lets through what counting by texts does.
func TestCapsByCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	name := func(of string, n int) string {
		if k := rng.IntN(n); k > 0 {
			return fmt.Sprint(of, k)
		}
		return ""
	}
	items := make([]features.Item, 900)
	for i := range items {
		items[i] = features.Item{ID: fmt.Sprint(i), Brand: name("b", 40), Seller: name("s", 5), Group: name("g", 300)}
		if c := name("c", 60); c != "" {
			items[i].Category = []string{"all", c}
		}
	}
	all, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	deleted := []catalog.Change{{Item: &items[5], Deleted: true}, {Item: &items[77], Deleted: true}}
	cat := all.Apply(deleted)
	for _, params := range []map[string]any{
		{"group": 1}, {"category": 2}, {"brand": 3, "seller": 40}, {"category": 4, "brand": 5, "seller": 60, "group": 1},
	} {
		caps, err := selector.Build(models.ComponentSpec{Name: "caps", Params: params}, pipeline.Env{})
		if err != nil {
			t.Fatal(err)
		}
		for round := range 20 {
			cs := make([]pipeline.Candidate, 10+rng.IntN(500))
			for i, row := range rng.Perm(len(items))[:len(cs)] {
				cs[i] = pipeline.Candidate{Row: features.Row(row)}
			}
			want := slices.Clone(caps.Select(&features.Request{Catalog: plain{cat}}, slices.Clone(cs)))
			got := caps.Select(&features.Request{Catalog: cat}, cs)
			if !slices.Equal(got, want) {
				t.Fatalf("%v round %d: got %d of them, want %d", params, round, len(got), len(want))
			}
		}
	}
}
