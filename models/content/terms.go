package content

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/text"
)

// Terms appends what is said of an item, as terms: the words of its title and
// description in every language there is of them, and its category, brand,
// seller, tags, attributes and price level, each kind behind a prefix of its own
// so that "b:apple" is not the fruit.
func Terms(it *features.Item, dst []string) []string {
	dst = text.Tokens(it.Title, it.Language, dst)
	dst = text.Tokens(it.Description, it.Language, dst)
	for language, v := range it.Variants {
		dst = text.Tokens(v.Title, language, dst)
		dst = text.Tokens(v.Description, language, dst)
	}
	for i := range it.Category {
		dst = append(dst, "c:"+strings.ToLower(strings.Join(it.Category[:i+1], "/")))
	}
	for _, p := range []struct{ prefix, value string }{{"b:", it.Brand}, {"s:", it.Seller}, {"g:", it.Group}} {
		if p.value != "" {
			dst = append(dst, p.prefix+strings.ToLower(p.value))
		}
	}
	for _, tag := range it.Tags {
		dst = append(dst, "t:"+strings.ToLower(tag))
	}
	for name, value := range it.Attributes {
		dst = append(dst, "a:"+strings.ToLower(name)+"="+strings.ToLower(value))
	}
	if p := price(it); p.Micros > 0 {
		// A level is a factor of the square root of two.
		dst = append(dst, "p:"+strconv.Itoa(int(math.Round(2*math.Log2(p.Units())))))
	}
	return dst
}

// price is what the item costs elsewhere, or in the first of its markets by name
// where it has a price in each.
func price(it *features.Item) features.Money {
	if p, ok := it.Prices[""]; ok || len(it.Prices) == 0 {
		return p
	}
	return it.Prices[slices.Min(slices.Collect(maps.Keys(it.Prices)))]
}
