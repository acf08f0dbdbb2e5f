package vector

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Of the half that a query wants least the exact index finds the best whatever the lengths: alike, spread as
// those of trained rows, or so that few are longer than all others together and no bar can be guessed.
func TestExactFarthestHalf(t *testing.T) {
	const n, dim, k = 6000, 16, 50
	for name, length := range map[string]func(*rand.Rand) float64{
		"alike":  func(*rand.Rand) float64 { return 1 },
		"spread": func(r *rand.Rand) float64 { return math.Exp(.4 * r.NormFloat64()) },
		"few":    func(r *rand.Rand) float64 { return math.Pow(r.Float64()+1e-6, -2) },
	} {
		rng := rand.New(rand.NewPCG(8, 8))
		vecs := make([]float32, n*dim)
		for i := range n {
			long := length(rng)
			for j := range dim {
				vecs[i*dim+j] = float32(long * rng.NormFloat64())
			}
		}
		x, err := NewExact(vecs, dim, 2)
		if err != nil {
			t.Fatal(err)
		}
		scores := make([]float32, n)
		for trial := range 10 {
			q := make([]float32, dim)
			for j := range q {
				q[j] = float32(rng.NormFloat64())
			}
			allow := features.NewBitmap(n)
			var top linalg.TopK
			top.Reset(k)
			for i := range scores {
				if scores[i] = linalg.Dot(q, vecs[i*dim:][:dim]); scores[i] < 0 {
					allow.Set(features.Row(i))
					top.Push(int32(i), scores[i])
				}
			}
			got, err := x.Search(context.Background(), q, k, models.Where{Allow: allow}, nil)
			want := top.Sorted(nil)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s, query %d: got %d hits, %v, want %d", name, trial, len(got), err, len(want))
			}
			for i, c := range want {
				if got[i].Row != features.Row(c.Index) {
					t.Errorf("%s, query %d, hit %d: got row %d, want %d", name, trial, i, got[i].Row, c.Index)
				}
			}
		}
	}
}
