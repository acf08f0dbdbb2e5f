package vector

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// heap is n rows around a few centres, of lengths that differ, some of them equal
// and some zero.
func heap(n, dim int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	vecs := make([]float32, n*dim)
	for i := range n {
		centre := rand.New(rand.NewPCG(rng.Uint64N(40), 2))
		length := math.Exp(.4 * rng.NormFloat64())
		for j := range dim {
			vecs[i*dim+j] = float32(length * (centre.NormFloat64() + .5*rng.NormFloat64()))
		}
		switch {
		case i%97 == 0:
			clear(vecs[i*dim:][:dim])
		case i%31 == 0 && i > 0:
			copy(vecs[i*dim:][:dim], vecs[(i-1)*dim:][:dim])
		}
	}
	return vecs
}

func TestArrangeIsAnOrderOfAllRows(t *testing.T) {
	for _, c := range []struct{ n, dim int }{{1, 3}, {63, 2}, {300, 5}, {5000, 1}, {6001, 17}} {
		vecs := heap(c.n, c.dim, 1)
		o := arrange(vecs, c.dim, 1)
		r := newRuns(inOrder(vecs, c.dim, o.rowAt, 1), linalg.QuantiseRows(inOrder(vecs, c.dim, o.rowAt, 1), c.dim, 1), o, 1)
		if err := r.valid(); err != nil {
			t.Errorf("%d rows of %d: %v", c.n, c.dim, err)
		}
		two := arrange(vecs, c.dim, 2)
		if !slices.Equal(o.rowAt, two.rowAt) || !slices.Equal(o.start, two.start) {
			t.Errorf("%d rows of %d: two workers give another order", c.n, c.dim)
		}
		for row := range c.n {
			if place, ok := r.place(row); !ok || r.rowAt[place] != int32(row) {
				t.Fatalf("row %d: got place %d, %v", row, place, ok)
			}
		}
		for place := range int32(c.n) {
			if from, to := r.span(int(r.runOf(place))); int(place) < from || int(place) >= to {
				t.Fatalf("place %d: got the run from %d to %d", place, from, to)
			}
		}
	}
}

// What is known of a run bounds each of its rows.
func TestRunsBound(t *testing.T) {
	const n, dim = 5000, 9
	b := newBody(heap(n, dim, 2), dim, 2)
	mean := make([]float64, dim)
	for run := range b.runs.blockOf {
		for j := range mean {
			mean[j] = float64(b.runs.mean.Scale[run]) * float64(int(b.runs.mean.Codes[run*dim+j])-128)
		}
		from, to := b.runs.span(run)
		for place := from; place < to; place++ {
			var away, length, off float64
			for j, x := range b.vecs[place*dim:][:dim] {
				coded := float64(b.q8.Scale[place]) * float64(int(b.q8.Codes[place*dim+j])-128)
				away += (float64(x) - mean[j]) * (float64(x) - mean[j])
				off += (float64(x) - coded) * (float64(x) - coded)
				length += float64(x) * float64(x)
			}
			r := b.runs
			if math.Sqrt(away) > float64(r.reach[run]) || math.Sqrt(length) > float64(r.norm[run]) || math.Sqrt(off) > float64(r.off[run]) {
				t.Fatalf("run %d, place %d: %v, %v and %v are beyond %v, %v and %v", run, place,
					math.Sqrt(away), math.Sqrt(length), math.Sqrt(off), r.reach[run], r.norm[run], r.off[run])
			}
		}
	}
}

// A filter that lets through all but the rows that stand for their groups is
// answered as any other, and one of what is far and a single near row finds that.
func TestSampleThatTellsNothing(t *testing.T) {
	if raced.On {
		t.Skip("one goroutine: there is nothing to race with")
	}
	const n, dim, k = 24000, 8, 20
	vecs := heap(n, dim, 6)
	x, err := NewExact(vecs, dim, 1)
	if err != nil {
		t.Fatal(err)
	}
	h, err := BuildHNSW(context.Background(), vecs, dim, HNSWOptions{Width: 60})
	if err != nil {
		t.Fatal(err)
	}
	others := features.FullBitmap(n)
	for _, row := range x.runs.sample {
		others.Clear(features.Row(row))
	}
	q := vecs[5*dim:][:dim]
	w := models.Where{Allow: others}
	want, err := x.Search(context.Background(), q, k, w, nil)
	if err != nil || len(want) != k {
		t.Fatalf("exact: got %d hits, %v", len(want), err)
	}
	var top linalg.TopK
	top.Reset(k)
	for row := range n {
		if others.Has(features.Row(row)) {
			top.Push(int32(row), linalg.Dot(q, vecs[row*dim:][:dim]))
		}
	}
	for i, c := range top.Sorted(nil) {
		if want[i].Row != features.Row(c.Index) {
			t.Errorf("exact, hit %d: got row %d, want %d", i, want[i].Row, c.Index)
		}
	}
	got, err := h.Search(context.Background(), q, k, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, c := range want {
		if hasRow(got, int32(c.Row)) {
			found++
		}
	}
	if found < k*9/10 {
		t.Errorf("graph: got %d of the best %d", found, k)
	}
	far := features.BitmapOf(n, 5)
	for row := range n {
		if linalg.Dot(q, vecs[row*dim:][:dim]) < 0 {
			far.Set(features.Row(row))
		}
	}
	if far.Count() <= pickMost {
		t.Fatalf("got %d rows, want more than are looked at one by one", far.Count())
	}
	if got, err = h.Search(context.Background(), q, k, models.Where{Allow: far}, got[:0]); err != nil || got[0].Row != 5 {
		t.Errorf("graph: got %v, %v, want row 5 first", got[0], err)
	}
}

// Sketches say of each row what its codes say, within what they leave out.
func TestSketchesBound(t *testing.T) {
	const n, dim = 5000, 9
	b := newBody(heap(n, dim, 7), dim, 2)
	k := b.sketched()
	q := b.vecs[:dim]
	var codes linalg.QuantisedQuery
	bound := queryBounds(q, &codes)
	means := make([]float32, len(b.runs.off))
	linalg.DotInt8Rows(&codes, b.runs.mean, 0, means)
	strict := doubting(bound)
	for run := range means {
		lo, hi := b.runs.span(run)
		for place := lo; place < hi; place++ {
			score := linalg.Dot(q, b.vecs[place*dim:][:dim])
			less := bound.of(b.runs.off[run]+sketchRounds*b.runs.norm[run], b.runs.norm[run])
			left := strict.off * k.rows.Left(run*runRows+place-lo)
			word := make([]uint64, 1)
			for _, side := range []float32{-1, 1} {
				bar := score - means[run] + side*less*1.0001 + side*1e-6 + (1+side)*left
				k.rows.Above(&codes, strict.off, []int32{int32(run)}, []float32{bar}, word)
				if got := word[0]>>(place-lo)&1 == 1; got != (side < 0) {
					t.Fatalf("run %d, place %d: above %v: got %v", run, place, bar, got)
				}
			}
		}
	}
}

// A file that is damaged where it says which row is where answers wrongly at
// worst with rows that pass.
func TestDamagedPlaces(t *testing.T) {
	const n, dim = 6000, 4
	x, err := NewExact(heap(n, dim, 4), dim, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.runs.placeOf {
		x.runs.placeOf[i] = int32(i*7919%(3*n)) - n
	}
	allow := features.BitmapOf(n, 1, 5, 77, 4000)
	hits, err := x.Search(context.Background(), []float32{1, 2, 3, 4}, 10, models.Where{Allow: allow}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		if !allow.Has(h.Row) {
			t.Errorf("row %d does not pass", h.Row)
		}
	}
}

// Numbers so large that scores overflow are compared directly, with and without
// a filter.
func TestHugeNumbers(t *testing.T) {
	const n, dim = 5000, 4
	vecs := heap(n, dim, 5)
	linalg.Scale(1e30, vecs)
	x, err := NewExact(vecs, dim, 1)
	if err != nil {
		t.Fatal(err)
	}
	h, err := BuildHNSW(context.Background(), vecs, dim, HNSWOptions{Width: 50})
	if err != nil {
		t.Fatal(err)
	}
	q := []float32{1e8, 0, 0, 0}
	odd := features.NewBitmap(n)
	for row := 1; row < n; row += 2 {
		odd.Set(features.Row(row))
	}
	for name, x := range map[string]models.Index{"exact": x, "graph": h} {
		for _, w := range []models.Where{{}, {Allow: odd}, {Allow: features.BitmapOf(n, 1, 2, 3, 4, 5, 6, 7)}} {
			hits, err := x.Search(context.Background(), q, 5, w, nil)
			if err != nil || len(hits) != 5 {
				t.Fatalf("%s: got %v, %v, want five hits", name, hits, err)
			}
			better := 0
			for row := range n {
				if w.Passes(features.Row(row)) && vecs[row*dim]*q[0] > hits[4].Score {
					better++
				}
			}
			if better > 4 {
				t.Errorf("%s: %d rows are better than the fifth", name, better)
			}
		}
	}
}

// More rows or a narrower walk never turn Build from the graph to the scan.
func TestChoiceIsMonotone(t *testing.T) {
	for width := narrowest; width <= widest; width += width / 4 {
		before := false
		for n := 1000; n < 100_000_000; n += n / 3 {
			h := &HNSW{body: body{n: n}, width: width}
			now := h.worthwhile()
			if before && !now {
				t.Errorf("width %d: the graph is left at %d rows", width, n)
			}
			if narrower := (&HNSW{body: body{n: n}, width: width - 1}); now && !narrower.worthwhile() {
				t.Errorf("%d rows: width %d is worthwhile, %d is not", n, width, width-1)
			}
			before = now
		}
	}
}
