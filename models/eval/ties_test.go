package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
)

// Who says the same of everything gets what chance gives, whatever the order of
// rows: the relevant items are the first rows here.
func TestDrawnTiesAreChance(t *testing.T) {
	const users, items, first = 2000, 50, 3
	var history, test dataset.Builder
	for _, b := range []*dataset.Builder{&history, &test} {
		for i := range items {
			b.Item(string(rune('A' + i)))
		}
	}
	for u := range users {
		name := "u" + string(rune(0x4e00+u))
		history.Add(name, string(rune('A'+items-1)), "", features.Interaction{Type: features.Purchase})
		test.User(name)
		for i := range first {
			test.Add(name, string(rune('A'+i)), "", features.Interaction{Type: features.Purchase})
		}
	}
	metrics, _ := ParseMetrics([]string{"recall@10", "mrr"})
	task := Task{History: history.Build(), Test: test.Build()}
	run := func(o Options) *Result {
		t.Helper()
		o.Metrics = metrics
		cases, err := Plan(task, o)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), constant{}, task, cases, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got := run(Options{}).Whole; got[0] != 1 || got[1] != 1 {
		t.Errorf("by row: got recall and reciprocal rank of %v, want 1 and 1", got)
	}
	drawn := run(Options{Ties: TiesDrawn, Seed: 1, Workers: 1})
	if got, want := drawn.Whole[0], 10./(items-1); math.Abs(got-want) > .02 {
		t.Errorf("got recall@10 %.3f, want %.3f as chance gives", got, want)
	}
	// The mean over ranks r of 1/r times the chance that the first of three is there.
	want, left := 0., 1.
	for r := 1; r <= items-1; r++ {
		here := left * first / float64(items-r)
		if here > left {
			here = left
		}
		want += here / float64(r)
		left -= here
	}
	if got := drawn.Whole[1]; math.Abs(got-want) > .03 {
		t.Errorf("got reciprocal rank %.3f, want %.3f as chance gives", got, want)
	}
	if again := run(Options{Ties: TiesDrawn, Seed: 1, Workers: 3}); !slices.Equal(again.Values[0], drawn.Values[0]) {
		t.Error("the same seed drew other ties for other workers")
	}
	if other := run(Options{Ties: TiesDrawn, Seed: 2}); slices.Equal(other.Values[0], drawn.Values[0]) {
		t.Error("another seed drew the same ties")
	}
}

// Where no scores are equal there is nothing to draw.
func TestDrawnTiesLeaveOthersAlone(t *testing.T) {
	task, n := world(rand.New(rand.NewPCG(4, 4)))
	for _, scores := range n.scores {
		for i, at := range rand.New(rand.NewPCG(5, 5)).Perm(len(scores)) {
			scores[i] = float32(at)
		}
	}
	metrics, _ := ParseMetrics([]string{"ndcg@5", "mrr", "auc"})
	var values [][]float64
	for _, ties := range []Ties{TiesRow, TiesDrawn} {
		o := Options{Metrics: metrics, Ties: ties}
		cases, err := Plan(task, o)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), n, task, cases, o)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, slices.Concat(r.Values...))
	}
	if !slices.EqualFunc(values[0], values[1], func(a, b float64) bool { return a == b || a != a && b != b }) {
		t.Errorf("got %v with drawn ties, want %v", values[1], values[0])
	}
}
