package eval

import (
	"math"
	"testing"
)

// Three relevant items, found at ranks 2 and 4 of five.
func TestAccuracyByHand(t *testing.T) {
	hits := []bool{false, true, false, true, false}
	log2 := math.Log2
	ideal := 1 + 1/log2(3) + 1/log2(4)
	for _, c := range []struct {
		metric string
		want   float64
	}{
		{"recall@5", 2. / 3}, {"recall@2", 1. / 3}, {"recall@1", 0},
		{"precision@5", 2. / 5}, {"precision@4", 2. / 4}, {"precision@10", 2. / 10},
		{"hr@1", 0}, {"hr@2", 1}, {"hr@5", 1},
		{"ndcg@5", (1/log2(3) + 1/log2(5)) / ideal}, {"ndcg@2", (1 / log2(3)) / (1 + 1/log2(3))}, {"ndcg@1", 0},
		{"map@5", (1./2 + 2./4) / 3}, {"map@2", (1. / 2) / 2},
		{"mrr@5", .5}, {"mrr@1", 0},
	} {
		m, err := ParseMetric(c.metric)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.accuracy(hits, 3); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", c.metric, got, c.want)
		}
	}
}

func TestParseMetric(t *testing.T) {
	for in, want := range map[string]string{"Recall@20": "recall@20", "auc": "auc", "mrr": "mrr", " hr@1 ": "hr@1"} {
		if m, err := ParseMetric(in); err != nil || m.String() != want {
			t.Errorf("%q: got %v, %v, want %s", in, m, err, want)
		}
	}
	for _, bad := range []string{"", "recall", "recall@", "recall@0", "recall@x", "recall@-1", "auc@10", "rmse@10", "recall@10@10"} {
		if m, err := ParseMetric(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, m)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		counts         []int32
		coverage, gini float64
	}{
		{[]int32{2, 2, 2, 2}, 1, 0},
		{[]int32{8, 0, 0, 0}, .25, .75},
		{[]int32{1, 3}, 1, .25},
	} {
		if got := spread(Metric{Coverage, 5}, append([]int32(nil), c.counts...)); got != c.coverage {
			t.Errorf("coverage of %v: got %v, want %v", c.counts, got, c.coverage)
		}
		if got := spread(Metric{Gini, 5}, append([]int32(nil), c.counts...)); math.Abs(got-c.gini) > 1e-12 {
			t.Errorf("gini of %v: got %v, want %v", c.counts, got, c.gini)
		}
	}
	if got := spread(Metric{Gini, 5}, []int32{0, 0}); !math.IsNaN(got) {
		t.Errorf("gini of nothing: got %v, want NaN", got)
	}
}
