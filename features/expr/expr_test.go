package expr

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func engine(tb testing.TB) *Engine {
	tb.Helper()
	e, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// goods is a catalogue in which much is missing here and there.
func goods(rng *rand.Rand, n int) []features.Item {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	items := make([]features.Item, n)
	for i := range items {
		it := features.Item{ID: fmt.Sprint("i", i), Brand: pick("", "acme", "nord"), Title: pick("red mug", "blue cup", "")}
		if rng.IntN(4) > 0 {
			it.Prices = map[string]features.Money{"": features.MoneyOf(float64(rng.IntN(40)), "EUR"), "FR": features.MoneyOf(float64(rng.IntN(40)), "EUR")}
		}
		if rng.IntN(2) == 0 {
			it.ListPrices = map[string]features.Money{"": features.MoneyOf(30, "EUR")}
			it.Stock = map[string]int32{"FR": int32(rng.IntN(3))}
			it.Rating = float32(rng.IntN(6))
		}
		if rng.IntN(2) == 0 {
			it.Category = []string{"home", pick("mugs", "cups")}
			it.Tags = []string{pick("new", "sale"), pick("gift", "sale")}
			it.Attributes = map[string]string{pick("colour", "size"): pick("red", "l")}
			it.Created = noon.Add(-time.Duration(rng.IntN(90)) * 24 * time.Hour)
		}
		items[i] = it
	}
	return items
}

func requests(cat features.Catalog) []*features.Request {
	profile := &features.Profile{
		Market: "FR", First: noon.Add(-900 * time.Hour), Last: noon.Add(-9 * time.Hour), Orders: 4, Spent: 80, PriceLevel: .6, Lifecycle: "loyal",
		Categories: []features.Weighted{{Name: "mugs", Weight: .7}}, Brands: []features.Weighted{{Name: "nord", Weight: .5}},
		Segments: []string{"big"}, Tags: []features.Tag{{Name: "value", Confidence: .9}},
	}
	var rs []*features.Request
	for _, market := range []string{"", "FR", "US"} {
		for _, s := range []*features.Shopper{nil, {Consent: features.AllPurposes}, {Profile: profile, Consent: features.AllPurposes}, {Profile: profile}} {
			rs = append(rs, &features.Request{
				Query:   features.Query{Market: market, Channel: "app", Surface: "cart", Now: noon},
				Shopper: s, Item: features.NoRow, Cart: []features.Row{1, 2}, Catalog: cat,
			})
		}
	}
	return rs
}

// gen writes random expressions over all kinds of operands.
type gen struct{ *rand.Rand }

func (g gen) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g gen) number(depth int) string {
	if depth == 0 || g.IntN(3) == 0 {
		return g.pick("item.price", "item.rating", "item.stock", "item.discount", "item.delivery_days", "profile.spent", "profile.orders",
			"profile.price_level", "request.hour", "profile.categories[item.category[1]]", "profile.brands['nord']", "2.5", "0.0", "20.0")
	}
	if g.IntN(5) == 0 {
		return fmt.Sprintf("(%s ? %s : %s)", g.yes(depth-1), g.number(depth-1), g.number(depth-1))
	}
	if g.IntN(6) == 0 {
		return "-(" + g.number(depth-1) + ")"
	}
	return fmt.Sprintf("(%s %s %s)", g.number(depth-1), g.pick("+", "-", "*", "/"), g.number(depth-1))
}

func (g gen) yes(depth int) string {
	if depth == 0 {
		return g.pick("item.in_stock", "user.known", "request.market == 'FR'", "item.brand == 'acme'", "item.brand in profile.brands", "item.attributes['colour'] in ['red', request.channel]", "(item.brand + 'x') in profile.segments", "item.title in profile.words", "(item.brand == '' ? 'big' : item.brand) in profile.segments",
			"'sale' in item.tags", "item.tags.exists(t, t == 'gift')", "profile.segments.exists(s, s == item.brand + 'x' || s == 'big')",
			"item.attributes['colour'] == 'red'", "request.now - item.created < duration('720h')", "item.id in request.cart",
			"item.title.contains('mug')", "profile.lifecycle == 'loyal'", "profile.tags['value'] > 0.5", "true",
			"item.category.exists(c, c in profile.categories && profile.categories[c] > profile.price_level / 2.0)",
			"size(item.tags) == 2", "item.title.startsWith(request.market + 'x') || request.channel.size() > 2",
			"item.brand == (profile.orders > 3.0 ? 'nord' : request.market)")
	}
	switch g.IntN(5) {
	case 0:
		return "!(" + g.yes(depth-1) + ")"
	case 1:
		return fmt.Sprintf("(%s %s %s)", g.number(depth-1), g.pick("<", "<=", ">", ">=", "==", "!="), g.number(depth-1))
	case 2:
		return fmt.Sprintf("(%s ? %s : %s)", g.yes(depth-1), g.yes(depth-1), g.yes(depth-1))
	}
	return fmt.Sprintf("(%s %s %s)", g.yes(depth-1), g.pick("&&", "||"), g.yes(depth-1))
}

func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

func TestSplitEqualsPlain(t *testing.T) {
	e := engine(t)
	rng := rand.New(rand.NewPCG(1, 2))
	items := goods(rng, 70)
	old, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	changed := make([]catalog.Change, 0, 20)
	for _, it := range goods(rng, 20) {
		changed = append(changed, catalog.Change{Item: &it, Deleted: it.Brand == ""})
	}
	now := old.Apply(changed)
	n, mixedOnes, unknown, exact, dearer := 0, 0, 0, 0, 0
	count := 1500
	if testing.Short() {
		count = 400
	}
	for i := range count {
		g, kind := gen{rng}, Rule
		source := g.yes(i % 4)
		if i%5 == 0 {
			source, kind = g.number(i%4), Number
		}
		p, err := e.Compile(source, kind)
		if err != nil && strings.Contains(err.Error(), "may cost") {
			dearer++
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		var b *Bound
		for _, cat := range []*catalog.Snapshot{old, now} {
			for _, r := range requests(cat) {
				b = p.Bind(r, b)
				eligible := features.FullBitmap(cat.Len())
				whole := false
				if kind == Rule {
					whole = b.Narrow(eligible)
				}
				for row := range features.Row(cat.Len()) {
					want, ok := p.Plain(r, cat.Item(row))
					got := b.Value(row)
					pair := []features.Row{row, -1}
					if many := b.Numbers(pair, nil); !same(many[0], got) || !same(many[1], b.Value(-1)) {
						t.Fatalf("%s for item %+v: got %v in one go, want %v and %v", source, cat.Item(row), many, got, b.Value(-1))
					}
					if many := b.Matches(pair, nil); many[0] != b.Match(row) || many[1] != b.Match(-1) {
						t.Fatalf("%s for item %+v: got %v in one go, want %v and %v", source, cat.Item(row), many, b.Match(row), b.Match(-1))
					}
					if !ok && !math.IsNaN(got) || ok && math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
						t.Fatalf("%s for item %+v: got %v, want %v (%v)", source, cat.Item(row), got, want, ok)
					}
					if kind == Rule {
						holds := ok && want != 0
						if holds != b.Match(row) || holds && !eligible.Has(row) || whole && cat.Item(row) != nil && eligible.Has(row) != holds {
							t.Fatalf("%s for item %+v: got match %v, in the set %v (exact %v), want %v", source, cat.Item(row), b.Match(row), eligible.Has(row), whole, holds)
						}
					}
					n++
					if !ok {
						unknown++
					}
				}
				if whole {
					exact++
				}
			}
		}
		if p.Residues() > 0 {
			mixedOnes++
		}
	}
	if mixedOnes == 0 || unknown == 0 || exact == 0 || unknown == n || dearer > count/10 {
		t.Fatalf("of %d values %d unknown, %d expressions with a residue, %d sets exact, %d refused for cost: the expressions try too little", n, unknown, mixedOnes, exact, dearer)
	}
}

func TestFaultsSayWhereAndWhatThereIs(t *testing.T) {
	e := engine(t)
	for _, c := range []struct {
		source string
		kind   Kind
		want   []string
	}{
		{"item.prize < 20", Rule, []string{"line 1, column 1", "'item.prize'", "item.price", "profile.orders"}},
		{"item.price <\n 'a'", Rule, []string{"line 1, column 12"}},
		{"item.price < ", Rule, []string{"line 1"}},
		{"item.price", Rule, []string{"yes or no"}},
		{"item.brand", Number, []string{"a number"}},
		{"item.price < 3.0", Segment, []string{"undeclared", "profile.spent"}},
		{"", Rule, []string{"empty"}},
		{strings.Repeat("a", maxSource+1), Rule, []string{"at most 4096"}},
		{"item.tags.exists(a, item.tags.exists(b, item.tags.exists(c, a == b + c)))", Rule, []string{"cost"}},
	} {
		_, err := e.Compile(c.source, c.kind)
		if !errors.Is(err, ErrExpression) {
			t.Errorf("%.40q: got %v, want ErrExpression", c.source, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%.40q: got %q, want %q in it", c.source, err, w)
			}
		}
	}
	if _, err := e.Compile("item.prize < 20", Segment); strings.Contains(err.Error(), "item.price") {
		t.Errorf("a segment is offered an item's fields: %v", err)
	}
}

func TestWholeNumbersAreNumbers(t *testing.T) {
	e := engine(t)
	r := &features.Request{Query: features.Query{Now: noon}, Item: features.NoRow}
	it := &features.Item{ID: "a", Prices: map[string]features.Money{"": features.MoneyOf(4, "EUR")}, Tags: []string{"x"}}
	for source, want := range map[string]float64{
		"item.price * 2": 8, "item.price == 4 && size(item.tags) == 1 ? 1 : 2 * item.price": 1,
		"item.price in [3, 4] ? 1.0 : 0.0": 1, "item.price > 3 ? 7 : 8": 7, "-2 + item.price": 2,
	} {
		p, err := e.Compile(source, Number)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, ok := p.Plain(r, it); !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", source, got, ok, want)
		}
	}
}

func TestNoNumberHasNoOrder(t *testing.T) {
	items := []features.Item{{ID: "a", Prices: map[string]features.Money{"": {Currency: "EUR"}}}}
	cat, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	r := &features.Request{Query: features.Query{Now: noon}, Item: features.NoRow, Catalog: cat}
	for op, want := range map[string]bool{"<": false, "<=": false, ">": false, ">=": false, "==": false, "!=": true} {
		p, err := engine(t).Compile("(0.0 / item.price) "+op+" request.hour", Rule)
		if err != nil {
			t.Fatal(err)
		}
		plain, ok := p.Plain(r, &items[0])
		if got := p.Bind(r, nil).Match(0); got != want || !ok || (plain != 0) != want {
			t.Errorf("%s: got %v split and %v plain, want %v", op, got, plain, want)
		}
	}
}

func TestWithoutConsentTheProfileIsUnknown(t *testing.T) {
	p, err := engine(t).Compile("profile.orders >= 0", Segment)
	if err != nil {
		t.Fatal(err)
	}
	s := &features.Shopper{Profile: &features.Profile{Orders: 3}, Consent: features.Marketing}
	if p.Holds(&features.Request{Shopper: s}) {
		t.Error("a profile was read without consent")
	}
	s.Consent = features.AllPurposes
	if !p.Holds(&features.Request{Shopper: s}) {
		t.Error("a profile was not read with consent")
	}
}

// Partners' lists need consent to marketing beside: without it, who is on one is
// unknown, not that they are on none.
func TestListsNeedConsentToMarketing(t *testing.T) {
	s := &features.Shopper{Profile: &features.Profile{Audiences: []features.Membership{{Audience: "High value"}}}}
	for source, with := range map[string]bool{"'High value' in profile.audiences": true, "!('High value' in profile.audiences)": false, "size(profile.audiences) == 1": true} {
		p, err := engine(t).Compile(source, Segment)
		if err != nil {
			t.Fatal(err)
		}
		for _, consent := range []features.Purposes{features.AllPurposes, features.Personalisation, features.Marketing, 0} {
			s.Consent = consent
			want := with && consent == features.AllPurposes
			if got := p.Holds(&features.Request{Shopper: s}); got != want {
				t.Errorf("%s with consent to %b: got %v, want %v", source, consent, got, want)
			}
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	p, err := engine(t).Compile("item.price < profile.spent / profile.orders && item.in_stock && item.brand in profile.brands", Rule)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var cats []*catalog.Snapshot
	for range 5 {
		cat, err := catalog.Of(goods(rng, 60))
		if err != nil {
			t.Fatal(err)
		}
		cats = append(cats, cat)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var b *Bound
			for i := range 40 {
				cat := cats[(g+i)%len(cats)]
				for _, r := range requests(cat) {
					b = p.Bind(r, b)
					for row := range features.Row(60) {
						want, ok := p.Plain(r, cat.Item(row))
						if b.Match(row) != (ok && want != 0) {
							t.Errorf("row %d: got %v, want %v", row, b.Match(row), want)
							return
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	e := engine(f)
	for _, s := range []string{"item.price < 20", "item.tags.exists(t, t == 'a')", "1 +", "[1,2][5] == 1", "item", "@0", "has(item.price)", "profile.brands['x'] > 1",
		"item.price * 2.0", "item.tags.filter(t, t.startsWith('a')).size() > 1", "size(item.title)", "item.stock > 3 && market == 'DE'", "item.brand in ['a', 'b'] || !(item.rating < 4.0)",
		"item.nothing", "nothing(1)", "profile.orders > 1 ? 1.0 : 2.0", "'a'", "item.price < 'a'", "request.market == item.brand", "item.category[0] == 'x'", "1/0 == 1", "",
		"item.price * 2", "item.rating in [1, 2, 3]", "profile.orders == 4", "item.brand in profile.brands && request.channel == 'app'", "!(item.price < 20.0 || request.hour > 3.0)",
		"item.nothing == nothing.else && a.b && c.d && e.f", "request.cart.exists(c, c == item.id) || item.in_stock", "item.attributes['colour'] == 'red' && profile.spent > 5.0",
		"item.tags.all(a, item.tags.all(b, item.tags.all(c, item.tags.all(d, a == b && c == d))))", strings.Repeat("(", 70) + "true" + strings.Repeat(")", 70),
		strings.Repeat("true && ", maxSource), "profile.spent", "7", "size(profile.segments) * 2", "profile.lifecycle == 'loyal'", "user.known && 'big' in profile.segments",
		"item.tags.exists(t, t == request.market) || item.price > profile.spent", "request.hour > 3.0 ? item.price < 9.0 : item.rating > 2.0",
		"item.price > 3.0 && item.in_stock || item.rating > 4.0 && request.surface == 'cart'", "item.in_stock && item.price < 30.0", "item.in_stock || item.price < 30.0 || item.rating > 1.0",
		"item.tags.exists(t, t == request.market + request.channel)", "request.surface == 'cart' || item.in_stock", "request.surface == 'home' && item.in_stock", "!(request.surface == 'home')"} {
		f.Add(s)
	}
	items := goods(rand.New(rand.NewPCG(1, 1)), 5)
	cat, err := catalog.Of(items)
	if err != nil {
		f.Fatal(err)
	}
	rs := requests(cat)
	none := &features.Request{Query: features.Query{Now: noon}, Item: features.NoRow} // without a catalogue nothing is known of items
	f.Fuzz(func(t *testing.T, source string) {
		for _, kind := range []Kind{Rule, Number, Segment, Segment + 1} {
			p, err := e.Compile(source, kind)
			if err != nil {
				if !errors.Is(err, ErrExpression) {
					t.Fatalf("got %v, want ErrExpression", err)
				}
				continue
			}
			if p.Source() != source || p.Kind() != kind || p.Cost() > MaxCost || p.Residues() < 0 {
				t.Fatalf("%q: got %q of kind %d at cost %d, want kind %d at cost %d at most", source, p.Source(), p.Kind(), p.Cost(), kind, MaxCost)
			}
			p.Warm(cat, "FR")
			var b *Bound
			b = p.Bind(none, b)
			if !math.IsNaN(b.Value(2)) || b.Match(2) {
				t.Fatalf("%q: holds without a catalogue", source)
			}
			for _, r := range rs[4:7] {
				b = p.Bind(r, b)
				if kind == Segment && p.Holds(r) != holds(p.Plain(r, nil)) {
					t.Fatalf("%q: got %v, want the plain answer", source, p.Holds(r))
				}
				eligible := features.FullBitmap(len(items))
				exact := b.Narrow(eligible)
				for row := range items {
					in, match := eligible.Has(features.Row(row)), b.Match(features.Row(row))
					if kind == Rule && (match && !in || exact && in && !match) {
						t.Fatalf("%q, row %d: eligible %v, match %v, exact %v", source, row, in, match, exact)
					}
				}
				want, ok := p.Plain(r, &items[2])
				got := b.Value(2)
				if !ok && !math.IsNaN(got) || ok && got != want && !math.IsNaN(want) {
					t.Fatalf("%q: got %v, want %v (%v)", source, got, want, ok)
				}
			}
		}
	})
}

func holds(v float64, known bool) bool { return known && v != 0 }

func benchmark(b *testing.B, source string, f func(b *testing.B, p *Program, r *features.Request)) {
	p, err := engine(b).Compile(source, Rule)
	if err != nil {
		b.Fatal(err)
	}
	cat, err := catalog.Of(goods(rand.New(rand.NewPCG(1, 1)), 100_000))
	if err != nil {
		b.Fatal(err)
	}
	r := requests(cat)[6]
	p.Warm(cat, r.Market)
	b.ReportAllocs()
	b.ResetTimer()
	f(b, p, r)
}

const ruleForBench = "item.in_stock && item.price < profile.spent / profile.orders && request.channel == 'app'"

func BenchmarkBind(b *testing.B) {
	benchmark(b, ruleForBench, func(b *testing.B, p *Program, r *features.Request) {
		var bound *Bound
		for b.Loop() {
			bound = p.Bind(r, bound)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	for name, source := range map[string]string{"columns": ruleForBench, "residue": "item.brand in profile.brands"} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, source, func(b *testing.B, p *Program, r *features.Request) {
				bound, row := p.Bind(r, nil), features.Row(0)
				for b.Loop() {
					bound.Match(row)
					row = (row + 7919) % 100_000
				}
			})
		})
	}
}

func BenchmarkNarrow(b *testing.B) {
	benchmark(b, "item.in_stock && (item.brand == 'acme' || request.market == 'US')", func(b *testing.B, p *Program, r *features.Request) {
		bound, set := p.Bind(r, nil), features.NewBitmap(100_000)
		for b.Loop() {
			set.Fill()
			bound.Narrow(set)
		}
	})
}
