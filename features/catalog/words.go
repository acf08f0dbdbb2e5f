package catalog

import (
	"slices"

	"github.com/attune-rec/attune/features"
)

// everywhere is the word of items that are sold in every market.
const everywhere = "*"

// Worded lists the attributes that Words speaks of: what requests are narrowed by
// and items seldom change.
func Worded() []string {
	return []string{features.AttrMarket, features.AttrCategory, features.AttrLanguage}
}

// Words is what it says of an attribute of Worded, for an index that is asked by
// words: the values by which Snapshot.Where finds it, and for an item that is sold
// everywhere the one word that SoldIn asks for too. Read-only.
func Words(it *features.Item, attr string) []string {
	if attr == features.AttrMarket {
		if len(it.Markets) == 0 {
			return []string{everywhere}
		}
		return it.Markets
	}
	var values []string
	marks(it, func(m mark) {
		if m.attr == attr {
			values = append(values, m.value)
		}
	})
	if attr == features.AttrLanguage { // variants come in any order
		slices.Sort(values)
	}
	return values
}

// SoldIn is the words of items that are sold in a market: one that Where finds by
// features.AttrMarket has at least one of them. nil for "", which takes all.
func SoldIn(market string) []string {
	if market == "" {
		return nil
	}
	return []string{market, everywhere}
}
