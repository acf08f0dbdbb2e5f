package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

// Where and Words are the same catalogue, by value and by item.
func TestWordsAgreeWithWhere(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	items := make([]features.Item, 500)
	for i := range items {
		items[i] = *randomItem(rng, fmt.Sprint("item-", i))
	}
	s, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	asks := map[string][]string{
		features.AttrMarket: asked, features.AttrCategory: {"x", "y", "x/y", "y/y/x", "z"}, features.AttrLanguage: {"en", "de", "zh", "fr"},
	}
	for _, attr := range catalog.Worded() {
		for _, value := range asks[attr] {
			words := []string{value}
			if attr == features.AttrMarket {
				words = catalog.SoldIn(value)
			}
			var rows []features.Row
			for i := range items {
				if words == nil || slices.ContainsFunc(catalog.Words(&items[i], attr), func(v string) bool { return slices.Contains(words, v) }) {
					rows = append(rows, features.Row(i))
				}
			}
			if got := s.Where(attr, value).AppendRows(nil); !slices.Equal(got, rows) {
				t.Errorf("%s %q: got rows %v by Where, %v by Words", attr, value, got, rows)
			}
		}
	}
}
