package eval

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Metric is a measure of rankings, and how many of a ranking's first items it
// looks at.
type Metric struct {
	Name string
	K    int // 0: the whole ranking
}

// String is the metric's name as it is asked for: "recall@20".
func (m Metric) String() string {
	if m.K == 0 {
		return m.Name
	}
	return m.Name + "@" + strconv.Itoa(m.K)
}

// The metrics. A ranking has R items to be found (relevant ones); the ideal
// ranking has them first.
const (
	Recall      = "recall"      // relevant among the first k, of R
	Precision   = "precision"   // relevant among the first k, of k
	HitRate     = "hr"          // 1 when any of the first k is relevant
	NDCG        = "ndcg"        // discounted by 1/log2(1+rank), of that of the ideal ranking's first min(k, R)
	MAP         = "map"         // mean precision at the relevant ones among the first k, of min(k, R)
	MRR         = "mrr"         // 1/rank of the first relevant one, 0 past k
	AUC         = "auc"         // chance that a relevant item is above another one; ties count half
	Novelty     = "novelty"     // mean of -log2 of the share of users who had the item
	Diversity   = "diversity"   // mean distance of two of the first k: of categories, or of who had them
	Serendipity = "serendipity" // relevant among the first k and not among the k most popular, of k
	Calibration = "calibration" // KL divergence of the categories of the first k from the history's (Steck 2018); 0 is best
	Coverage    = "coverage"    // of the whole: share of the catalogue in anybody's first k
	Gini        = "gini"        // of the whole: inequality of how often items are in the first k; 0 is even
)

var metricNames = []string{Recall, Precision, HitRate, NDCG, MAP, MRR, AUC, Novelty, Diversity, Serendipity, Calibration, Coverage, Gini}

// ParseMetric reads "recall@20". Only mrr and auc can do without "@k"; auc
// always does.
func ParseMetric(s string) (Metric, error) {
	name, k, cut := strings.Cut(strings.ToLower(strings.TrimSpace(s)), "@")
	if !slices.Contains(metricNames, name) {
		return Metric{}, fmt.Errorf("unknown metric %q: expected one of %s with @k, such as recall@20", s, strings.Join(metricNames, ", "))
	}
	if !cut {
		if name != AUC && name != MRR {
			return Metric{}, fmt.Errorf("metric %q lacks its length: expected %s@k, such as %s@20", s, name, name)
		}
		return Metric{Name: name}, nil
	}
	n, err := strconv.Atoi(k)
	if err != nil || n < 1 || n > 100_000 || name == AUC {
		return Metric{}, fmt.Errorf("bad length of metric %q: expected @1 to @100000, and none for auc", s)
	}
	return Metric{Name: name, K: n}, nil
}

// ParseMetrics reads a list of them, each once.
func ParseMetrics(list []string) ([]Metric, error) {
	var all []Metric
	for _, s := range list {
		m, err := ParseMetric(s)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all, nil
}

// ofWhole reports whether the metric is about all rankings together.
func (m Metric) ofWhole() bool { return m.Name == Coverage || m.Name == Gini }

// ofRanks reports whether the metric needs the ranks of all relevant items.
func (m Metric) ofRanks() bool { return m.K == 0 }

// Of is the value of a metric of found items for one ranking: hits[i] says
// whether the item of rank i+1 is relevant, and there are r relevant ones. It
// is NaN for metrics that look at more than hits, and where r is 0.
func (m Metric) Of(hits []bool, r int) float64 {
	switch m.Name {
	case Recall, Precision, HitRate, NDCG, MAP, MRR:
		if r > 0 && m.K > 0 {
			return m.accuracy(hits, r)
		}
	}
	return math.NaN()
}

// accuracy is the value of a metric of found items: hits[i] says whether the
// item of rank i+1 is relevant, and there are r relevant ones.
func (m Metric) accuracy(hits []bool, r int) float64 {
	hits = hits[:min(m.K, len(hits))]
	found, dcg, precisions, first := 0, 0., 0., 0
	for i, hit := range hits {
		if !hit {
			continue
		}
		found++
		if first == 0 {
			first = i + 1
		}
		dcg += discount(i)
		precisions += float64(found) / float64(i+1)
	}
	switch m.Name {
	case Recall:
		return float64(found) / float64(r)
	case Precision:
		return float64(found) / float64(m.K)
	case HitRate:
		return float64(min(found, 1))
	case NDCG:
		ideal := 0.
		for i := range min(m.K, r) {
			ideal += discount(i)
		}
		return dcg / ideal
	case MAP:
		return precisions / float64(min(m.K, r))
	case MRR:
		if first > 0 {
			return 1 / float64(first)
		}
	}
	return 0
}

// discount is what an item at the place i, from 0, is worth.
func discount(i int) float64 { return 1 / math.Log2(float64(i)+2) }
