package hybrid_test

import (
	"context"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/mf"
)

// Explaining the items of an answer allocates nothing where what it rests on is
// clear, and what it names is what the score falls by most.
func TestExplainAllocatesNothing(t *testing.T) {
	var b dataset.Builder
	const users, items = 60, 30
	for i := range items {
		b.Item(string(rune('A' + i)))
	}
	for u := range users {
		for k := range 6 {
			item := (u%5)*6 + (u/5+k)%6 // five tastes of six items each
			b.Add(string(rune('a'+u)), string(rune('A'+item)), "", features.Interaction{Type: features.Purchase, TimeMS: int64(k + 1)})
		}
	}
	d := b.Build()
	var parts []models.Part
	for name, k := range map[string]models.Kind{"ials": mf.IALS(), "items": knn.Item()} {
		m, err := k.Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, models.Part{Name: name, Model: m})
	}
	m, err := hybrid.Fit(context.Background(), models.FitInput{Train: d, Parts: parts, Seed: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := &features.Request{
		Shopper: &features.Shopper{Consent: features.AllPurposes, Recent: []features.Interaction{
			{Row: 0, Type: features.Purchase, TimeMS: 1}, {Row: 7, Type: features.Purchase, TimeMS: 2}, {Row: 12, Type: features.View, TimeMS: 3},
		}},
		Item: features.NoRow, Scratch: new(features.Scratch),
	}
	e := m.(models.Explainer)
	for item, want := range map[features.Row]features.Row{1: 0, 8: 7, 13: 12} {
		explain := func() {
			r.Scratch.Reset()
			if ev, ok := e.Explain(r, item); !ok || ev.Item != want {
				t.Fatalf("item %d: got %+v, %v, want item %d", item, ev, ok, want)
			}
		}
		for range 3 {
			explain()
		}
		if n := testing.AllocsPerRun(20, explain); n != 0 && !raced.On {
			t.Errorf("item %d: got %v allocations, want none", item, n)
		}
	}
}
