package signal

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
)

// trait is what the catalogue says of an item, as numbers: the same that the
// item says, without its maps and texts.
type trait struct {
	item     *features.Item // of which it is; another one makes it anew
	category int32          // the last of the path; 0: none
	brand    int32          // 0: none
	group    int32          // 0: none
	depth    int32          // of the category path
	path     [4]int32       // its beginning
}

// traits are the traits of a catalogue's items by row, with the numbers of
// texts. They are a cache: what they say is checked against the catalogue.
type traits struct {
	mu     sync.Mutex
	texts  map[string]int32
	rows   atomic.Pointer[[]atomic.Pointer[trait]]
	prices sync.Map // market -> *priceList
	lists  atomic.Int32
}

// of is the trait of row; nil where the catalogue has no such item, or where
// its path is too deep to be kept.
func (t *traits) of(c features.Catalog, row features.Row) *trait {
	it := c.Item(row)
	if it == nil {
		return nil
	}
	if rows := t.rows.Load(); rows != nil && int(row) < len(*rows) {
		if found := (*rows)[row].Load(); found != nil && found.item == it {
			return found
		}
	}
	return t.make(it, row)
}

func (t *traits) make(it *features.Item, row features.Row) *trait {
	t.mu.Lock()
	defer t.mu.Unlock()
	number := func(text string) int32 {
		if text == "" {
			return 0
		}
		n, ok := t.texts[text]
		if !ok {
			if t.texts == nil {
				t.texts = map[string]int32{}
			}
			n = int32(len(t.texts) + 1) // #nosec G115 -- texts of a catalogue
			t.texts[text] = n
		}
		return n
	}
	made := &trait{
		item: it, category: number(kindOf(it)), brand: number(it.Brand), group: number(it.Group),
		depth: int32(len(it.Category)), // #nosec G115 -- short
	}
	for i, c := range it.Category[:min(len(it.Category), len(made.path))] {
		made.path[i] = number("\x00" + c) // an empty step is one too
	}
	var rows []atomic.Pointer[trait]
	if old := t.rows.Load(); old != nil {
		rows = *old
	}
	if int(row) >= len(rows) {
		grown := make([]atomic.Pointer[trait], int(row)+int(row)/4+64)
		for i := range rows {
			grown[i].Store(rows[i].Load())
		}
		t.rows.Store(&grown)
		rows = grown
	}
	rows[row].Store(made)
	return made
}

// priceList is the logarithms of the prices of a market by row.
type priceList struct {
	mu   sync.Mutex
	rows atomic.Pointer[[]atomic.Pointer[priced]]
}

type priced struct {
	item  *features.Item
	units float64 // 0: it has no price
	log   float64
}

// price is the price of row's item in market, and its logarithm.
func (t *traits) price(it *features.Item, row features.Row, market string) (units, log float64) {
	var list *priceList
	if found, ok := t.prices.Load(market); ok {
		list = found.(*priceList)
	} else {
		if t.lists.Add(1) > mostColumns {
			t.lists.Add(-1)
			p := pricedOf(it, market)
			return p.units, p.log
		}
		found, _ := t.prices.LoadOrStore(market, new(priceList))
		list = found.(*priceList)
	}
	if rows := list.rows.Load(); rows != nil && int(row) < len(*rows) {
		if p := (*rows)[row].Load(); p != nil && p.item == it {
			return p.units, p.log
		}
	}
	p := pricedOf(it, market)
	list.mu.Lock()
	defer list.mu.Unlock()
	var rows []atomic.Pointer[priced]
	if old := list.rows.Load(); old != nil {
		rows = *old
	}
	if int(row) >= len(rows) {
		grown := make([]atomic.Pointer[priced], int(row)+int(row)/4+64)
		for i := range rows {
			grown[i].Store(rows[i].Load())
		}
		list.rows.Store(&grown)
		rows = grown
	}
	rows[row].Store(p)
	return p.units, p.log
}

func pricedOf(it *features.Item, market string) *priced {
	p := &priced{item: it, units: it.PriceIn(market).Units()}
	if p.units > 0 {
		p.log = math.Log(p.units)
	}
	return p
}

// traitsOf is the cache of a memory; nil for another state.
func traitsOf(s features.State) *traits {
	if m, ok := s.(*Memory); ok {
		return &m.traits
	}
	return nil
}
