package vectortest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// tail changes an index at random and compares it with the twin after every
// few changes.
func (o Options) tail(t *testing.T) {
	const n, last = 300, 420
	base := Vectors(n, dim, seed)
	x := o.build(t, base, dim)
	tl, ok := x.(models.Tail)
	if !ok {
		t.Skip("no tail")
	}
	vecs := append(append([]float32(nil), base...), make([]float32, (last-n)*dim)...)
	alive := features.NewBitmap(last)
	for i := range n {
		alive.Set(features.Row(i))
	}
	fresh := Vectors(1000, dim, seed+1)
	rng := rand.New(rand.NewPCG(seed, 3))
	qs := queries(1000, dim)
	var sum tally
	for step := range 1000 {
		row := features.Row(rng.IntN(last))
		if rng.IntN(3) == 0 {
			tl.Delete(row)
			alive.Clear(row)
		} else {
			v := fresh[step*dim:][:dim]
			if err := tl.Upsert(row, v); err != nil {
				t.Fatalf("upsert row %d: %v", row, err)
			}
			copy(vecs[int(row)*dim:], v)
			alive.Set(row)
		}
		if step%10 != 0 {
			continue
		}
		if x.Len() != alive.Count() {
			t.Fatalf("step %d: got length %d, want %d", step, x.Len(), alive.Count())
		}
		q := qs[step*dim:][:dim]
		deny := features.NewBitmap(last)
		for i := range last {
			if rng.IntN(3) == 0 {
				deny.Set(features.Row(i))
			}
		}
		for name, w := range map[string]models.Where{"all": {}, "deny": {Deny: deny}, "allow": {Allow: deny}} {
			truth := models.Where{Allow: alive.Clone(), Deny: w.Deny}
			if w.Allow != nil {
				truth.Allow.And(w.Allow)
			}
			got := o.search(t, x, q, top, w)
			o.check(t, &sum, fmt.Sprintf("step %d, %s", step, name), vecs, dim, q, top, truth, got)
			many := make([][]models.Hit, 5)
			if err := x.SearchMany(context.Background(), qs[step*dim:][:5*dim], top, w, many); err != nil {
				t.Fatalf("step %d, %s: %v", step, name, err)
			}
			for i := range many {
				o.check(t, &sum, fmt.Sprintf("step %d, %s, query %d of many", step, name, i), vecs, dim, qs[(step+i)*dim:][:dim], top, truth, many[i])
			}
		}
	}
	o.judge(t, "all steps", sum)
	if err := tl.Upsert(5, make([]float32, dim+1)); err == nil {
		t.Error("upsert of a long vector: got no error")
	}
	if err := tl.Upsert(5, append(make([]float32, dim-1), float32(math.NaN()))); err == nil {
		t.Error("upsert of NaN: got no error")
	}
	if err := tl.Upsert(features.NoRow, make([]float32, dim)); err == nil {
		t.Error("upsert of no row: got no error")
	}
	tl.Delete(last + 1000) // was never there
}

// beside changes the tail while searches run: each must see a state that was.
// All vectors are e1 times a number that tells their version.
func (o Options) beside(t *testing.T) {
	const n = 200
	base := make([]float32, n*dim)
	for i := range n {
		base[i*dim] = 1
	}
	x := o.build(t, base, dim)
	tl, ok := x.(models.Tail)
	if !ok {
		t.Skip("no tail")
	}
	q := make([]float32, dim)
	q[0] = 1
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			newest := float32(1)
			for {
				select {
				case <-stop:
					return
				default:
				}
				hits, err := x.Search(context.Background(), q, 3, models.Where{}, nil)
				if err != nil || len(hits) != 3 {
					t.Errorf("got %v, %v, want 3 hits", hits, err)
					return
				}
				if hits[0].Score < newest {
					t.Errorf("got version %v after %v", hits[0].Score, newest)
					return
				}
				newest = hits[0].Score
			}
		})
	}
	for version := 2; version < 400; version++ {
		v := make([]float32, dim)
		v[0] = float32(version)
		if err := tl.Upsert(features.Row(n+version%2), v); err != nil {
			t.Fatal(err)
		}
		tl.Delete(features.Row(version % 100))
	}
	close(stop)
	wg.Wait()
}
