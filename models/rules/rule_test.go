package rules_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attune-rec/attune/models/rules"
)

// countRules makes rules by reading all baskets for each: the twin of Generate.
func countRules(b *rules.Baskets, least, right int, atLeast func(part, whole int) bool) map[string]int {
	holds := func(items []int32) (n int) {
		for i := range b.Len() {
			if containsAll(b.At(i), items) {
				n++
			}
		}
		return n
	}
	out := map[string]int{}
	for set := 1; set < 1<<b.ItemLimit(); set++ {
		for sub := (set - 1) & set; sub > 0; sub = (sub - 1) & set {
			var whole, from, to []int32
			for i := range int32(b.ItemLimit()) {
				if set>>i&1 == 0 {
					continue
				}
				whole = append(whole, i)
				if sub>>i&1 == 1 {
					from = append(from, i)
				} else {
					to = append(to, i)
				}
			}
			n := holds(whole)
			if n >= least && len(to) <= right && atLeast(n, holds(from)) {
				out[fmt.Sprint(from, to, holds(from), holds(to))] = n
			}
		}
	}
	return out
}

func TestGenerateEqualsCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBaskets(t, 6, 6, 20)
		least := rapid.IntRange(1, 4).Draw(t, "count")
		right := rapid.IntRange(1, 3).Draw(t, "right")
		tenths := rapid.IntRange(0, 10).Draw(t, "tenths")
		sets, err := rules.Mine(context.Background(), b, rules.Options{MinCount: least})
		if err != nil {
			t.Fatal(err)
		}
		confidence, err := rules.ParseRatio(fmt.Sprintf("%d/10", tenths))
		if err != nil {
			t.Fatal(err)
		}
		found, err := rules.Generate(sets, rules.RuleOptions{MinConfidence: confidence, MaxConsequent: right})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, r := range found {
			got[fmt.Sprint(r.Antecedent, r.Consequent, r.AntecedentCount, r.ConsequentCount)] = r.Count
		}
		want := countRules(b, least, right, func(part, whole int) bool { return 10*part >= tenths*whole })
		if len(found) != len(got) || !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// 100 baskets: 20 with bread, 50 with butter, 15 with both.
func TestMeasures(t *testing.T) {
	r := rules.Rule{Count: 15, AntecedentCount: 20, ConsequentCount: 50, Baskets: 100}
	got := fmt.Sprint(r.Support(), r.Confidence(), r.Lift(), r.Conviction())
	if got != "0.15 0.75 1.5 2" {
		t.Errorf("support, confidence, lift, conviction: got %s, want 0.15 0.75 1.5 2", got)
	}
	r.Count = 20
	if !math.IsInf(r.Conviction(), 1) {
		t.Errorf("conviction of a rule that always holds: got %v, want +Inf", r.Conviction())
	}
}

func TestGenerateLimits(t *testing.T) {
	b := &rules.Baskets{}
	if err := b.Add(0, 1, 2); err != nil {
		t.Fatal(err)
	}
	sets, err := rules.Mine(t.Context(), b, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Generate(sets, rules.RuleOptions{MaxRules: 2}); !errors.Is(err, rules.ErrTooMany) {
		t.Errorf("got error %v, want %v", err, rules.ErrTooMany)
	}
	found, err := rules.Generate(sets, rules.RuleOptions{MinLift: 1.01})
	if err != nil || len(found) != 0 {
		t.Errorf("rules of lift above 1 in one basket: got %d (%v), want none", len(found), err)
	}
	top, err := rules.TopItemsets(t.Context(), b, 1, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Generate(top, rules.RuleOptions{}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("rules of sets without their parts: got error %v, want one about a missing itemset", err)
	}
}

func TestTopRulesEqualsSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBaskets(t, 7, 6, 30)
		k := rapid.IntRange(1, 12).Draw(t, "k")
		g := rules.RuleOptions{}
		if err := g.MinConfidence.UnmarshalText([]byte("3/5")); err != nil {
			t.Fatal(err)
		}
		top, err := rules.TopRules(context.Background(), b, k, g, rules.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sets, err := rules.Mine(context.Background(), b, rules.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all, err := rules.Generate(sets, g)
		if err != nil {
			t.Fatal(err)
		}
		rules.SortRules(all, rules.BySupport)
		if got, want := fmt.Sprint(top), fmt.Sprint(all[:min(k, len(all))]); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}

func drawTogether(t *rapid.T) (*rules.Together, []rules.Rule) {
	b := drawBaskets(t, 8, 6, 30)
	sets, err := rules.Mine(context.Background(), b, rules.Options{MinCount: 2})
	if err != nil {
		t.Fatal(err)
	}
	found, err := rules.Generate(sets, rules.RuleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := rules.NewTogether(found)
	if err != nil {
		t.Fatal(err)
	}
	return x, found
}

func TestSuggestEqualsReadingAllRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, found := drawTogether(t)
		cart := rapid.SliceOfNDistinct(rapid.Int32Range(-1, 10), 0, 5, rapid.ID).Draw(t, "cart")
		slices.Sort(cart)
		order := rules.Order(rapid.IntRange(0, 2).Draw(t, "order"))
		rules.SortRules(found, order)
		best := map[int32]float64{}
		for _, r := range found {
			item := r.Consequent[0]
			value := map[rules.Order]float64{rules.ByLift: r.Lift(), rules.ByConfidence: r.Confidence(), rules.BySupport: r.Support()}[order]
			if containsAll(cart, r.Antecedent) && !slices.Contains(cart, item) {
				best[item] = max(best[item], value)
			}
		}
		got := x.Suggest(cart, order, nil)
		if len(got) != len(best) {
			t.Fatalf("got %d items, want %d", len(got), len(best))
		}
		last := math.Inf(1)
		for _, s := range got {
			value := map[rules.Order]float32{rules.ByLift: s.Lift, rules.ByConfidence: s.Confidence, rules.BySupport: s.Support}[order]
			if value != float32(best[s.Item]) || float64(value) > last {
				t.Fatalf("item %d by %v: got %v after %v, want %v", s.Item, order, value, last, best[s.Item])
			}
			last = float64(value)
		}
	})
}

func TestTableOpensAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, _ := drawTogether(t)
		y, err := rules.OpenTable(x.Table())
		if err != nil {
			t.Fatal(err)
		}
		for item := range int32(8) {
			got := y.Suggest([]int32{item}, rules.ByConfidence, nil)
			if want := x.Suggest([]int32{item}, rules.ByConfidence, nil); !slices.Equal(got, want) {
				t.Fatalf("item %d: got %v, want %v", item, got, want)
			}
		}
	})
}

func TestSuggestAllocatesNothing(t *testing.T) {
	b, _ := readData(t, groceries, ";")
	sets, err := rules.Mine(t.Context(), b, rules.Options{MinSupport: ratio(t, ".002")})
	if err != nil {
		t.Fatal(err)
	}
	found, err := rules.Generate(sets, rules.RuleOptions{MinConfidence: ratio(t, ".2")})
	if err != nil {
		t.Fatal(err)
	}
	x, err := rules.NewTogether(found)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]rules.Suggestion, 0, x.Len())
	cart := slices.Clone(b.At(1))
	if n := len(x.Suggest(cart, rules.ByLift, dst)); n == 0 {
		t.Errorf("nothing goes with cart %v", cart)
	}
	if n := testing.AllocsPerRun(20, func() { x.Suggest(cart, rules.ByLift, dst) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzOpenTable(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{2, 3}, []byte{1, 2}, []byte{7, 9}, []byte{3})
	f.Add([]byte{0}, []byte{1}, []byte{1}, []byte{0}, []byte{0})
	f.Fuzz(func(t *testing.T, items, itemEnds, ruleEnds, to, cart []byte) {
		wide := func(b []byte) (out []int32) {
			for _, v := range b {
				out = append(out, int32(int8(v)))
			}
			return out
		}
		measure := make([]float32, len(to))
		x, err := rules.OpenTable(rules.Table{
			Items: wide(items), ItemEnds: wide(itemEnds), RuleEnds: wide(ruleEnds), Consequent: wide(to),
			Support: measure, Confidence: measure, Lift: measure,
		})
		if err != nil {
			return
		}
		own := wide(cart)
		slices.Sort(own)
		own = slices.Compact(own)
		for _, s := range x.Suggest(own, rules.ByLift, nil) {
			if !slices.Contains(x.Table().Consequent, s.Item) || slices.Contains(own, s.Item) {
				t.Fatalf("cart %v: suggested %d", own, s.Item)
			}
		}
	})
}

func FuzzReadBaskets(f *testing.F) {
	f.Add([]byte("1 2 3\n2 3\n\n"), "")
	f.Add([]byte("\xef\xbb\xbfwhole milk; rolls\r\nyogurt"), ";")
	f.Add([]byte("a;;b"), ";")
	f.Add([]byte{0xfd, '7', 'z', 0}, "")
	f.Fuzz(func(t *testing.T, text []byte, separator string) {
		b, d, err := rules.ReadBaskets(bytes.NewReader(text), separator)
		if err != nil {
			return
		}
		if b.ItemLimit() != d.Len() {
			t.Fatalf("%d items, %d names", b.ItemLimit(), d.Len())
		}
		for i := range b.Len() {
			own := b.At(i)
			if len(own) == 0 || !slices.IsSorted(own) {
				t.Fatalf("basket %d: %v", i, own)
			}
			for _, item := range own {
				if at, ok := d.Find(d.Name(item)); !ok || at != item {
					t.Fatalf("item %d, %q, is found as %d", item, d.Name(item), at)
				}
			}
		}
	})
}

func TestReadBasketsNamesTheLine(t *testing.T) {
	for _, c := range []struct{ text, separator, want string }{
		{"a;b\nc;;d\n", ";", "line 2: item 2 is empty"},
		{"a b\n\n\xff\n", "", "line 3: not UTF-8"},
		{strings.Repeat("a", rules.MaxLine+1), "", "line 1: longer than"},
	} {
		_, _, err := rules.ReadBaskets(strings.NewReader(c.text), c.separator)
		var line *rules.LineError
		if !errors.As(err, &line) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got error %v, want %s", err, c.want)
		}
	}
}
