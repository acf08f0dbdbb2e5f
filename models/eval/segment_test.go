package eval

import (
	"context"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// first scores items by row, the first best.
type first struct{}

func (first) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = -float32(row)
	}
}

// TestColdUsersAndItemsAreTold has a shopper without history, two with some, and
// an item that nobody had, which is found or not.
func TestColdUsersAndItemsAreTold(t *testing.T) {
	var history, test dataset.Builder
	for _, b := range []*dataset.Builder{&history, &test} {
		for _, u := range []string{"cold", "short", "long"} {
			b.User(u)
		}
		for _, i := range []string{"new", "a", "b", "c", "d", "e", "f"} {
			b.Item(i)
		}
	}
	add := func(b *dataset.Builder, user, market string, items ...string) {
		for _, i := range items {
			b.Add(user, i, market, features.Interaction{Type: features.Purchase})
		}
	}
	add(&history, "short", "DE", "a")
	add(&history, "long", "FR", "b", "c", "d", "e", "f")
	add(&test, "cold", "DE", "f")        // last: not found
	add(&test, "short", "DE", "new")     // first: found
	add(&test, "long", "FR", "new", "a") // both found
	task := Task{History: history.Build(), Test: test.Build()}
	metrics, err := ParseMetrics([]string{"recall@2"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Metrics: metrics, Workers: 1}
	cases, err := Plan(task, o)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Run(context.Background(), first{}, task, cases, o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[[2]string]struct {
		cases  int
		recall float64
	}{
		{"history", "0"}: {1, 0}, {"history", "1-4"}: {1, 1}, {"history", "5-19"}: {1, 1},
		{"market", "DE"}: {1, 1}, {"market", "FR"}: {1, 1},
		{"items", "all known"}: {1, 0}, {"items", "some new"}: {2, 1},
	}
	for _, s := range Segments(task, cases, res) {
		w, ok := want[[2]string{s.By, s.Value}]
		if !ok || s.Cases != w.cases || math.Abs(s.Metrics["recall@2"]-w.recall) > 1e-12 {
			t.Errorf("got segment %+v, want %v %+v", s, ok, w)
		}
		delete(want, [2]string{s.By, s.Value})
	}
	if len(want) > 0 {
		t.Errorf("segments %v are not told", want)
	}
	if s := Summarise(task, cases); s.ColdUsers != 1 || s.ColdItems != 1 || s.ColdRelevant != .5 {
		t.Errorf("got %d cold users, %d cold items, %v of what is to be found, want 1, 1 and half", s.ColdUsers, s.ColdItems, s.ColdRelevant)
	}
}
