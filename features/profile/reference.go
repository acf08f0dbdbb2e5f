package profile

import (
	"iter"
	"math"
	"math/bits"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/text"
)

const (
	discount   = .05 // below the usual price, to count as a discount
	dear       = .75 // percentile of price from which goods count as high quality
	tail       = .25 // share of sales that the least sold goods make
	minInLevel = 8   // goods of a category below which prices compare with all goods
)

// Reference is what a shop's goods are measured against: prices within a
// category, the usual price of an item, which goods are seldom sold. It is
// immutable and safe for concurrent use.
type Reference struct {
	places []place              // of the items
	slots  []slot               // of the places, by the items' hashes: see slotOf
	levels map[string][]float64 // prices ascending by category; "" of all goods
	bare   bool                 // no item has a category
	base   [motives]float64     // share of all sales that speak for each motive
	names  []string             // of categories, brands and words, by number
	tops   []kind               // the first categories
	rooms  sync.Pool            // *[4]board, empty
}

// kind is a first category and its share of all sales of goods that have one.
type kind struct {
	name string
	base float64
}

// room is a board each for categories, brands, words, and first categories.
func (ref *Reference) room() *[4]board {
	if r, ok := ref.rooms.Get().(*[4]board); ok {
		return r
	}
	r := new([4]board)
	for i := range r {
		r[i].places = make([]int32, max(len(ref.names), len(ref.tops)))
	}
	return r
}

// slot is which item has a hash, and what is asked of it most: 16 bytes, since
// what a shopper bought is all over the slots, which should be near at hand.
type slot struct {
	upper       uint32 // bits of the hash
	at          int32  // its place, from 1; 0: none has the hash
	leaf, brand int32  // numbers of the last category and the brand; -1: none
}

// place is where an item stands among the shop's goods.
type place struct {
	categories []string
	usual      float64 // list price, or the median price paid; 0: unknown
	rare       bool
	top        int32     // number of the first category; -1: none
	words      []word    // of the title, as far as they say something; none where goods have categories
	among      []float64 // prices ascending that the item's compares with
}

// place is where an item stands; nil when the shop does not have it.
func (ref *Reference) place(id string) *place { return ref.placeOf(hashOf(id)) }

func (ref *Reference) placeOf(hash uint64) *place {
	if s := ref.slotOf(hash); s.at > 0 {
		return &ref.places[s.at-1]
	}
	return nil
}

// slotOf is the slot that a hash has or would have: at it, or as soon after it as
// was free; at most two thirds of them are taken. Two items that share the upper
// half of their hashes, and nearly the bits that say where, would be taken for one.
func (ref *Reference) slotOf(hash uint64) *slot {
	last := uint64(len(ref.slots) - 1)
	at := hash & last
	for ref.slots[at].at > 0 && ref.slots[at].upper != uint32(hash>>32) {
		at = (at + 1) & last
	}
	return &ref.slots[at]
}

// word is one of a title, by its number, and what it weighs by how few have it.
type word struct {
	number int32
	weight float64
}

// NewReference measures the items of cat, and the purchases among sales (of
// all shoppers, in any order; nil for none).
func NewReference(cat features.Catalog, sales iter.Seq[features.Event]) *Reference {
	ref := &Reference{
		places: make([]place, 0, cat.Len()), slots: make([]slot, 2<<bits.Len(uint(cat.Len()*3/4))), // #nosec G115 -- not negative
		levels: map[string][]float64{}, bare: true,
	}
	numbers := map[string]int32{}
	number := func(name string) int32 {
		n, ok := numbers[name]
		if !ok {
			n = int32(len(ref.names)) // #nosec G115 -- a catalogue has fewer names
			numbers[name] = n
			ref.names = append(ref.names, name)
		}
		return n
	}
	tops := map[string]int32{}
	titles, in := map[string]int{}, map[*place][]string{}
	prices := map[string]float64{}
	for row := range features.Row(cat.Len()) {
		it := cat.Item(row)
		if it == nil {
			continue
		}
		ref.places = append(ref.places, place{categories: it.Category, top: -1})
		p := &ref.places[len(ref.places)-1]
		s := ref.slotOf(hashOf(it.ID))
		*s = slot{uint32(hashOf(it.ID) >> 32), int32(len(ref.places)), -1, -1} // #nosec G115 -- a catalogue has fewer items
		if n := len(it.Category); n > 0 {
			s.leaf = number(it.Category[n-1])
			at, ok := tops[it.Category[0]]
			if !ok {
				at = int32(len(ref.tops)) // #nosec G115 -- there are few
				tops[it.Category[0]] = at
				ref.tops = append(ref.tops, kind{name: it.Category[0]})
			}
			p.top = at
		}
		if it.Brand != "" {
			s.brand = number(it.Brand)
		}
		words := text.Tokens(it.Title, it.Language, nil)
		slices.Sort(words)
		in[p] = slices.Compact(words)
		for _, w := range in[p] {
			titles[w]++
		}
		ref.bare = ref.bare && len(it.Category) == 0
		if list, ok := it.ListPrices[""]; ok {
			p.usual = list.Units()
		}
		if price := it.PriceIn("").Units(); price > 0 {
			prices[it.ID] = price
		}
	}
	for p, words := range in {
		for _, w := range words {
			if n := titles[w]; ref.bare && n >= 3 && n*10 <= len(ref.places) && (len(w) > 2 || w[0] >= utf8.RuneSelf) {
				p.words = append(p.words, word{number(w), math.Log(float64(len(ref.places)) / float64(n))})
			}
		}
	}
	ref.sold(sales, prices)
	for id, price := range prices {
		if p := ref.place(id); p != nil && price > 0 {
			for _, level := range levelsOf(p) {
				ref.levels[level] = append(ref.levels[level], price)
			}
		}
	}
	for _, list := range ref.levels {
		slices.Sort(list)
	}
	for i := range ref.places {
		p := &ref.places[i]
		names := levelsOf(p)
		if p.among = ref.levels[names[len(names)-1]]; len(p.among) < minInLevel {
			p.among = ref.levels[""]
		}
	}
	ref.measure(sales)
	return ref
}

func levelsOf(p *place) []string {
	if len(p.categories) == 0 {
		return []string{""}
	}
	return []string{"", p.categories[len(p.categories)-1]}
}

// sold takes usual prices and the seldom sold goods from sales.
func (ref *Reference) sold(sales iter.Seq[features.Event], prices map[string]float64) {
	if sales == nil {
		return
	}
	paid := map[string][]float64{}
	lines := 0
	for e := range sales {
		if e.Type == features.Purchase && e.Price.Micros > 0 && ref.place(e.Item) != nil {
			paid[e.Item] = append(paid[e.Item], e.Price.Units())
			lines++
		}
	}
	ids := make([]string, 0, len(paid))
	for id, list := range paid {
		ids = append(ids, id)
		slices.Sort(list)
		median := list[len(list)/2]
		if p := ref.place(id); p.usual == 0 {
			p.usual = median
		}
		if prices[id] == 0 {
			prices[id] = median
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		if d := len(paid[a]) - len(paid[b]); d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	sum := 0
	for _, id := range ids {
		sum += len(paid[id])
		if float64(sum) > tail*float64(lines) {
			break
		}
		ref.place(id).rare = true
	}
}

// measure takes the share of sales that speak for each motive.
func (ref *Reference) measure(sales iter.Seq[features.Event]) {
	ref.base = [motives]float64{value: .25, quality: 1 - dear, individuality: tail}
	if sales == nil {
		return
	}
	var hits [motives]float64
	n, kinds := 0.0, 0.0
	for e := range sales {
		at := ref.place(e.Item)
		if e.Type != features.Purchase || e.Price.Micros <= 0 || at == nil {
			continue
		}
		n++
		if at.top >= 0 {
			ref.tops[at.top].base++
			kinds++
		}
		level, ok := at.level(e.Price.Units())
		speaks := at.speaks(e.Price.Units(), level, ok)
		if cut, told := discounted(&e); told {
			speaks[value] = cut
		}
		for m, yes := range speaks {
			if yes {
				hits[m]++
			}
		}
	}
	for i := range ref.tops {
		ref.tops[i].base /= max(1, kinds)
	}
	if n < 100 {
		return
	}
	for m := range hits {
		ref.base[m] = min(max(hits[m]/n, .01), .99)
	}
}

// Level is the percentile of a price among the goods of the item's category,
// or among all goods when the category has few; ok is false when there is
// nothing to compare with.
func (ref *Reference) Level(id string, price float64) (level float64, ok bool) {
	return ref.place(id).level(price)
}

func (p *place) level(price float64) (level float64, ok bool) {
	if p == nil || price <= 0 || len(p.among) == 0 {
		return 0, false
	}
	below, _ := slices.BinarySearch(p.among, price)
	upto, _ := slices.BinarySearchFunc(p.among[below:], price, func(x, price float64) int {
		if x > price {
			return 1
		}
		return -1
	})
	return float64(2*below+upto) / 2 / float64(len(p.among)), true
}

// The motives.
const (
	value = iota
	quality
	individuality
	motives
)

// speaks says for which motives a purchase at the price speaks, which is at a
// level where ok.
func (p *place) speaks(price, level float64, ok bool) [motives]bool {
	return [motives]bool{
		value:         p.usual > 0 && price <= (1-discount)*p.usual,
		quality:       ok && level >= dear,
		individuality: p.rare,
	}
}
