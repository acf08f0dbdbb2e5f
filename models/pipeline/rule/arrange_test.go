package rule_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

func candidates(scores ...float32) []pipeline.Candidate {
	cs := make([]pipeline.Candidate, len(scores))
	for i, v := range scores {
		cs[i] = pipeline.Candidate{Row: features.Row(i), Score: v, Propensity: 1}
	}
	return cs
}

func rows(cs []pipeline.Candidate) (out []features.Row) {
	for _, c := range cs {
		out = append(out, c.Row)
	}
	return out
}

func TestBoostMovesByDeviations(t *testing.T) {
	items, err := catalog.Of([]features.Item{
		{ID: "a", Brand: "nord"}, {ID: "b", Prices: map[string]features.Money{"": features.MoneyOf(8, "EUR")}, Sponsor: "b"}, {ID: "c"}, {ID: "d", Brand: "nord", Sponsor: "d"},
	})
	if err != nil {
		t.Fatal(err)
	}
	scores := []float32{-4, -3, -2, -1} // deviation: the root of 1.25
	for name, c := range map[string]struct {
		rules     []rule.Rule
		want      []float64 // in deviations
		sponsored []features.Row
	}{
		"some":      {[]rule.Rule{{Condition: "item.brand == 'nord'", Factor: "2"}}, []float64{math.Log(2), 0, 0, math.Log(2)}, []features.Row{3}},
		"not known": {[]rule.Rule{{Factor: "item.price / 4"}}, []float64{0, math.Log(2), 0, 0}, []features.Row{1}},
		"multiply":  {[]rule.Rule{{Factor: "0.5"}, {Condition: "item.id == 'c'", Factor: "4.0"}}, []float64{-math.Log(2), -math.Log(2), math.Log(2), -math.Log(2)}, nil},
		"bounded":   {[]rule.Rule{{Condition: "item.id == 'c'", Factor: "1e30"}, {Condition: "item.id == 'a'", Factor: "-3"}}, []float64{-math.Log(100), 0, math.Log(100), 0}, nil},
	} {
		for i := range c.rules {
			c.rules[i].Action = rule.Boost
		}
		s := compile(t, c.rules...).Steer(request(items, 4, nil))
		cs := candidates(scores...)
		if err := s.Adjust(cs); err != nil {
			t.Fatal(err)
		}
		for i := range cs {
			got := (float64(cs[i].Score) - float64(scores[i])) / math.Sqrt(1.25)
			if math.Abs(got-c.want[i]) > 1e-6 || cs[i].Sponsored != slices.Contains(c.sponsored, cs[i].Row) {
				t.Errorf("%s: item %d moved %v deviations, sponsored %v, want %v, %v", name, i, got, cs[i].Sponsored, c.want[i], c.sponsored)
			}
		}
		s.Done()
	}
}

func arrange(t *testing.T, items features.Catalog, limit int, cs []pipeline.Candidate, rules ...rule.Rule) []pipeline.Candidate {
	t.Helper()
	s := compile(t, rules...).Steer(request(items, limit, nil))
	defer s.Done()
	ranked := slices.Clone(cs)
	if err := s.Adjust(ranked); err != nil {
		t.Fatal(err)
	}
	out, err := s.Arrange(ranked, slices.Clone(ranked))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out)
}

func byID(ids ...string) string { return "item.id in ['" + strings.Join(ids, "', '") + "']" }

func TestPinsAndBurials(t *testing.T) {
	items := goods(t, 8)
	cs := candidates(8, 7, 6, 5, 4, 3)
	for name, c := range map[string]struct {
		rules []rule.Rule
		want  []features.Row
	}{
		"pin":              {[]rule.Rule{{Action: rule.Pin, Slot: 2, Condition: byID("i4")}}, []features.Row{0, 4, 1, 2, 3, 5}},
		"the best of some": {[]rule.Rule{{Action: rule.Pin, Slot: 1, Condition: byID("i5", "i3")}}, []features.Row{3, 0, 1, 2, 4, 5}},
		"two of one place": {[]rule.Rule{{Action: rule.Pin, Slot: 1, Condition: byID("i3")}, {Action: rule.Pin, Slot: 1, Priority: 5, Condition: byID("i4")}}, []features.Row{4, 3, 0, 1, 2, 5}},
		"one for two":      {[]rule.Rule{{Action: rule.Pin, Slot: 1, Condition: byID("i3")}, {Action: rule.Pin, Slot: 3, Condition: byID("i3")}}, []features.Row{3, 0, 1, 2, 4, 5}},
		"beyond the page":  {[]rule.Rule{{Action: rule.Pin, Slot: 5, Condition: byID("i5")}}, []features.Row{0, 1, 2, 3, 4, 5}},
		"bury":             {[]rule.Rule{{Action: rule.Bury, Condition: byID("i0", "i2")}}, []features.Row{1, 3, 4, 5, 0, 2}},
		"bury and pin":     {[]rule.Rule{{Action: rule.Bury, Condition: byID("i0", "i2")}, {Action: rule.Pin, Slot: 1, Condition: byID("i2")}}, []features.Row{2, 1, 3, 4, 5, 0}},
		"nothing to pin":   {[]rule.Rule{{Action: rule.Pin, Slot: 1, Condition: byID("i7")}}, []features.Row{0, 1, 2, 3, 4, 5}},
	} {
		got := arrange(t, items, 4, cs, c.rules...)
		if !slices.Equal(rows(got), c.want) {
			t.Errorf("%s: got %v, want %v", name, rows(got), c.want)
		}
		for _, g := range got {
			if g.Score != cs[g.Row].Score {
				t.Errorf("%s: item %d has score %v, want %v as before", name, g.Row, g.Score, cs[g.Row].Score)
			}
		}
	}
	got := arrange(t, items, 4, cs, rule.Rule{Action: rule.Pin, Slot: 2, Condition: byID("i4"), Sponsored: true})
	if !got[1].Sponsored || got[0].Sponsored && items.Item(0).Sponsor == "" {
		t.Errorf("got %+v, want the second labelled as sponsored", got[:2])
	}
	s := compile(t, rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i4")}).Steer(request(items, 4, nil))
	defer s.Done()
	out, err := s.Arrange(cs, slices.Clone(cs[:4])) // selectors dropped it
	if err != nil || !slices.Equal(rows(out), []features.Row{4, 0, 1, 2, 3}) {
		t.Errorf("got %v, %v, want what was dropped back in its place", rows(out), err)
	}
}

func TestQuotasAgainstSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	items := goods(t, 8)
	fulfilled := 0
	for trial := range 3000 {
		n, limit := 1+rng.IntN(8), 1+rng.IntN(5)
		group := make([]int, 8) // each item is in one group at most: 0 is none
		ids := map[int][]string{}
		for i := range group {
			group[i] = rng.IntN(3)
			ids[group[i]] = append(ids[group[i]], fmt.Sprint("i", i))
		}
		var rules []rule.Rule
		least, most := map[int]int{}, map[int]int{}
		for g := 1; g <= 2; g++ {
			if len(ids[g]) == 0 || rng.IntN(4) == 0 {
				continue
			}
			r := rule.Rule{Action: rule.Quota, Condition: byID(ids[g]...), MinCount: rng.IntN(4)}
			most[g] = limit
			switch rng.IntN(3) {
			case 0:
				r.MaxCount = max(1, r.MinCount) + rng.IntN(2)
				most[g] = min(limit, r.MaxCount)
			case 1:
				r.MaxShare = .5
				most[g] = limit / 2
			}
			if r.MinCount+r.MaxCount == 0 && r.MaxShare == 0 {
				r.MinShare = .3
			}
			least[g] = min(max(r.MinCount, int(math.Ceil(r.MinShare*float64(limit)))), limit)
			rules = append(rules, r)
		}
		if len(rules) == 0 {
			continue
		}
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(-i)
		}
		got := rows(arrange(t, items, limit, candidates(scores...), rules...))
		counts := map[int]int{}
		for _, row := range got[:min(limit, len(got))] {
			counts[group[row]]++
		}
		for g, m := range most {
			if counts[g] > m {
				t.Fatalf("trial %d: got %v with %d of group %d, at most %d", trial, got, counts[g], g, m)
			}
		}
		want := search(n, limit, group, least, most)
		if want == nil {
			continue // no way to keep them all: the bounds above are all that is asked
		}
		fulfilled++
		if !slices.Equal(got[:min(limit, len(got))], want) {
			t.Fatalf("trial %d, limit %d, groups %v, least %v, most %v: got %v, want %v", trial, limit, group[:n], least, most, got, want)
		}
	}
	if fulfilled < 800 {
		t.Fatalf("only %d trials could be fulfilled", fulfilled)
	}
}

func search(n, limit int, group []int, least, most map[int]int) []features.Row {
	var list []features.Row
	counts := map[int]int{}
	var try func() bool
	try = func() bool {
		if len(list) == limit {
			for g, l := range least {
				if counts[g] < l {
					return false
				}
			}
			return true
		}
		for i := range features.Row(n) {
			g := group[i]
			if m, ok := most[g]; slices.Contains(list, i) || ok && counts[g] >= m {
				continue
			}
			list = append(list, i)
			counts[g]++
			if try() {
				return true
			}
			list = list[:len(list)-1]
			counts[g]--
		}
		return false
	}
	if !try() {
		return nil
	}
	return list
}
