package customer

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features/logistic"
)

// Judged says how good chances of something are beside a baseline's, over the
// same customers.
type Judged struct {
	Customers int     `json:"customers"`
	Share     float64 `json:"share"`    // of those whom it happened to
	AUC       float64 `json:"auc"`      // of the chances
	Baseline  float64 `json:"baseline"` // AUC of the baseline
	Gain      float64 `json:"gain"`     // AUC less Baseline, with its 95 % interval
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
	// Calibration is the expected calibration error: the mean distance of chance
	// from frequency over ten groups of equally many customers by chance.
	Calibration float64 `json:"calibration"`
}

// Judge compares chances, and a baseline's scores in any unit, with what
// happened. Who says which customer each is of, where one is judged at several
// times; nil: each is of another. The interval is by paired bootstrap over
// customers, 1,000 times.
func Judge(chances, baseline []float64, happened []bool, who []int, seed uint64) Judged {
	n := len(chances)
	j := Judged{Customers: n}
	for _, h := range happened {
		if h {
			j.Share += 1 / float64(n)
		}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	j.AUC, j.Baseline = logistic.AUC(chances, happened, all), logistic.AUC(baseline, happened, all)
	j.Gain = j.AUC - j.Baseline
	j.Calibration = calibration(chances, happened)
	r := rand.New(rand.NewPCG(seed, 0))
	gains := make([]float64, 0, 1000)
	owned := byOwner(who, n)
	draw := make([]int, 0, n)
	for range cap(gains) {
		draw = draw[:0]
		for range owned {
			draw = append(draw, owned[r.IntN(len(owned))]...)
		}
		if gain := logistic.AUC(chances, happened, draw) - logistic.AUC(baseline, happened, draw); !math.IsNaN(gain) {
			gains = append(gains, gain)
		}
	}
	if slices.Sort(gains); len(gains) > 0 {
		j.Low, j.High = gains[len(gains)*25/1000], gains[len(gains)*975/1000]
	}
	return j
}

// byOwner is the places of each customer's judgements.
func byOwner(who []int, n int) [][]int {
	var owned [][]int
	seen := map[int]int{}
	for i := range n {
		if who == nil {
			owned = append(owned, []int{i})
			continue
		}
		at, ok := seen[who[i]]
		if !ok {
			at = len(owned)
			seen[who[i]] = at
			owned = append(owned, nil)
		}
		owned[at] = append(owned[at], i)
	}
	return owned
}

func calibration(chances []float64, happened []bool) float64 {
	order := make([]int, len(chances))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(chances[a], chances[b]) })
	const groups = 10
	sum := 0.0
	for g := range groups {
		off := 0.0
		for _, i := range order[g*len(order)/groups : (g+1)*len(order)/groups] {
			off += chances[i]
			if happened[i] {
				off--
			}
		}
		sum += math.Abs(off)
	}
	return sum / float64(len(chances))
}
