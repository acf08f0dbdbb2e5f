package rule_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

var newEngine = sync.OnceValues(expr.New) // it takes milliseconds

func engine(t testing.TB) *expr.Engine {
	t.Helper()
	e, err := newEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func compile(t testing.TB, rules ...rule.Rule) *rule.Rules {
	t.Helper()
	for i := range rules {
		if rules[i].Name == "" {
			rules[i].Name = fmt.Sprint("rule-", i)
		}
	}
	r, err := rule.Compile(engine(t), []rule.Set{{ID: "set", Rules: rules}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// goods is a catalogue in which prices, brands and tags are missing here and
// there.
func goods(t testing.TB, n int) *catalog.Snapshot {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	items := make([]features.Item, n)
	for i := range items {
		it := features.Item{ID: fmt.Sprint("i", i), Brand: []string{"", "acme", "nord"}[rng.IntN(3)], Category: []string{"home", []string{"mugs", "cups"}[rng.IntN(2)]}}
		if rng.IntN(4) > 0 {
			it.Prices = map[string]features.Money{"": features.MoneyOf(float64(1+rng.IntN(40)), "EUR")}
		}
		if rng.IntN(3) == 0 {
			it.Tags = []string{[]string{"new", "sale"}[rng.IntN(2)]}
		}
		if rng.IntN(5) == 0 {
			it.Sponsor = "brand"
		}
		items[i] = it
	}
	c, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(items features.Catalog, limit int, profile *features.Profile) *features.Request {
	r := &features.Request{Query: features.Query{Surface: "home", Now: noon, Limit: limit}, Item: features.NoRow, Catalog: items}
	if profile != nil {
		r.Shopper = &features.Shopper{Consent: features.AllPurposes, Profile: profile}
	}
	return r
}

func loyal() *features.Profile {
	return &features.Profile{Lifecycle: "loyal", Orders: 4, Spent: 80, Brands: []features.Weighted{{Name: "nord", Weight: .5}}, Categories: []features.Weighted{{Name: "mugs", Weight: .7}}}
}

// conditions are decided by bitmaps, by the shopper, by both, and for each
// candidate, and for some items not at all.
var conditions = []string{
	"item.price < 20", "item.brand == 'acme' || 'sale' in item.tags", "!(item.price > 10)", "item.category.exists(c, c == 'mugs')",
	"item.brand in profile.brands", "item.price < profile.order_value", "profile.orders > 2 && item.price > 5", "profile.lifecycle == 'lost'",
	"item.category.exists(c, c in profile.categories) || item.price > 30", "request.channel == 'app' ? item.price < 10 : item.brand != 'nord'", "true", "false",
}

// TestFiltersAgainstPlainEvaluation: what Mask and Keep leave together is what
// the whole expression says of each item.
func TestFiltersAgainstPlainEvaluation(t *testing.T) {
	items, e := goods(t, 130), engine(t)
	for _, source := range conditions {
		plain, err := e.Compile(source, expr.Rule)
		if err != nil {
			t.Fatal(err)
		}
		for _, drop := range []bool{false, true} {
			rules := compile(t, rule.Rule{Action: rule.Filter, Condition: source, Drop: drop})
			for _, profile := range []*features.Profile{nil, loyal(), {Lifecycle: "lost"}} {
				r := request(items, 10, profile)
				s := rules.Steer(r)
				eligible := features.FullBitmap(items.Len())
				s.Mask(eligible)
				for row := range features.Row(items.Len()) {
					v, known := plain.Plain(r, items.Item(row))
					want := (known && v != 0) != drop
					if got := eligible.Has(row) && s.Keep(row); got != want {
						t.Fatalf("%s, drop %v: item %d: got %v, want %v", source, drop, row, got, want)
					}
				}
				s.Done()
			}
		}
	}
}

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

// arrange is what rules make of candidates in the order of their scores.
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

// TestQuotasAgainstSearch: of all the ways to fill the places that keep the
// quotas, the one whose first item stands highest, then its second, and so on.
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

// search is the first list of limit items, in lexicographic order, that keeps
// all bounds; nil when there is none.
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

func TestWhatRulesHaveAPlaceFor(t *testing.T) {
	items := goods(t, 60)
	eligible := features.FullBitmap(60)
	eligible.Clear(40)
	found := candidates(3, 2, 1)
	wanted := func(rules ...rule.Rule) []features.Row {
		s := compile(t, rules...).Steer(request(items, 10, loyal()))
		defer s.Done()
		return s.Wanted(eligible, found, nil)
	}
	if got := wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i50")}); !slices.Equal(got, []features.Row{50}) {
		t.Errorf("a pin: got %v, want 50", got)
	}
	if got := wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i40")}); len(got) != 0 {
		t.Errorf("a pin on what may not be answered: got %v, want none", got)
	}
	if got := wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: byID("i1")}); len(got) != 0 {
		t.Errorf("a pin on what was found: got %v, want none", got)
	}
	if got := wanted(rule.Rule{Action: rule.Quota, MinShare: .3, Condition: byID("i0", "i50", "i51", "i52")}); !slices.Equal(got, []features.Row{50, 51, 52}) {
		t.Errorf("a quota of three: got %v, want 50, 51, 52", got)
	}
	for _, row := range wanted(rule.Rule{Action: rule.Pin, Slot: 1, Condition: "item.price > 39 && item.price < profile.spent * 10"}) {
		if p := items.Item(row).PriceIn(""); p.Units() <= 39 {
			t.Errorf("item %d of price %v is wanted", row, p.Units())
		}
	}
}

func TestWhatIsWrongIsSaidWhere(t *testing.T) {
	for name, c := range map[string]struct {
		rule  rule.Rule
		field string
		parts []string
	}{
		"unknown field":     {rule.Rule{Action: rule.Filter, Condition: "item.in_stock &&\n item.prize < 3"}, "condition", []string{"line 2, column 2", "item.prize", "the fields are", "item.price"}},
		"item in when":      {rule.Rule{Action: rule.Bury, When: "item.price < 3", Condition: "true"}, "when", []string{"item.price", "profile.orders"}},
		"no number":         {rule.Rule{Action: rule.Boost, Factor: "item.brand"}, "factor", []string{"a number is needed"}},
		"no factor":         {rule.Rule{Action: rule.Boost}, "factor", []string{"1.5"}},
		"no action":         {rule.Rule{Condition: "true"}, "action", []string{"filter, boost"}},
		"no slot":           {rule.Rule{Action: rule.Pin, Condition: "true"}, "slot", []string{"from 1"}},
		"no bound":          {rule.Rule{Action: rule.Quota, Condition: "true"}, "quota", []string{"bound"}},
		"keeps nothing":     {rule.Rule{Action: rule.Filter}, "condition", []string{"needs a condition"}},
		"off and yet wrong": {rule.Rule{Off: true, Action: rule.Bury, Condition: "item."}, "condition", []string{"line 1"}},
	} {
		c.rule.Name = "r"
		_, err := rule.Compile(engine(t), []rule.Set{{ID: "s", Rules: []rule.Rule{{Name: "fine", Action: rule.Bury, Condition: "true"}, c.rule}}})
		var f *rule.Fault
		if !errors.As(err, &f) || f.Set != "s" || f.Rule != "r" || f.Index != 1 || f.Field != c.field {
			t.Errorf("%s: got %#v, want a fault in %s of rule 1", name, err, c.field)
			continue
		}
		for _, part := range c.parts {
			if !strings.Contains(f.Err.Error(), part) {
				t.Errorf("%s: got %q, want %q in it", name, f.Err, part)
			}
		}
	}
}

func TestCostIsBoundedTogether(t *testing.T) {
	dear := "item.tags.exists(a, item.category.exists(b, b == a && b in profile.categories))"
	var rules []rule.Rule
	for i := range 40 {
		rules = append(rules, rule.Rule{Name: fmt.Sprint(i), Action: rule.Bury, Condition: dear})
	}
	if _, err := rule.Compile(engine(t), []rule.Set{{ID: "s", Rules: rules}}); err == nil || !strings.Contains(err.Error(), "may cost") {
		t.Errorf("got %v, want that they cost too much together", err)
	}
	var many []rule.Set
	for i := range 5 {
		set := rule.Set{ID: fmt.Sprint(i)}
		for n := range 50 {
			set.Rules = append(set.Rules, rule.Rule{Name: fmt.Sprint(n), Action: rule.Bury, Condition: "item.price < 3"})
		}
		many = append(many, set)
	}
	if _, err := rule.Compile(engine(t), many); err == nil || !strings.Contains(err.Error(), "at most 200") {
		t.Errorf("got %v, want that they are too many", err)
	}
	many[0].Surface, many[1].Surface = "home", "item" // which never meet
	if _, err := rule.Compile(engine(t), many[:4]); err != nil {
		t.Errorf("got %v, want no error: 150 meet at most", err)
	}
}

// A broken filter lets nothing through, whatever else is broken does nothing.
func TestBrokenRules(t *testing.T) {
	items := goods(t, 10)
	for action, left := range map[rule.Action]int{rule.Filter: 0, rule.Bury: 10, rule.Pin: 10, rule.Quota: 10} {
		rules, err := rule.Compile(engine(t), []rule.Set{{ID: "s", Rules: []rule.Rule{{Name: "r", Action: action, Slot: 1, MaxCount: 1, Condition: "item.gone"}}}})
		if err == nil {
			t.Fatalf("%s: got no error", action)
		}
		s := rules.Steer(request(items, 4, nil))
		if got := s.Broken(); !slices.Equal(got, []string{"s/r"}) {
			t.Errorf("%s: got broken %v, want s/r", action, got)
		}
		eligible := features.FullBitmap(10)
		s.Mask(eligible)
		if eligible.Count() != left || s.Keep(3) != (left > 0) {
			t.Errorf("%s: got %d left and keep %v, want %d", action, eligible.Count(), s.Keep(3), left)
		}
		cs := candidates(5, 4, 3)
		if err := s.Adjust(cs); err != nil {
			t.Error(err)
		}
		if out, err := s.Arrange(cs, slices.Clone(cs)); err != nil || !slices.Equal(rows(out), []features.Row{0, 1, 2}) {
			t.Errorf("%s: got %v, %v, want the order as it was", action, rows(out), err)
		}
		s.Done()
	}
}

func TestSurfacesAndTimes(t *testing.T) {
	bury := []rule.Rule{{Name: "r", Action: rule.Bury, Condition: "true"}}
	for name, c := range map[string]struct {
		set  rule.Set
		want bool
	}{
		"everywhere, always": {rule.Set{}, true}, "here": {rule.Set{Surface: "home"}, true}, "elsewhere": {rule.Set{Surface: "item"}, false},
		"from now": {rule.Set{Starts: noon}, true}, "later": {rule.Set{Starts: noon.Add(1)}, false},
		"until now": {rule.Set{Ends: noon}, false}, "until later": {rule.Set{Surface: "home", Ends: noon.Add(1)}, true},
		"off":       {rule.Set{Rules: []rule.Rule{{Name: "r", Off: true, Action: rule.Bury, Condition: "true"}}}, false},
		"for these": {rule.Set{Rules: []rule.Rule{{Name: "r", When: "profile.orders > 3", Action: rule.Bury, Condition: "true"}}}, true},
		"for those": {rule.Set{Rules: []rule.Rule{{Name: "r", When: "profile.orders > 4", Action: rule.Bury, Condition: "true"}}}, false},
	} {
		c.set.ID = "s"
		if c.set.Rules == nil {
			c.set.Rules = bury
		}
		rules, err := rule.Compile(engine(t), []rule.Set{c.set})
		if err != nil {
			t.Fatal(err)
		}
		s := rules.Steer(request(goods(t, 3), 3, loyal()))
		if (s != nil) != c.want {
			t.Errorf("%s: got rules %v, want %v", name, s != nil, c.want)
		}
		if s != nil {
			s.Done()
		}
	}
}

// Rules are used by many requests at once, and each sees its own shopper.
func TestRequestsAtOnce(t *testing.T) {
	items := goods(t, 40)
	rules := compile(t, rule.Rule{Action: rule.Filter, Condition: "item.brand in profile.brands"}, rule.Rule{Action: rule.Boost, Factor: "item.price / 10.0"})
	rules.Warm(items, "FR")
	var wg sync.WaitGroup
	for _, brand := range []string{"acme", "nord"} {
		wg.Go(func() {
			for range 50 {
				r := request(items, 5, &features.Profile{Brands: []features.Weighted{{Name: brand, Weight: 1}}})
				s := rules.Steer(r)
				eligible := features.FullBitmap(items.Len())
				s.Mask(eligible)
				for row := range features.Row(items.Len()) {
					if got, want := eligible.Has(row) && s.Keep(row), items.Item(row).Brand == brand; got != want {
						t.Errorf("%s: item %d of brand %q: got %v", brand, row, items.Item(row).Brand, got)
					}
				}
				s.Done()
			}
		})
	}
	wg.Wait()
}

func TestEffects(t *testing.T) {
	items := goods(t, 40)
	rules := compile(t, rule.Rule{Action: rule.Bury, Condition: "item.brand == 'acme'"}, rule.Rule{Action: rule.Filter, When: "profile.orders > 2", Condition: "[item.brand].exists(b, b in profile.brands)"})
	got := rules.Effects("set", []*features.Request{request(items, 3, nil), request(items, 3, loyal())}, 9)
	brands := map[string]int{}
	for row := range features.Row(items.Len()) {
		brands[items.Item(row).Brand]++
	}
	if len(got) != 2 || got[0].Requests != 2 || got[0].Items != 2*brands["acme"] || got[0].Residues != 0 || got[0].Cost == 0 {
		t.Errorf("got %+v, want the first of %d items for two requests, by bitmaps", got, brands["acme"])
	}
	if got[1].Requests != 1 || got[1].Items != brands["nord"] || got[1].Residues == 0 {
		t.Errorf("got %+v, want the second of %d items for one request", got[1], brands["nord"])
	}
}
