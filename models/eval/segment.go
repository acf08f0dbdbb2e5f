package eval

import (
	"fmt"
	"math"
	"sort"

	"github.com/attune-rec/attune/features"
)

// lengthBins are the lower ends of the segments by length of history.
var lengthBins = []int{0, 1, 5, 20, 100}

// mostMarkets is how many markets get a segment of their own.
const mostMarkets = 12

// Segments is the means of res by length of history, by market, and for cases
// with and without items that nobody had. Metrics of the whole are not in it.
func Segments(t Task, c *Cases, res *Result) []Segment {
	var out []Segment
	add := func(by, value string, cases []int) {
		if len(cases) == 0 {
			return
		}
		s := Segment{By: by, Value: value, Cases: len(cases), Metrics: map[string]float64{}}
		for i, m := range res.Metrics {
			if res.Values[i] == nil {
				continue
			}
			picked := make([]float64, len(cases))
			for k, at := range cases {
				picked[k] = res.Values[i][at]
			}
			if v := mean(picked); !math.IsNaN(v) {
				s.Metrics[m.String()] = v
			}
		}
		out = append(out, s)
	}
	lengths := make([][]int, len(lengthBins))
	markets := map[string][]int{}
	var warm, cold []int
	seen := features.NewBitmap(t.History.NumItems())
	for i := range t.History.Log {
		seen.Set(t.History.Log[i].Row)
	}
	for i, u := range c.User {
		n := len(t.History.History(int(u)))
		bin := sort.SearchInts(lengthBins, n+1) - 1
		lengths[bin] = append(lengths[bin], i)
		if t.History.Market != nil {
			m := t.History.LastMarket(int(u))
			markets[m] = append(markets[m], i)
		}
		unseen := false
		for _, row := range c.Relevant[i] {
			unseen = unseen || !seen.Has(row)
		}
		if unseen {
			cold = append(cold, i)
		} else {
			warm = append(warm, i)
		}
	}
	for bin, cases := range lengths {
		add("history", binName(bin), cases)
	}
	names := make([]string, 0, len(markets))
	for m := range markets {
		if m != "" {
			names = append(names, m)
		}
	}
	sort.Slice(names, func(a, b int) bool {
		if x, y := len(markets[names[a]]), len(markets[names[b]]); x != y {
			return x > y
		}
		return names[a] < names[b]
	})
	for _, m := range names[:min(len(names), mostMarkets)] {
		add("market", m, markets[m])
	}
	if len(cold) > 0 {
		add("items", "all known", warm)
		add("items", "some new", cold)
	}
	return out
}

func binName(bin int) string {
	switch low := lengthBins[bin]; {
	case bin+1 == len(lengthBins):
		return fmt.Sprintf("%d and more", low)
	case lengthBins[bin+1] == low+1:
		return fmt.Sprint(low)
	default:
		return fmt.Sprintf("%d-%d", low, lengthBins[bin+1]-1)
	}
}

// Summarise says what a task is about; the caller adds name, split, seed and
// remarks.
func Summarise(t Task, c *Cases) Summary {
	s := Summary{Ranking: "full", Users: t.History.NumUsers(), Items: t.History.NumItems(), Test: len(t.Test.Log), Cases: len(c.User)}
	if c.Sampled != nil {
		s.Ranking = "sampled"
	}
	seen, fresh := features.NewBitmap(s.Items), features.NewBitmap(s.Items)
	for i := range t.History.Log {
		seen.Set(t.History.Log[i].Row)
	}
	unseen := 0
	for u := range t.Test.Users {
		history := t.Test.History(u)
		if len(history) > 0 && len(t.History.History(u)) == 0 {
			s.ColdUsers++
		}
		for _, it := range history {
			if !seen.Has(it.Row) {
				fresh.Set(it.Row)
				unseen++
			}
		}
	}
	s.ColdItems = fresh.Count()
	if s.Test > 0 {
		s.ColdRelevant = float64(unseen) / float64(s.Test)
	}
	return s
}
