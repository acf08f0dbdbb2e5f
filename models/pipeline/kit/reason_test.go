package kit_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// TestReasonsAreTrue takes the evidence of every reason out of the history, the
// cart or the page and asks the model again: the item's score falls, or its
// source no longer proposes it.
func TestReasonsAreTrue(t *testing.T) {
	cat := shelf(t, nil)
	env := environment(t, nil)
	rng := rand.New(rand.NewPCG(4, 4))
	checked := map[pipeline.ReasonKind]int{}
	for i := range 400 {
		surface := []string{features.SurfaceHome, features.SurfaceItem, features.SurfaceCart}[i%3]
		var rows []features.Row
		for range rng.IntN(6) {
			rows = append(rows, features.Row(rng.IntN(shelfItems)))
		}
		r := request(cat, known(rows...))
		r.Surface, r.Market, r.Limit = surface, []string{"DE", "FR"}[rng.IntN(2)], 10
		switch surface {
		case features.SurfaceItem:
			r.Item = features.Row(rng.IntN(shelfItems))
		case features.SurfaceCart:
			for range 1 + rng.IntN(4) {
				r.Cart = append(r.Cart, features.Row(rng.IntN(shelfItems)))
			}
		}
		rec := recipe(t, surface)
		for _, it := range answer(t, build(t, rec, env, pipeline.Options{}), r).Items {
			why := it.Reason
			checked[why.Kind]++
			if why.Kind == "" {
				continue
			}
			if !(why.Contribution > 0) {
				t.Fatalf("request %d, item %d: got contribution %v, want above 0", i, it.Row, why.Contribution)
			}
			switch why.Kind {
			case pipeline.BecauseOf:
				if !slices.ContainsFunc(r.Shopper.Recent, func(x features.Interaction) bool { return x.Row == why.Item && x.Type == why.Type }) {
					t.Fatalf("request %d, item %d: %s of %d is not in the history", i, it.Row, why.Type, why.Item)
				}
				without := *r.Shopper
				without.Recent = slices.DeleteFunc(slices.Clone(without.Recent), func(x features.Interaction) bool { return x.Row == why.Item })
				m := env.Models[pipeline.ModelFactors]
				if before, after := scoreOf(m, r, r.Shopper, it.Row), scoreOf(m, r, &without, it.Row); after >= before {
					t.Fatalf("request %d, item %d: score is %v with the evidence and %v without", i, it.Row, before, after)
				}
			case pipeline.BoughtWith:
				if !slices.Contains(r.Cart, why.Item) {
					t.Fatalf("request %d, item %d: %d is not in the cart", i, it.Row, why.Item)
				}
			case pipeline.SimilarTo:
				if why.Item != r.Item {
					t.Fatalf("request %d, item %d: similar to %d, which is not on the page", i, it.Row, why.Item)
				}
			case pipeline.PopularIn:
				if why.Name != r.Market || r.Market != "FR" {
					t.Fatalf("request %d, item %d: popular in %q, the market is %q and only FR has an order of its own", i, it.Row, why.Name, r.Market)
				}
			}
		}
	}
	for _, kind := range []pipeline.ReasonKind{pipeline.BecauseOf, pipeline.BoughtWith, pipeline.SimilarTo, pipeline.PopularIn, pipeline.Popular} {
		if checked[kind] == 0 {
			t.Errorf("no reason of kind %s was checked: got %v", kind, checked)
		}
	}
}

func scoreOf(m models.Model, r *features.Request, s *features.Shopper, row features.Row) float32 {
	again := *r
	again.Shopper, again.Scratch = s, new(features.Scratch)
	out := []float32{0}
	m.Score(&again, []features.Row{row}, out)
	if out[0] != out[0] {
		return -1e30 // nothing known: below all
	}
	return out[0]
}
