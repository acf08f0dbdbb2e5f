package signal

import (
	"hash/maphash"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
)

// stock is what the tables of a memory have in common.
type stock struct {
	mu    sync.Mutex
	texts map[string]int32
	turns [turns]atomic.Uint32 // by the hash of an item's id: how often one of them had an event
	desks sync.Pool            // of *desk
}

// table is what a memory knows of a catalogue's items by row, each in one place:
// what the catalogue says, as numbers, and copies of the cells that are read of an
// item. A request asks for hundreds of items, and each would cost keys, looks into
// maps and cells that lie apart. It is a cache: what it says of the catalogue
// holds for the very item it was made of, and what it says of cells until an
// event of the item is folded. A catalogue that changes keeps its table; another
// has its own, so that two that are asked about in turn do not undo each other's.
type table struct {
	rows  rows[good]
	sold  sync.Map // market -> *rows[offer]
	lists atomic.Int32
}

const (
	turns = 1 << 14
	// mostMarkets bounds what is kept by market: markets are what callers say
	// they are.
	mostMarkets = 128
)

// good is what does not depend on the market.
// It is two lines of memory long.
type good struct {
	item       *features.Item // nil: the catalogue has it no more
	id         *string
	slot, turn uint32
	category   int32    // the last of the path; 0: none
	brand      int32    // 0: none
	group      int32    // 0: none
	trail      int32    // the whole path; 0: none
	path       [3]int32 // its beginning
	depth      uint16   // its length
	known      bool     // to popularity
	timed      bool     // to moment
	created    int64    // Unix milliseconds; 0: unknown
	whole      [2]float64
	taken      float32 // purchases by interest
	rating     float32
	moment     [parts]float32
}

// offer is an item in a market. It is one line of memory long, and holds as long
// as the good it was made of.
type offer struct {
	good   *good
	priced bool
	known  bool    // to popularity
	class  uint8   // of the price
	off    float32 // share taken off the list price; NaN: unknown
	log    float64 // of the price
	here   [4]float64
}

// rows are pointers by row, that readers take without a lock.
type rows[T any] struct {
	mu  sync.Mutex
	all atomic.Pointer[[]atomic.Pointer[T]]
}

func (t *rows[T]) at(row features.Row) *T {
	if all := t.all.Load(); all != nil && row >= 0 && int(row) < len(*all) {
		return (*all)[row].Load()
	}
	return nil
}

// gather sets to[i] to what is kept for items[i].
func (t *rows[T]) gather(items []features.Row, to []*T) {
	all := t.all.Load()
	if all == nil {
		clear(to)
		return
	}
	for i, row := range items {
		to[i] = nil
		if uint(row) < uint(len(*all)) {
			to[i] = (*all)[row].Load()
		}
	}
}

// each calls f with all that are kept.
func (t *rows[T]) each(f func(*T)) {
	if all := t.all.Load(); all != nil {
		for i := range *all {
			if v := (*all)[i].Load(); v != nil {
				f(v)
			}
		}
	}
}

// put keeps v for row, one of most there are.
func (t *rows[T]) put(row features.Row, v *T, most int) {
	if row < 0 || int(row) >= most {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.all.Load()
	if all == nil || int(row) >= len(*all) {
		grown := make([]atomic.Pointer[T], most+64)
		if all != nil {
			for i := range *all {
				grown[i].Store((*all)[i].Load())
			}
		}
		t.all.Store(&grown)
		all = &grown
	}
	(*all)[row].Store(v)
}

// slot is where the turns of an item are counted.
func (m *Memory) slot(id string) uint32 {
	return uint32(maphash.String(m.seed, id) % turns) // #nosec G115 -- below turns
}

// changed tells that the cell of k has other numbers now.
func (m *Memory) changed(k key) {
	id := k.key
	switch k.of {
	case features.OfItem:
	case features.OfMarket:
		id = afterMarket(id)
	default:
		return
	}
	m.goods.turns[m.slot(id)].Add(1)
}

// good is what is known of row in c, whose table is t.
func (m *Memory) good(t *table, c features.Catalog, row features.Row) *good {
	it := c.Item(row)
	if g := t.rows.at(row); g != nil && g.item == it && (it != nil || *g.id == c.ID(row)) && m.goods.turns[g.slot].Load() == g.turn {
		return g
	}
	id := c.ID(row)
	g := &good{item: it, id: &id, slot: m.slot(id)}
	g.turn = m.goods.turns[g.slot].Load() // before the cells: an event between makes it anew
	if cells := m.Read(Popularity{}.Name(), features.OfItem, id); len(cells) == 4 {
		g.known, g.taken = true, taken(cells)
		copy(g.whole[:], cells)
	}
	if cells := m.Read(Moment{}.Name(), features.OfItem, id); len(cells) == len(g.moment) {
		g.timed, g.moment = true, counts(cells)
	}
	if it != nil {
		m.goods.describe(g, it)
	}
	t.rows.put(row, g, c.Len())
	return g
}

func (t *stock) describe(g *good, it *features.Item) {
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
	g.category, g.brand, g.group = number(kindOf(it)), number(it.Brand), number(it.Group)
	g.depth = uint16(min(len(it.Category), math.MaxUint16)) // #nosec G115 -- bounded
	if g.depth > 0 {
		g.trail = number("\x01" + strings.Join(it.Category, "\x00"))
	}
	for i, c := range it.Category[:min(len(it.Category), len(g.path))] {
		g.path[i] = number("\x00" + c) // an empty step is one too
	}
	g.created, g.rating = createdMS(it), it.Rating
}

// offers is the list of a market; nil where there are too many already.
func (t *table) offers(market string) *rows[offer] {
	if found, ok := t.sold.Load(market); ok {
		return found.(*rows[offer])
	}
	if t.lists.Add(1) > mostMarkets {
		t.lists.Add(-1)
		return nil
	}
	found, _ := t.sold.LoadOrStore(market, new(rows[offer]))
	return found.(*rows[offer])
}

// offer is what is known of row in market, whose list is where.
func (m *Memory) offer(c features.Catalog, row features.Row, g *good, market string, where *rows[offer]) *offer {
	if where != nil {
		if o := where.at(row); o != nil && o.good == g {
			return o
		}
	}
	o := &offer{good: g, off: unknown} // an event since makes the good anew, and this with it
	if cells := m.Read(Popularity{}.Name(), features.OfMarket, inMarket(market, *g.id)); len(cells) == len(o.here) {
		o.known = true
		copy(o.here[:], cells)
	}
	if g.item != nil {
		if units := g.item.PriceIn(market).Units(); units > 0 {
			o.priced, o.log = true, ln(units)
			o.class = uint8(priceClass(o.log)) // #nosec G115 -- below classes
		}
		o.off = reduced(g.item, market)
	}
	if where != nil {
		where.put(row, o, c.Len())
	}
	return o
}
