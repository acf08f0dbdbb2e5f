package content_test

import (
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/content"
)

// TestTermsOfAnItem has all that is said of an item among its terms: words in
// each language it is described in, stemmed by that language's rules, every step
// of its category, and a price level that one market's price will do for.
func TestTermsOfAnItem(t *testing.T) {
	euros := func(n int64) features.Money { return features.Money{Micros: n * 1e6, Currency: "EUR"} }
	it := &features.Item{
		Title: "Red mugs", Description: "Ceramic", Language: "en", Variants: map[string]features.Text{"fr": {Title: "Tasses rouges"}},
		Category: []string{"Home", "Mugs"}, Brand: "Apple", Seller: "Anna", Group: "g7", Tags: []string{"Gift"},
		Attributes: map[string]string{"Colour": "Red"}, Prices: map[string]features.Money{"FR": euros(90), "DE": euros(8)},
	}
	got := content.Terms(it, nil)
	slices.Sort(got)
	want := []string{"a:colour=red", "b:apple", "c:home", "c:home/mugs", "ceram", "g:g7", "mug", "p:6", "red", "roug", "s:anna", "t:gift", "tass"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	it.Prices[""] = euros(16)
	if got := content.Terms(it, nil); !slices.Contains(got, "p:8") || slices.Contains(got, "p:6") {
		t.Errorf("got %q, want the level of the price elsewhere, p:8, alone", got)
	}
	if got := content.Terms(&features.Item{ID: "i"}, nil); len(got) != 0 {
		t.Errorf("got %q of an item of which nothing is said, want nothing", got)
	}
}
