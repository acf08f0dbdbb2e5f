package rule_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/expr"
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

// arrange is what rules make of candidates in the order of their scores.

// TestQuotasAgainstSearch: of all the ways to fill the places that keep the

// quotas, the one whose first item stands highest, then its second, and so on.

// search is the first list of limit items, in lexicographic order, that keeps

// all bounds; nil when there is none.

// A broken filter lets nothing through, whatever else is broken does nothing.

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
