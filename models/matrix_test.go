package models

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

func TestMatrixAgainstDense(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const users, items = 23, 17
	var b dataset.Builder
	name := func(kind string, i int) string { return kind + string(rune('a'+i)) }
	for u := range users {
		b.User(name("u", u))
	}
	for i := range items {
		b.Item(name("i", i))
	}
	types := features.EventTypes()
	for range 400 {
		b.Add(name("u", rng.IntN(users)), name("i", rng.IntN(items)), "", features.Interaction{
			Type: types[rng.IntN(len(types))], Value: float32(rng.IntN(6)),
		})
	}
	d := b.Build()
	w := DefaultWeights()
	for label, weigh := range map[string]func(*features.Interaction) float32{
		"events":   w.Of,
		"negative": func(it *features.Interaction) float32 { return -w.Of(it) },
		"binary":   nil,
	} {
		var dense [users][items]float32
		for u := range users {
			for _, it := range d.History(u) {
				if weigh == nil {
					dense[u][it.Row] = 1
				} else {
					dense[u][it.Row] += weigh(&it)
				}
			}
		}
		m := Matrix(d, weigh)
		if err := m.Validate(); err != nil {
			t.Fatalf("%s: %v", label, err)
		}
		if (m.Val == nil) != (weigh == nil) {
			t.Fatalf("%s: got values %v", label, m.Val != nil)
		}
		stored := 0
		for u := range users {
			cols, vals := m.Row(u)
			for e, j := range cols {
				stored++
				v := float32(1)
				if vals != nil {
					v = vals[e]
				}
				if v != dense[u][j] {
					t.Errorf("%s: got %v at %d,%d, want %v", label, v, u, j, dense[u][j])
				}
			}
		}
		want := 0
		for u := range users {
			for _, v := range dense[u] {
				if v > 0 {
					want++
				}
			}
		}
		if stored != want {
			t.Errorf("%s: got %d pairs, want %d", label, stored, want)
		}
	}
}

func TestWeightsOf(t *testing.T) {
	w, err := WeightsOf(map[string]float64{"view": .5, "purchase": 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		it   features.Interaction
		want float32
	}{
		{features.Interaction{Type: features.View}, .5},
		{features.Interaction{Type: features.Purchase}, 2},
		{features.Interaction{Type: features.Rating, Value: 5}, 1},
		{features.Interaction{Type: features.Rating, Value: 2}, .5},
		{features.Interaction{Type: features.Rating}, 1},
		{features.Interaction{Type: features.Impression}, 0},
		{features.Interaction{Type: features.Dislike}, -1},
		{features.Interaction{Type: 200}, 0},
	} {
		if got := w.Of(&c.it); got != c.want {
			t.Errorf("%s with value %v: got %v, want %v", c.it.Type, c.it.Value, got, c.want)
		}
	}
	for _, bad := range []map[string]float64{{"bought": 1}, {"view": 1e9}} {
		if _, err := WeightsOf(bad); !errors.Is(err, ErrParams) {
			t.Errorf("%v: got %v, want ErrParams", bad, err)
		}
	}
}
