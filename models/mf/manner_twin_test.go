package mf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/linalg"
)

// A dumb twin of the regression: its objective, lowered one number at a time
// in float64 until nothing moves.
func TestMannersSolveTheirObjective(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var b dataset.Builder
	const users, dim, ridge = 150, 3, 7.
	vectors := linalg.NewMatrix(users, dim)
	all, own := []int{}, []dataset.Manner{}
	for u := range users {
		market := []string{"DE", "FR", "MT"}[min(rng.IntN(5), 2)*rng.IntN(2)]
		b.Add(fmt.Sprint(u), "x", market, features.Interaction{Type: features.View, TimeMS: 1})
		all = append(all, u)
		own = append(own, dataset.Manner{Language: []string{"de", "en", ""}[rng.IntN(3)], Channel: []string{"app", "web"}[rng.IntN(2)], Device: []string{"phone", "tablet"}[rng.IntN(2)]})
		for k := range dim {
			vectors.Row(u)[k] = float32(rng.NormFloat64())
		}
	}
	own[7].Channel = "pigeon" // one alone is not told of
	d := b.Build()
	d.Manners = own
	w := &welcome{markets: []string{"DE"}, vectors: linalg.MatrixOf(1, dim, []float32{.5, -1, 2})}
	m, err := regress(d, w, vectors, all, ridge)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"c:app", "c:web", "d:phone", "d:tablet", "l:de", "l:en"}; !slices.Equal(m.names, want) {
		t.Fatalf("got names %v, want %v", m.names, want)
	}
	for k := range dim {
		mean := 0.
		for u := range users {
			mean += float64(vectors.Row(u)[k]) / users
		}
		x := make([]float64, len(m.names))
		for range 500 {
			for i, name := range m.names {
				sum, n := 0., 0.
				for u := range users {
					has := traits(own[u])
					if !slices.Contains(has, name) {
						continue
					}
					rest := float64(vectors.Row(u)[k]) - mean
					if d.LastMarket(u) == "DE" {
						rest = float64(vectors.Row(u)[k]) - float64(w.vectors.Row(0)[k])
					}
					for j, other := range m.names {
						if j != i && slices.Contains(has, other) {
							rest -= x[j]
						}
					}
					sum, n = sum+rest, n+1
				}
				x[i] = sum / (n + ridge)
			}
		}
		for i := range x {
			if math.Abs(x[i]-float64(m.vectors.Row(i)[k])) > 1e-4 {
				t.Errorf("number %d of %s: got %v, want %v", k, m.names[i], m.vectors.Row(i)[k], x[i])
			}
		}
	}
}
