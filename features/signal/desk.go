package signal

import (
	"math/bits"

	"github.com/attune-rec/attune/features"
)

// byGood is a signal that can work from what a memory keeps of items by row. It
// gives what Value gives.
type byGood interface {
	// begin leaves in d what it needs of the request.
	begin(r *features.Request, d *desk)
	// block gives the numbers of the items from lo to hi; those of the i-th begin
	// at out[i*stride].
	block(d *desk, lo, hi int, out []float32, stride int)
}

// desk is a request's items as a memory knows them, with what several signals
// need of the shopper.
type desk struct {
	m       *Memory
	edition *edition // of the request's catalogue
	items   []features.Row
	goods   []*good
	offers  []*offer
	cards   []*features.Item // what the catalogue has of each
	now     int64            // Unix milliseconds
	history []float64        // how much each interaction is liked
	past    []*good          // the item of each
	mine    []places         // of the shopper's own, open addressing
	maybe   [maybes]uint64
	touched float64 // of no use but to have looked

	// What signals leave for themselves.
	recency   [4]float32
	character [characterWidth]float32
	known     bool // to Pair: there is a shopper
	kinds     tally
	brands    tally
	total     float64 // of Affinity
	purse     struct {
		mean, inverse float64
		ok            bool
	}
	moment struct {
		at    [3]int
		usual [3]float64
		ok    bool
	}
	last     lastGoods
	crossing [classes][2]float32
	crossed  bool
}

// places is an item of the shopper's and its cell.
type places struct {
	row  features.Row
	used bool
	cell *cell
}

// desk looks the items up. Give it back with clear.
func (m *Memory) desk(r *features.Request, items []features.Row) *desk {
	d, _ := m.goods.desks.Get().(*desk)
	if d == nil {
		d = &desk{m: m}
	}
	d.items = items
	if cap(d.goods) < len(items) {
		d.goods, d.offers, d.cards = make([]*good, len(items)*2), make([]*offer, len(items)*2), make([]*features.Item, len(items)*2)
	}
	d.goods, d.offers, d.cards = d.goods[:len(items)], d.offers[:len(items)], d.cards[:len(items)]
	d.edition = m.edition(r.Catalog)
	d.find(r)
	d.now = r.Now.UnixMilli()
	d.history, d.past = d.history[:0], d.past[:0]
	for _, in := range r.History() {
		d.history, d.past = append(d.history, liking(in, d.now)), append(d.past, m.good(d.edition.table, r.Catalog, in.Row))
	}
	return d
}

// find sets goods and offers. What is known of an item lies in some places of
// memory that follow from one another. All items' first places are looked up
// before any one's second, so that waiting for one is waiting for many.
func (d *desk) find(r *features.Request) {
	m, c, t := d.m, r.Catalog, d.edition.table
	offers := t.offers(r.Market)
	t.rows.gather(d.items, d.goods)
	if offers != nil {
		offers.gather(d.items, d.offers)
	} else {
		clear(d.offers)
	}
	for i, row := range d.items {
		d.cards[i] = c.Item(row)
	}
	turns, touched := &m.goods.turns, d.touched
	for i, row := range d.items {
		g := d.goods[i]
		if g == nil || g.item == nil || g.item != d.cards[i] || turns[g.slot].Load() != g.turn {
			g = m.good(t, c, row)
			d.goods[i] = g
		}
		o := d.offers[i]
		if o == nil || o.good != g {
			o = m.offer(c, row, g, r.Market, offers)
			d.offers[i] = o
		}
		touched += g.whole[0] + o.here[0]
	}
	d.touched = touched
}

func (d *desk) clear() {
	d.items, d.edition = nil, nil
	d.last.goods = [lastItems]*good{}
	clear(d.goods)
	clear(d.offers)
	clear(d.cards)
	clear(d.past)
	d.m.goods.desks.Put(d)
}

// tally is sums by a number above 0.
type tally struct {
	keys []int32
	sums []float64
	used []int32
}

// reset empties it for at most n numbers.
func (t *tally) reset(n int) {
	size := 1 << bits.Len(uint(2*n+1))
	if len(t.keys) < size {
		t.keys, t.sums, t.used = make([]int32, size), make([]float64, size), t.used[:0]
	}
	for _, i := range t.used {
		t.keys[i], t.sums[i] = 0, 0
	}
	t.used = t.used[:0]
}

func (t *tally) at(k int32) int {
	mask := len(t.keys) - 1
	i := int(uint32(k)*2654435769>>7) & mask // #nosec G115 -- a hash
	for t.keys[i] != k && t.keys[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

func (t *tally) add(k int32, w float64) {
	i := t.at(k)
	if t.keys[i] == 0 {
		t.keys[i] = k
		t.used = append(t.used, int32(i)) // #nosec G115 -- below the number of keys
	}
	t.sums[i] += w
}

func (t *tally) sum(k int32) float64 { return t.sums[t.at(k)] }

// divide divides all sums by d.
func (t *tally) divide(d float64) {
	for _, i := range t.used {
		t.sums[i] /= d
	}
}
