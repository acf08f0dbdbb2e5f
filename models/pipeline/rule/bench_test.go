package rule_test

import (
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

// five rules, two of them about the shopper.
func five() []rule.Rule {
	return []rule.Rule{
		{Name: "a", Action: rule.Filter, Condition: "item.price < 500 && item.in_stock"},
		{Name: "b", Action: rule.Boost, Condition: "'sale' in item.tags", Factor: "1.3"},
		{Name: "c", Action: rule.Boost, Factor: "item.brand in profile.brands ? 1.5 : 1.0"},
		{Name: "d", Action: rule.Bury, Condition: "profile.lifecycle == 'loyal' && item.price > 30"},
		{Name: "e", Action: rule.Quota, MaxShare: .5, Condition: "item.brand == 'acme'"},
	}
}

var big *catalog.Snapshot

func bigShelf(b *testing.B) *catalog.Snapshot {
	b.Helper()
	if big == nil {
		small := goods(b, 1000)
		items := make([]features.Item, 100_000)
		for i := range items {
			items[i] = *small.Item(features.Row(i % 1000))
			items[i].ID = items[i].ID + "-" + string(rune('a'+i/1000%26)) + string(rune('a'+i/26000))
		}
		c, err := catalog.Of(items)
		if err != nil {
			b.Fatal(err)
		}
		big = c
	}
	return big
}

// BenchmarkSteer is what five rules cost a request with 300 candidates of
// 100,000 items.
func BenchmarkSteer(b *testing.B) {
	items := bigShelf(b)
	for name, n := range map[string]int{"five": 5, "none about the shopper": 2} {
		list := five()
		if n == 2 {
			list = slices.DeleteFunc(list, func(r rule.Rule) bool { return r.Name == "c" || r.Name == "d" })
		}
		rules := compile(b, list...)
		rules.Warm(items)
		r := request(items, 10, loyal())
		scores := make([]float32, 300)
		for i := range scores {
			scores[i] = float32(-i)
		}
		given := candidates(scores...)
		for i := range given {
			given[i].Row = features.Row(i * 331)
		}
		cs, picked := slices.Clone(given), slices.Clone(given)
		eligible := features.FullBitmap(items.Len())
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := rules.Steer(r)
				eligible.Fill()
				s.Mask(eligible)
				for i := range given {
					s.Keep(given[i].Row)
				}
				_ = s.Wanted(eligible, given, nil)
				copy(cs, given)
				if err := s.Adjust(cs); err != nil {
					b.Fatal(err)
				}
				picked = append(picked[:0], cs...)
				if _, err := s.Arrange(cs, picked); err != nil {
					b.Fatal(err)
				}
				s.Done()
			}
		})
	}
}

// BenchmarkWarm is what a new catalogue of 100,000 items costs before it
// serves.
func BenchmarkWarm(b *testing.B) {
	items := bigShelf(b)
	for b.Loop() {
		compile(b, five()...).Warm(items)
	}
}

var _ pipeline.Steerer = (*rule.Rules)(nil)
