package knn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/modeltest"
)

const onShelf = 20

// shelves is so many copies of one shelf, whose twenty shoppers buy twelve of
// its twenty items each and nothing else.
func shelves(n int) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(5, 6))
	var bought [onShelf][]int
	for u := range bought {
		bought[u] = rng.Perm(onShelf)[:12]
	}
	var b dataset.Builder
	for s := range n {
		for i := range onShelf {
			b.Item(fmt.Sprint(s, "/", i))
		}
	}
	for s := range n {
		for u, items := range bought {
			for _, i := range items {
				b.Add(fmt.Sprint(s, "/", u), fmt.Sprint(s, "/", i), "", features.Interaction{Type: features.Purchase, TimeMS: 1, Quantity: 1})
			}
		}
	}
	return b.Build()
}

// TestCatalogueTooLargeForEASE has more items than the exact regression takes
// by itself: it says so and names the sparse one, which gives on each of two
// thousand shelves what the exact one gives on one.
func TestCatalogueTooLargeForEASE(t *testing.T) {
	const copies = 2000
	d := shelves(copies)
	_, err := knn.EASE().Fit(context.Background(), models.FitInput{Train: d})
	if !errors.Is(err, models.ErrParams) || !strings.Contains(err.Error(), knn.KindSLIM) {
		t.Fatalf("ease on %d items: got %v, want ErrParams that names %s", d.NumItems(), err, knn.KindSLIM)
	}
	params := json.RawMessage(`{"ridge": 0.5, "sweeps": 1000}`)
	sparse, err := knn.SLIM().Fit(context.Background(), models.FitInput{Train: d, Params: params, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	one := shelves(1)
	exact, err := knn.EASE().Fit(context.Background(), models.FitInput{Train: one, Params: json.RawMessage(`{"ridge": 0.5}`)})
	if err != nil {
		t.Fatal(err)
	}
	votes := func(m models.Model, d *dataset.Dataset, shelf, item int) []float32 {
		rows, out := make([]features.Row, onShelf), make([]float32, onShelf)
		for i := range rows {
			rows[i] = features.Row(shelf*onShelf + i)
		}
		r := modeltest.Request(d, 0)
		r.Shopper = &features.Shopper{Consent: features.AllPurposes, Recent: []features.Interaction{{Row: rows[item], Type: features.Purchase, TimeMS: 1, Quantity: 1}}}
		m.Score(r, rows, out)
		return out
	}
	for item := range onShelf {
		want, largest := votes(exact, one, 0, item), 0.
		for _, v := range want {
			largest = max(largest, math.Abs(float64(v)))
		}
		for _, shelf := range []int{0, copies / 2, copies - 1} {
			got := votes(sparse, d, shelf, item)
			for j, v := range got {
				if j != item && math.Abs(float64(v-want[j])) > 5e-3*largest {
					t.Fatalf("shelf %d, what item %d says for %d: got %v, want %v", shelf, item, j, v, want[j])
				}
			}
		}
	}
}
