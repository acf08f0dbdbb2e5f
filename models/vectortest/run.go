// Package vectortest is the suite that every vector index passes: Run. It
// imports models and what lies below.
package vectortest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// Options says what the suite may expect of an index.
type Options struct {
	// Build indexes vecs, row-major with dim numbers a row; row i is
	// features.Row(i). The suite closes it.
	Build func(t *testing.T, vecs []float32, dim int) models.Index
	// Rows is the size of the larger sets; 0 means 3000.
	Rows int
	// Recall is the least share of the true best rows that searches without
	// and with filters must find; 0 means 1, found exactly.
	Recall float64
	// Allocates says that a steady search may allocate.
	Allocates bool
	// Few says that building takes long: fewer sizes are tried.
	Few bool
	// Parallel says that building mostly waits: the parts run beside one another.
	Parallel bool
}

const (
	seed = 11
	dim  = 24
	top  = 20
)

// Run holds the index to the contract of models.Index, and of models.Tail where
// it implements that, against a scan in float64.
func Run(t *testing.T, o Options) {
	t.Helper()
	if o.Rows == 0 {
		o.Rows = 3000
	}
	if o.Recall == 0 {
		o.Recall = 1
	}
	for _, part := range []struct {
		what string
		run  func(t *testing.T)
	}{
		{"finds the best", o.best},
		{"filters", o.filters},
		{"filter against the query", o.opposed},
		{"ties by row", o.ties},
		{"small and odd sizes", o.sizes},
		{"refuses bad queries", o.refuses},
		{"appends to dst", o.appends},
		{"many equal single", o.many},
		{"ended context", o.ended},
		{"concurrent searches", o.concurrent},
		{"steady searches do not allocate", o.steady},
		{"tail", o.tail},
		{"tail beside searches", o.beside},
	} {
		t.Run(part.what, func(t *testing.T) {
			if o.Parallel {
				t.Parallel()
			}
			part.run(t)
		})
	}
}

func (o Options) build(t *testing.T, vecs []float32, dim int) models.Index {
	t.Helper()
	x := o.Build(t, vecs, dim)
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return x
}

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

func (o Options) best(t *testing.T) {
	vecs := Vectors(o.Rows, dim, seed)
	x := o.build(t, vecs, dim)
	if x.Len() != o.Rows {
		t.Fatalf("got length %d, want %d", x.Len(), o.Rows)
	}
	qs := queries(20, dim)
	for _, k := range []int{1, top, 100} {
		var sum tally
		for i := range 20 {
			q := qs[i*dim:][:dim]
			o.check(t, &sum, fmt.Sprintf("query %d, k %d", i, k), vecs, dim, q, k, models.Where{}, o.search(t, x, q, k, models.Where{}))
		}
		o.judge(t, fmt.Sprintf("k %d", k), sum)
	}
}

func (o Options) filters(t *testing.T) {
	vecs := Vectors(o.Rows, dim, seed)
	x := o.build(t, vecs, dim)
	rng := rand.New(rand.NewPCG(seed, 9))
	qs := queries(5, dim)
	for _, share := range []float64{.9, .5, .1, .01, .001, 0} {
		allow, deny := features.NewBitmap(o.Rows), features.NewBitmap(o.Rows)
		for i := range o.Rows {
			if rng.Float64() < share {
				allow.Set(features.Row(i))
			}
			if rng.Float64() >= share {
				deny.Set(features.Row(i))
			}
		}
		runs := features.NewBitmap(o.Rows) // whole stretches, as a catalogue by category has them
		for i := range int(share * float64(o.Rows)) {
			runs.Set(features.Row(o.Rows/3 + i))
		}
		short := features.NewBitmap(o.Rows / 2)
		short.Fill()
		for name, w := range map[string]models.Where{
			"allow": {Allow: allow}, "deny": {Deny: deny}, "both": {Allow: allow, Deny: deny},
			"stretch": {Allow: runs}, "shorter": {Allow: short, Deny: deny},
		} {
			var sum tally
			for i := range 5 {
				q := qs[i*dim:][:dim]
				o.check(t, &sum, fmt.Sprintf("%s of %g, query %d", name, share, i), vecs, dim, q, top, w, o.search(t, x, q, top, w))
			}
			o.judge(t, fmt.Sprintf("%s of %g", name, share), sum)
		}
	}
}

// opposed allows only what is far from the query: a graph that walks towards it
// meets nothing it may return.
func (o Options) opposed(t *testing.T) {
	vecs := Vectors(o.Rows, dim, seed)
	x := o.build(t, vecs, dim)
	qs := queries(5, dim)
	var sum tally
	for i := range 5 {
		q := qs[i*dim:][:dim]
		order := twin(vecs, dim, q, o.Rows, models.Where{})
		allow := features.NewBitmap(o.Rows)
		for _, h := range order[o.Rows*3/4:] {
			allow.Set(h.Row)
		}
		w := models.Where{Allow: allow}
		o.check(t, &sum, fmt.Sprintf("query %d", i), vecs, dim, q, top, w, o.search(t, x, q, top, w))
	}
	o.judge(t, "the farthest quarter", sum)
}

func (o Options) ties(t *testing.T) {
	const n = 500
	vecs := make([]float32, n*dim)
	for i := range n {
		vecs[i*dim] = float32(i % 3)
		vecs[i*dim+dim-1] = 1
	}
	x := o.build(t, vecs, dim)
	q := make([]float32, dim)
	q[0], q[dim-1] = 1, .5
	var sum tally // which of the equal ones are found is open
	for _, k := range []int{1, 10, 200} {
		got := o.search(t, x, q, k, models.Where{})
		if o.Recall < 1 { // which of the equal ones is open, their order is not
			o.check(t, &sum, "ties", vecs, dim, q, k, models.Where{}, got)
			continue
		}
		for i, h := range twin(vecs, dim, q, k, models.Where{}) {
			if got[i].Row != h.Row {
				t.Fatalf("k %d, place %d: got row %d, want %d", k, i, got[i].Row, h.Row)
			}
		}
	}
	zero := make([]float32, dim)
	hits := o.search(t, x, zero, 7, models.Where{})
	if len(hits) != 7 {
		t.Fatalf("query of zeros: got %d hits, want 7", len(hits))
	}
	o.check(t, &sum, "zeros", vecs, dim, zero, 7, models.Where{}, hits)
}

func (o Options) sizes(t *testing.T) {
	ns, ds := []int{1, 2, 63, 64, 65, 130, 1000}, []int{1, 3, 16, 33}
	if o.Few {
		ns, ds = []int{1, 65}, []int{1, 33}
	}
	for _, n := range ns {
		for _, d := range ds {
			vecs := Vectors(n, d, uint64(n*d))
			x := o.build(t, vecs, d)
			q := queries(1, d)
			for _, k := range []int{0, -1, 1, n, n + 5} {
				got := o.search(t, x, q, k, models.Where{})
				var sum tally
				o.check(t, &sum, fmt.Sprintf("n %d, dimension %d, k %d", n, d, k), vecs, d, q, k, models.Where{}, got)
				o.judge(t, fmt.Sprintf("n %d, dimension %d, k %d", n, d, k), sum)
			}
		}
	}
}

func (o Options) refuses(t *testing.T) {
	x := o.build(t, Vectors(100, dim, seed), dim)
	for name, q := range map[string][]float32{
		"short": make([]float32, dim-1), "long": make([]float32, dim+1), "empty": nil,
		"NaN":      append(make([]float32, dim-1), float32(math.NaN())),
		"infinite": append(make([]float32, dim-1), float32(math.Inf(1))),
	} {
		if _, err := x.Search(context.Background(), q, 5, models.Where{}, nil); err == nil {
			t.Errorf("%s query: got no error", name)
		}
		two := append(append([]float32(nil), make([]float32, dim)...), q...)
		if err := x.SearchMany(context.Background(), two, 5, models.Where{}, make([][]models.Hit, 2)); err == nil {
			t.Errorf("%s query among many: got no error", name)
		}
	}
}

func (o Options) appends(t *testing.T) {
	x := o.build(t, Vectors(100, dim, seed), dim)
	q := queries(1, dim)
	first := models.Hit{Row: 77, Score: 3}
	got, err := x.Search(context.Background(), q, 5, models.Where{}, []models.Hit{first})
	if err != nil || len(got) != 6 || got[0] != first {
		t.Fatalf("got %v, %v, want %v and five more", got, err, first)
	}
	if want := o.search(t, x, q, 5, models.Where{}); !slices.Equal(got[1:], want) {
		t.Fatalf("got %v, want %v", got[1:], want)
	}
}

func (o Options) many(t *testing.T) {
	vecs := Vectors(o.Rows, dim, seed)
	for i := range 40 { // rows that are equal, so that rounding cannot tell them apart
		copy(vecs[(100+i)*dim:][:dim], vecs[100*dim:][:dim])
	}
	x := o.build(t, vecs, dim)
	half := features.NewBitmap(o.Rows)
	for i := 0; i < o.Rows; i += 2 {
		half.Set(features.Row(i))
	}
	few := features.BitmapOf(o.Rows, 3, 5, 100, 101, 140)
	for _, n := range []int{0, 1, 3, 4, 33, 70} {
		qs := queries(n, dim)
		if n > 1 {
			copy(qs, vecs[100*dim:][:dim])
		}
		for name, w := range map[string]models.Where{"all": {}, "half": {Allow: half}, "few": {Allow: few}, "without": {Deny: half}} {
			got := make([][]models.Hit, n)
			if err := x.SearchMany(context.Background(), qs, top, w, got); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for i := range n {
				if want := o.search(t, x, qs[i*dim:][:dim], top, w); !slices.Equal(got[i], want) {
					t.Fatalf("%s, query %d of %d: got %v, want %v", name, i, n, got[i], want)
				}
			}
		}
	}
}

func (o Options) ended(t *testing.T) {
	x := o.build(t, Vectors(o.Rows, dim, seed), dim)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := x.Search(ctx, queries(1, dim), 5, models.Where{}, nil); err == nil {
		t.Fatal("search with an ended context: got no error")
	}
}

func (o Options) concurrent(t *testing.T) {
	vecs := Vectors(o.Rows, dim, seed)
	x := o.build(t, vecs, dim)
	qs := queries(8, dim)
	var want [8][]models.Hit
	for i := range want {
		want[i] = o.search(t, x, qs[i*dim:][:dim], top, models.Where{})
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 24 {
				j := (i + g) % 8
				got, err := x.Search(context.Background(), qs[j*dim:][:dim], top, models.Where{}, nil)
				if err != nil || !slices.Equal(got, want[j]) {
					t.Errorf("query %d: got %v, %v, want %v", j, got, err, want[j])
					return
				}
			}
		})
	}
	wg.Wait()
}

func (o Options) steady(t *testing.T) {
	if o.Allocates || underRace {
		t.Skip("may allocate, or the race detector empties pools")
	}
	x := o.build(t, Vectors(o.Rows, dim, seed), dim)
	q := queries(1, dim)
	dst := make([]models.Hit, 0, top)
	ctx := context.Background()
	half := features.NewBitmap(o.Rows)
	for i := 0; i < o.Rows; i += 2 {
		half.Set(features.Row(i))
	}
	for name, w := range map[string]models.Where{"all": {}, "half": {Allow: half}, "few": {Allow: features.BitmapOf(o.Rows, 1, 2)}} {
		search := func() {
			var err error
			if dst, err = x.Search(ctx, q, top, w, dst[:0]); err != nil {
				t.Errorf("search: %v", err)
			}
		}
		search()
		// Pools may be emptied in between: one in many is no steady cost.
		if got := testing.AllocsPerRun(200, search); got >= 1 {
			t.Errorf("%s: got %v allocations a search, want none", name, got)
		}
	}
}
