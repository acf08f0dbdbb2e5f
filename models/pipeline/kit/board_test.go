package kit_test

import (
	"context"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/vector"
)

// TestBoardThroughTheRealModels trains the models of a release on the
// checkerboard and asks the default home page: what user u has not bought of
// its own colour is item u alone, so it must come first, and be explained.
func TestBoardThroughTheRealModels(t *testing.T) {
	d := modeltest.Board(50, nil)
	env := pipeline.Env{Models: map[string]models.Model{}, Indexes: map[string]models.Index{}}
	for name, k := range map[string]string{
		pipeline.ModelFactors: "ials", pipeline.ModelItems: "item-cf", pipeline.ModelContent: "content", pipeline.ModelPopular: "popular",
	} {
		fitter, err := kind.Of(k)
		if err != nil {
			t.Fatal(err)
		}
		m, err := fitter.Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Workers: 1})
		if err != nil {
			t.Fatalf("fit %s: %v", k, err)
		}
		env.Models[name] = m
		if e, ok := m.(models.Embedder); ok {
			x, err := vector.NewExact(e.Vectors(), e.Dim(), 1)
			if err != nil {
				t.Fatal(err)
			}
			env.Indexes[name] = x
		}
	}
	p := build(t, recipe(t, features.SurfaceHome), env, pipeline.Options{})
	for u := range d.Users {
		r := modeltest.Request(d, u)
		r.Now = time.UnixMilli(d.LastTimeMS()).UTC()
		ans := answer(t, p, r)
		if len(ans.Degraded) > 0 || len(ans.Items) == 0 {
			t.Fatalf("user %d: got %+v", u, ans)
		}
		first := ans.Items[0]
		if first.Row != features.Row(u) {
			t.Errorf("user %d: got item %d first, want %d", u, first.Row, u)
		}
		if w := first.Reason; w.Kind != pipeline.BecauseOf || int(w.Item)%2 != u%2 || w.Type != features.Purchase {
			t.Errorf("user %d: got reason %+v, want a purchase of its own colour", u, w)
		}
		for _, it := range ans.Items {
			if int(it.Row)%2 == u%2 && int(it.Row) != u {
				t.Errorf("user %d: item %d was bought already", u, it.Row)
			}
		}
	}
}
