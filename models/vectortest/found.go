package vectortest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

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
