package kit_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
	"github.com/attune-rec/attune/models/pipeline/source"
)

func rules(t testing.TB, list ...rule.Rule) *rule.Rules {
	t.Helper()
	e, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].Name = fmt.Sprint("rule-", i)
	}
	r, err := rule.Compile(e, []rule.Set{{ID: "set", Rules: list}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// steering is rules that do what a test says.
type steering struct {
	mask    func(*features.Bitmap)
	keep    func(features.Row) bool
	wanted  func() []features.Row
	adjust  func([]pipeline.Candidate) error
	arrange func([]pipeline.Candidate) ([]pipeline.Candidate, error)
	done    int
}

func (s *steering) Steer(*features.Request) pipeline.Steering { return s }
func (s *steering) Broken() []string                          { return nil }
func (s *steering) Done()                                     { s.done++ }
func (s *steering) Keep(row features.Row) bool                { return s.keep == nil || s.keep(row) }

func (s *steering) Mask(eligible *features.Bitmap) {
	if s.mask != nil {
		s.mask(eligible)
	}
}

func (s *steering) Wanted(_ *features.Bitmap, _ []pipeline.Candidate, dst []features.Row) []features.Row {
	if s.wanted != nil {
		return append(dst, s.wanted()...)
	}
	return dst
}

func (s *steering) Adjust(cs []pipeline.Candidate) error {
	if s.adjust != nil {
		return s.adjust(cs)
	}
	return nil
}

func (s *steering) Arrange(_, picked []pipeline.Candidate) ([]pipeline.Candidate, error) {
	if s.arrange != nil {
		return s.arrange(picked)
	}
	return picked, nil
}

// TestNothingThatRulesKeepBackLeaves tries every source and fallback against
// filters of every shape, with pins that would bring the same items in.
func TestNothingThatRulesKeepBackLeaves(t *testing.T) {
	cat, env := shelf(t, nil), environment(t, nil)
	mug := func(it *features.Item) bool { return slices.Contains(it.Category, "Mugs") }
	dear := func(it *features.Item) bool { return it.PriceIn("DE").Units() > 9 }
	for _, f := range []struct {
		rule rule.Rule
		keep func(*features.Item) bool
	}{
		{rule.Rule{Condition: "'Mugs' in item.category"}, mug},
		{rule.Rule{Condition: "'Mugs' in item.category", Drop: true}, func(it *features.Item) bool { return !mug(it) }},
		{rule.Rule{Condition: "item.price > request.hour - 3", Drop: true}, func(it *features.Item) bool { return !dear(it) }},
		{rule.Rule{Condition: "item.category.exists(c, c in profile.categories)"}, mug},
		{rule.Rule{Condition: "item.category.exists(c, c in profile.categories)", Drop: true}, func(it *features.Item) bool { return !mug(it) }},
		{rule.Rule{Condition: "item.brand == 'nobody'"}, func(*features.Item) bool { return false }},
		{rule.Rule{When: "request.market == 'DE'", Drop: true}, func(*features.Item) bool { return false }},
	} {
		f.rule.Action = rule.Filter
		steer := rules(t, f.rule, rule.Rule{Action: rule.Pin, Slot: 1, Condition: "true"}, rule.Rule{Action: rule.Pin, Slot: 2, Condition: "item.price < 500.0"},
			rule.Rule{Action: rule.Quota, MinShare: 1, Condition: "item.id != ''"}, rule.Rule{Action: rule.Boost, Factor: "3"})
		left := 0
		for _, name := range source.Names() {
			for _, fallback := range []bool{false, true} {
				spec := models.SourceSpec{Name: name, Source: name, Model: modelOf[name], Limit: shelfItems}
				if name == "new" {
					spec.Params = map[string]any{"days": 0}
				}
				rec := models.Recipe{Surface: "test", Ranker: models.RankerSpec{Ranker: "source"}, Sources: []models.SourceSpec{spec}}
				if fallback {
					rec.Sources, rec.Fallback = nil, rec.Sources
				}
				r := request(cat, known(2, 3, 4, 5, 7, 8))
				r.Shopper.Profile = &features.Profile{Categories: []features.Weighted{{Name: "Mugs", Weight: 1}}}
				r.Market, r.Limit, r.Item, r.Cart, r.Exclude = "DE", shelfItems, 14, []features.Row{12}, []features.Row{9}
				ans := answer(t, build(t, rec, env, pipeline.Options{Rules: steer}), r)
				left += len(ans.Items)
				for _, it := range ans.Items {
					item := cat.Item(it.Row)
					if !f.keep(item) {
						t.Errorf("source %s, fallback %v, %+v: item %d left", name, fallback, f.rule, it.Row)
					}
					if it.Row == 9 || item.Hidden || !item.SoldIn("DE") || !item.InStock("DE") || !item.OnSale(now) {
						t.Errorf("source %s, fallback %v: item %d left, which is excluded or not to be sold", name, fallback, it.Row)
					}
				}
			}
		}
		if some := cat.Item(4); left == 0 && (f.keep(some) || f.keep(cat.Item(5))) {
			t.Errorf("%+v: nothing left at all", f.rule)
		}
	}
}

// What the request itself asks for holds for every source.
func TestRequestsOwnRangeAndCategories(t *testing.T) {
	cat, env := shelf(t, nil), environment(t, nil)
	for _, name := range source.Names() {
		for _, fallback := range []bool{false, true} {
			rec := models.Recipe{Surface: "test", Ranker: models.RankerSpec{Ranker: "source"}, Sources: []models.SourceSpec{
				{Name: name, Source: name, Model: modelOf[name], Limit: shelfItems, Params: map[string]any{}},
			}}
			if fallback {
				rec.Sources, rec.Fallback = nil, rec.Sources
			}
			p := build(t, rec, env, pipeline.Options{})
			r := request(cat, known(2, 3, 4, 5, 7, 8))
			r.Item, r.Cart, r.Limit = 6, []features.Row{6}, shelfItems
			r.PriceFrom, r.PriceTo, r.Categories = 3, 9, []string{"Fashion", "Nowhere"}
			for _, it := range answer(t, p, r).Items {
				if it.Row < 3 || it.Row > 9 || it.Row%2 == 0 {
					t.Errorf("source %s, fallback %v: item %d left", name, fallback, it.Row)
				}
			}
			r.Catalog = nil
			if got := answer(t, p, r).Items; len(got) > 0 {
				t.Errorf("source %s without a catalogue: got %d items, want none", name, len(got))
			}
		}
	}
	p := build(t, recipe(t, features.SurfaceHome), env, pipeline.Options{})
	r := request(cat, nil)
	for _, c := range []struct {
		from, to   float64
		categories []string
		want       int
	}{{0, 0, nil, 21}, {20, 0, nil, 2}, {0, 4, nil, 5}, {0, 0, []string{"Home/Mugs"}, 10}, {2, 6, []string{"Home", "Fashion/Scarves"}, 5}, {0, 0, []string{"x"}, 0}} {
		r.PriceFrom, r.PriceTo, r.Categories, r.Limit = c.from, c.to, c.categories, shelfItems
		if got := answer(t, p, r).Items; len(got) != c.want {
			t.Errorf("%+v: got %d items, want %d", c, len(got), c.want)
		}
	}
}

// Whatever breaks in the rules: filters keep everything back, the rest costs
// nothing but itself, and the answer says so.
func TestBrokenRulesDegrade(t *testing.T) {
	cat := shelf(t, nil)
	rec := models.Recipe{Sources: sourcesOf("sound"), Fallback: sourcesOf("more")}
	for name, c := range map[string]struct {
		s    *steering
		want []features.Row
	}{
		"mask":   {&steering{mask: func(*features.Bitmap) { panic("boom") }}, nil},
		"keep":   {&steering{keep: func(features.Row) bool { panic("boom") }}, nil},
		"wanted": {&steering{wanted: func() []features.Row { panic("boom") }}, []features.Row{4, 2, 6}},
		"adjust": {&steering{adjust: func(cs []pipeline.Candidate) error { cs[0].Score = -9; panic("boom") }}, []features.Row{4, 2, 6}},
		"arrange": {&steering{arrange: func(cs []pipeline.Candidate) ([]pipeline.Candidate, error) {
			cs[0].Row = 1
			return nil, fmt.Errorf("boom")
		}}, []features.Row{4, 2, 6}},
	} {
		r := request(cat, nil)
		r.Limit = 3
		ans, err := run(t, rec, r, pipeline.Options{Rules: c.s}, &stub{name: "sound", ask: gives(4, 2, 6)}, &stub{name: "more", ask: gives(8)})
		if err != nil || !slices.Equal(rowsOf(ans), c.want) {
			t.Errorf("%s: got rows %v, %v, want %v", name, rowsOf(ans), err, c.want)
		}
		if want := []pipeline.Degradation{{Component: pipeline.RulesName, Why: "error"}}; !slices.Equal(ans.Degraded, want) {
			t.Errorf("%s: got degraded %v, want %v", name, ans.Degraded, want)
		}
		if c.s.done != 1 {
			t.Errorf("%s: done %d times, want once", name, c.s.done)
		}
	}
	e, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	for action, want := range map[rule.Action]int{rule.Filter: 0, rule.Bury: 3} {
		broken, _ := rule.Compile(e, []rule.Set{{ID: "s", Rules: []rule.Rule{{Name: "r", Action: action, Condition: "item.gone"}}}})
		ans, err := run(t, rec, request(cat, nil), pipeline.Options{Rules: broken}, &stub{name: "sound", ask: gives(4, 2, 6)}, &stub{name: "more", ask: gives()})
		if err != nil || len(ans.Items) != want || !slices.Contains(ans.Degraded, pipeline.Degradation{Component: "rule s/r", Why: "error"}) {
			t.Errorf("%s: got %d items, degraded %v, %v, want %d and the rule's name", action, len(ans.Items), ans.Degraded, err, want)
		}
	}
}

// Rules have the last word, over selectors too, and bring in what no source
// proposed; nothing they invent leaves.
func TestRulesHaveTheLastWord(t *testing.T) {
	cat := shelf(t, nil)
	sound := &stub{name: "sound", ask: gives(4, 2, 6, 8, 10)}
	ask := func(rec models.Recipe, list ...rule.Rule) *pipeline.Answer {
		t.Helper()
		rec.Sources = sourcesOf("sound")
		ans, err := run(t, rec, request(cat, nil), pipeline.Options{Rules: rules(t, list...)}, sound)
		if err != nil || len(ans.Degraded) > 0 {
			t.Fatalf("got %v, degraded %v", err, ans.Degraded)
		}
		return ans
	}
	ans := ask(models.Recipe{}, rule.Rule{Action: rule.Pin, Slot: 2, Condition: "item.id == 'item-7'", Sponsored: true})
	if !slices.Equal(rowsOf(ans), []features.Row{4, 7, 2, 6, 8}) || ans.Items[1].Source != pipeline.RulesName || !ans.Items[1].Sponsored || ans.Items[0].Sponsored {
		t.Errorf("a pin: got %v, %+v", rowsOf(ans), ans.Items[1])
	}
	brands := models.Recipe{Selectors: []models.ComponentSpec{{Name: "caps", Params: map[string]any{"brand": 1}}}}
	if got := rowsOf(ask(brands)); !slices.Equal(got, []features.Row{4, 2, 6}) {
		t.Fatalf("one of each brand: got %v", got)
	}
	if got := rowsOf(ask(brands, rule.Rule{Action: rule.Pin, Slot: 1, Condition: "item.id == 'item-10'"})); !slices.Equal(got, []features.Row{10, 4, 2, 6}) {
		t.Errorf("a pin that caps dropped: got %v, want it first", got)
	}
	if got := rowsOf(ask(models.Recipe{}, rule.Rule{Action: rule.Quota, MinCount: 2, Condition: "'Scarves' in item.category"})); !slices.Equal(got[:3], []features.Row{4, 2, 6}) || got[3]%2 != 1 || got[4]%2 != 1 {
		t.Errorf("two scarves: got %v, want them last, for no source found one", got)
	}
	if got := rowsOf(ask(models.Recipe{}, rule.Rule{Action: rule.Quota, MaxShare: .4, Condition: "item.brand == 'brand-1'"})); !slices.Equal(got, []features.Row{4, 2, 6, 8, 10}) {
		t.Errorf("two of brand-1 at most: got %v", got)
	}
	liar := &steering{wanted: func() []features.Row { return []features.Row{22, 21, -3, 1 << 20, 11} }}
	r := request(cat, nil)
	r.Market, r.Limit, r.Exclude = "DE", 20, []features.Row{11}
	ans, err := run(t, models.Recipe{Sources: sourcesOf("sound")}, r, pipeline.Options{Rules: liar}, sound)
	if err != nil || !slices.Equal(rowsOf(ans), []features.Row{4, 2, 6, 8, 10}) {
		t.Errorf("rules that bring in what may not leave: got %v, %v", rowsOf(ans), err)
	}
}

// Rules that hold for no request cost an answer nothing, and the same rules
// under another answer's memory change nothing.
func TestRulesThatDoNotHold(t *testing.T) {
	cat, env := shelf(t, nil), environment(t, nil)
	plain := build(t, recipe(t, features.SurfaceHome), env, pipeline.Options{})
	steered := build(t, recipe(t, features.SurfaceHome), env, pipeline.Options{Rules: rules(t,
		rule.Rule{Action: rule.Filter, When: "request.market == 'XX'", Condition: "false"}, rule.Rule{Action: rule.Boost, Condition: "profile.orders > 3", Factor: "9"})})
	for _, rows := range [][]features.Row{nil, {3, 5}, {2}} {
		r := request(cat, known(rows...))
		want := fmt.Sprint(answer(t, plain, r).Items)
		if got := fmt.Sprint(answer(t, steered, r).Items); got != want {
			t.Errorf("history %v: got %s, want %s", rows, got, want)
		}
		var ans pipeline.Answer
		if err := steered.AnswerWith(context.Background(), r, nil, &ans); err != nil || fmt.Sprint(ans.Items) != want {
			t.Errorf("history %v without rules: got %v, %v, want %s", rows, ans.Items, err, want)
		}
	}
}

func BenchmarkAnswerWithRules(b *testing.B) {
	cat, env := shelf(b, nil), environment(b, nil)
	steer := rules(b, rule.Rule{Action: rule.Filter, Condition: "item.price < 500 && item.in_stock"}, rule.Rule{Action: rule.Filter, Condition: "item.brand == 'nobody'", Drop: true},
		rule.Rule{Action: rule.Boost, Factor: "item.brand in profile.brands ? 1.5 : 1.0"}, rule.Rule{Action: rule.Bury, Condition: "profile.lifecycle == 'lost' && item.price > 10"},
		rule.Rule{Action: rule.Quota, MaxShare: .5, Condition: "'Mugs' in item.category"})
	r := request(cat, known(3, 5))
	r.Shopper.Profile = &features.Profile{Lifecycle: "loyal", Brands: []features.Weighted{{Name: "brand-1", Weight: 1}}}
	for name, opts := range map[string]pipeline.Options{"none": {}, "five": {Rules: steer}} {
		p := build(b, models.Recipe{
			Surface: "test", Ranker: models.RankerSpec{Ranker: "source"},
			Sources: []models.SourceSpec{{Name: "popular", Source: "popular", Model: pipeline.ModelPopular, Limit: 24}},
		}, env, opts)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var ans pipeline.Answer
			for b.Loop() {
				if err := p.Answer(context.Background(), r, &ans); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
