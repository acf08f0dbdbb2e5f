package signal

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/raced"
)

func TestQuickAgreesWithMath(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		x := math.Exp2(rng.Float64()*200 - 100)
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 1e-9*max(1, math.Abs(want)) {
			t.Fatalf("ln(%v): got %v, want %v", x, got, want)
		}
		y := -rng.Float64() * 900
		if got, want := exp2(y), math.Exp2(y); math.Abs(got-want) > 1e-9*want {
			t.Fatalf("exp2(%v): got %v, want %v", y, got, want)
		}
		z := math.Exp2(rng.Float64()*60 - 30)
		if got, want := float64(log1p(z)), math.Log1p(z); math.Abs(got-want) > 1e-6*want {
			t.Fatalf("log1p(%v): got %v, want %v", z, got, want)
		}
	}
	for _, x := range []float64{-1001, math.Inf(-1), math.NaN()} {
		if got := exp2(x); got != 0 {
			t.Errorf("exp2(%v): got %v, want 0", x, got)
		}
	}
	if ln(1) != 0 || exp2(0) != 1 || log1p(0) != 0 || log1p(-3) != 0 {
		t.Errorf("got ln(1) %v, exp2(0) %v, log1p(0) %v, log1p(-3) %v", ln(1), exp2(0), log1p(0), log1p(-3))
	}
}

// A steady request allocates nothing.
func TestValueAllocatesNothing(t *testing.T) {
	set, cat := newSet(t), goods(t)
	m, book := NewMemory(set), new(history.Book)
	for _, e := range log(1, 1000) {
		m.Fold(e)
		if e.Subject() == user(1) {
			book.Fold(&e)
		}
	}
	s := book.Shopper(cat)
	s.Key, s.Consent = user(1), features.AllPurposes
	r := &features.Request{Query: features.Query{Market: "FR", Now: start.Add(300 * time.Hour)}, Shopper: s, Item: features.NoRow, Catalog: cat, State: m}
	items := make([]features.Row, 300)
	for i := range items {
		items[i] = features.Row(i % goodsCount)
	}
	out := make([]float32, len(items)*set.Width())
	set.Value(r, items, out)
	if got := testing.AllocsPerRun(50, func() { set.Value(r, items, out) }); got > 2 && !raced.On { // the keys of the shopper and of the shop
		t.Errorf("got %v allocations, want at most 2", got)
	}
}
