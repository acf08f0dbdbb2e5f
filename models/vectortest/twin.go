package vectortest

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// Vectors is n rows of dim numbers: clusters of different lengths, so that
// neither all rows nor all directions are alike. The same seed gives the same.
func Vectors(n, dim int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 5))
	centres := make([]float32, 16*dim)
	for i := range centres {
		centres[i] = float32(rng.NormFloat64())
	}
	vecs := make([]float32, n*dim)
	for i := range n {
		c := centres[rng.IntN(16)*dim:][:dim]
		length := float32(math.Exp(rng.NormFloat64() * .5))
		for j := range dim {
			vecs[i*dim+j] = length * (c[j] + float32(rng.NormFloat64())*.7)
		}
	}
	return vecs
}

// twin is the plain scan.
func twin(vecs []float32, dim int, q []float32, k int, w models.Where) []models.Hit {
	var all []models.Hit
	for i := range len(vecs) / dim {
		if !w.Passes(features.Row(i)) {
			continue
		}
		var s float64
		for j := range dim {
			s += float64(q[j]) * float64(vecs[i*dim+j])
		}
		all = append(all, models.Hit{Row: features.Row(i), Score: float32(s)})
	}
	slices.SortStableFunc(all, func(a, b models.Hit) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return int(a.Row) - int(b.Row)
	})
	return all[:max(0, min(k, len(all)))]
}

// check compares hits with the truth: order and scores; it adds what was found to sum. Where
// all must be found, rows may change places only where rounding leaves it open.
func (o Options) check(t *testing.T, sum *tally, what string, vecs []float32, dim int, q []float32, k int, w models.Where, got []models.Hit) {
	t.Helper()
	want := twin(vecs, dim, q, k, w)
	if o.Recall == 1 && len(got) != len(want) || len(got) > len(want) {
		t.Fatalf("%s: got %d hits, want %d", what, len(got), len(want))
	}
	var slack float64
	for _, v := range q {
		slack += math.Abs(float64(v))
	}
	slack *= 1e-5
	seen := map[features.Row]bool{}
	for i, h := range got {
		if seen[h.Row] {
			t.Fatalf("%s: row %d is found twice", what, h.Row)
		}
		seen[h.Row] = true
		if !w.Passes(h.Row) {
			t.Fatalf("%s: row %d does not pass the filter", what, h.Row)
		}
		var s float64
		for j := range dim {
			s += float64(q[j]) * float64(vecs[int(h.Row)*dim+j])
		}
		if math.Abs(s-float64(h.Score)) > slack*(1+math.Abs(s)) {
			t.Fatalf("%s: row %d: got score %v, want %v", what, h.Row, h.Score, s)
		}
		if i > 0 && (got[i-1].Score < h.Score || got[i-1].Score == h.Score && got[i-1].Row > h.Row) {
			t.Fatalf("%s: place %d: %v after %v", what, i, h, got[i-1])
		}
		if o.Recall == 1 && math.Abs(float64(h.Score-want[i].Score)) > slack*(1+math.Abs(s)) {
			t.Fatalf("%s: place %d: got %v, want %v", what, i, h, want[i])
		}
	}
	found := 0
	for _, h := range want {
		if seen[h.Row] {
			found++
		}
	}
	sum.found += found
	sum.all += len(want)
}

// tally is what the queries of a check found together.
type tally struct{ found, all int }

// judge fails the test when less than the promised share was found.
func (o Options) judge(t *testing.T, what string, sum tally) {
	t.Helper()
	if float64(sum.found) < o.Recall*float64(sum.all) {
		t.Errorf("%s: got %d of the best %d, want at least %.0f %%", what, sum.found, sum.all, 100*o.Recall)
	}
}

func queries(n, dim int) []float32 { return Vectors(n, dim, seed+100) }

func (o Options) search(t *testing.T, x models.Index, q []float32, k int, w models.Where) []models.Hit {
	t.Helper()
	hits, err := x.Search(context.Background(), q, k, w, nil)
	if err != nil {
		t.Fatalf("search: %v", err)
	}
	return hits
}
