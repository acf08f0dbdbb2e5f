package vectortest

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
)

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
	if o.Allocates || raced.On {
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
