package ingest

import (
	"slices"
	"sort"
	"strings"

	"github.com/attune-rec/attune/features"
)

// recentPrices is how many of an item's newest prices in a market make its
// price: their median, so that one odd sale does not.
const recentPrices = 15

// catalogue gathers what rows say of items.
type catalogue struct {
	items map[string]*itemFacts
}

type itemFacts struct {
	titles map[string]int
	prices map[string]*prices // by market; "" for all together
}

type prices struct {
	currency string
	micros   []int64 // newest last, at most recentPrices
}

func (p *prices) add(m features.Money) {
	if m.Currency != p.currency {
		p.currency, p.micros = m.Currency, p.micros[:0]
	}
	if len(p.micros) == recentPrices {
		p.micros = append(p.micros[:0], p.micros[1:]...)
	}
	p.micros = append(p.micros, m.Micros)
}

func (p *prices) median() features.Money {
	sorted := slices.Clone(p.micros)
	slices.Sort(sorted)
	return features.Money{Micros: sorted[len(sorted)/2], Currency: p.currency}
}

// add takes in a kept row.
func (c *catalogue) add(rec *Record) {
	e := &rec.Event
	if e.Item == "" {
		return
	}
	if c.items == nil {
		c.items = map[string]*itemFacts{}
	}
	f := c.items[e.Item]
	if f == nil {
		f = &itemFacts{titles: map[string]int{}, prices: map[string]*prices{}}
		c.items[e.Item] = f
	}
	if title := strings.Join(strings.Fields(rec.Title), " "); title != "" {
		f.titles[title]++
	}
	if e.Type != features.Purchase || e.Price.Micros <= 0 {
		return
	}
	for _, market := range slices.Compact([]string{"", e.Market}) {
		p := f.prices[market]
		if p == nil {
			p = &prices{}
			f.prices[market] = p
		}
		p.add(e.Price)
	}
}

// list is the items by id: the most frequent title, the price by market, and
// with markets the markets they were sold in.
func (c *catalogue) list(markets bool) []features.Item {
	items := make([]features.Item, 0, len(c.items))
	for id, f := range c.items {
		it := features.Item{ID: id, Kind: features.Product, Title: f.title()}
		for market, p := range f.prices {
			if it.Prices == nil {
				it.Prices = map[string]features.Money{}
			}
			it.Prices[market] = p.median()
			if markets && market != "" {
				it.Markets = append(it.Markets, market)
			}
		}
		sort.Strings(it.Markets)
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b features.Item) int { return strings.Compare(a.ID, b.ID) })
	return items
}

func (f *itemFacts) title() (best string) {
	for t, n := range f.titles {
		if m := f.titles[best]; n > m || (n == m && t < best) {
			best = t
		}
	}
	return best
}
