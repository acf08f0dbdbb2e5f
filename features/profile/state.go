package profile

import (
	"bytes"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/attune-rec/attune/features"
)

const (
	itemCap  = 512                 // items remembered in detail
	halfLife = 60 * 24 * time.Hour // of interest
	day      = 24 * time.Hour
)

// weights is how much an event says of interest in its item.
var weights = [...]float64{
	features.Click: 1, features.View: 1, features.Dwell: .5, features.CartAdd: 3, features.CartRemove: -2,
	features.WishAdd: 3, features.WishRemove: -2, features.Purchase: 6, features.Return: -5, features.Review: 1,
	features.Share: 3, features.Like: 2, features.Dislike: -4, features.Comment: 1, features.Hide: -6, features.NotInterested: -3,
}

// State is what was collected of one shopper, by the shop's item ids, so that
// it outlives catalogues and releases. The zero value is empty. It is a fold
// over the shopper's events in the order of Seq: updated event by event or
// rebuilt from the log, it is the same to the bit. Nothing it lists has a
// pointer, so that the garbage collector looks at little of those of a shop's
// shoppers. It is not safe for concurrent use; the Profiles made of it are.
type State struct {
	seq                   int64
	first, last           int64 // Unix milliseconds, by the clock of events; 0: none
	firstOrder, lastOrder int64
	orders                []uint64 // hashes of order ids, or of days where events name none, ascending
	spent                 int64    // micros, returns off
	bought, back          int64    // pieces
	tallies               []count  // of markets, devices and channels
	shares, voices        int64    // and reviews, ratings and comments
	follows               int64    // less those taken back
	visits                int64    // hours with an event
	hour                  int64    // of the newest visit
	parts                 [4]int64
	weekend               int64
	seasons               [4]int64
	items                 []item
	sales                 []sale // of the items that were bought
	text                  []byte // names of markets, devices, channels and items, one after the other
}

// count is how many visits were in a market, with a device or by a channel.
type count struct {
	name name
	n    int64
	what what
}

type what uint8

const (
	market what = iota
	device
	channel
	counted // so many
)

// item is what the shopper did about one item.
type item struct {
	weight float64 // interest, as of at
	at     int64
	id     name
	hash   uint64 // of the id
	sale   int32  // place among sales, from 1; 0: never bought

	first, next uint16 // of items by their hashes: see find
}

// sold is what was bought of an item; nil: nothing. It is valid until the next
// item is bought.
func (s *State) sold(it *item) *sale {
	if it.sale == 0 {
		return nil
	}
	return &s.sales[it.sale-1]
}

// sell gives an item a place among the sales.
func (s *State) sell(it *item, b sale) *sale {
	s.sales = append(grown(s.sales), b)
	it.sale = int32(len(s.sales)) // #nosec G115 -- as many as there are items
	return &s.sales[it.sale-1]
}

// sale is what was bought of an item.
type sale struct {
	lines        int64 // times bought
	told, cut    int64 // times with a list price given, and at a discount from it
	pieces, back int64
	paid, off    int64 // micros paid, and given back
	first        int64 // first bought
}

// Of is the state after events in log order.
func Of(events []features.Event) *State {
	s := new(State)
	for i := range events {
		s.Update(&events[i])
	}
	return s
}

// Seq is the number of the newest event folded.
func (s *State) Seq() int64 { return s.seq }

// Update folds one event in and reports whether it changed anything. Events
// come in the order of Seq; one that is not newer than the last is a repeat
// and does nothing. Impressions say nothing about a shopper. Late events are
// decayed to where they belong by their own time.
func (s *State) Update(e *features.Event) bool {
	if e.Seq != 0 && e.Seq <= s.seq {
		return false
	}
	s.seq = max(s.seq, e.Seq)
	if e.Type == features.Impression || e.Type == features.EventUnknown || e.Time.IsZero() {
		return false
	}
	ms := e.Time.UnixMilli()
	if s.first == 0 || ms < s.first {
		s.first = ms
	}
	s.last = max(s.last, ms)
	s.visit(e)
	s.social(e.Type)
	if e.Item == "" || !e.Type.AboutItem() {
		return true
	}
	it := s.item(e.Item)
	it.add(weight(e), ms)
	switch e.Type {
	case features.Purchase:
		s.purchase(it, e, ms)
	case features.Return:
		s.giveBack(it, e)
	}
	if len(s.items) > 2*itemCap {
		s.forget()
	}
	return true
}

func (s *State) social(t features.EventType) {
	switch t {
	case features.Share:
		s.shares++
	case features.Review, features.Rating, features.Comment:
		s.voices++
	case features.Follow:
		s.follows++
	case features.Unfollow:
		s.follows = max(0, s.follows-1)
	}
}

func weight(e *features.Event) float64 {
	if e.Type == features.Rating {
		return e.Value - 2.5 // stars
	}
	if int(e.Type) < len(weights) {
		return weights[e.Type]
	}
	return 0
}

// add takes w of the time ms in, both decayed to the later time.
func (it *item) add(w float64, ms int64) {
	if it.at == 0 {
		it.at = ms
	}
	if ms >= it.at {
		it.weight = it.weight*decay(ms-it.at) + w
		it.at = ms
		return
	}
	it.weight += w * decay(it.at-ms)
}

func decay(ms int64) float64 {
	return math.Exp2(-float64(ms) / float64(halfLife.Milliseconds()))
}

func (s *State) purchase(it *item, e *features.Event, ms int64) {
	n := int64(max(e.Quantity, 1))
	s.order(e)
	if s.firstOrder == 0 || ms < s.firstOrder {
		s.firstOrder = ms
	}
	s.lastOrder = max(s.lastOrder, ms)
	b := s.sold(it)
	if b == nil {
		b = s.sell(it, sale{first: ms})
	}
	b.first = min(b.first, ms)
	b.lines++
	if cut, told := discounted(e); told {
		b.told++
		if cut {
			b.cut++
		}
	}
	b.pieces += n
	b.paid += n * e.Price.Micros
	s.bought += n
	s.spent += n * e.Price.Micros
}

// order counts the purchase's order once. Two orders that share 64 bits of hash
// would be taken for one.
func (s *State) order(e *features.Event) {
	h := fnv.New64a()
	if e.Order != "" {
		_, _ = h.Write([]byte("o" + e.Order))
	} else {
		_, _ = h.Write([]byte("d" + e.Time.UTC().Format(time.DateOnly)))
	}
	n := h.Sum64()
	if at, known := slices.BinarySearch(s.orders, n); !known {
		s.orders = slices.Insert(s.orders, at, n)
	}
}

// AttrListPrice is the event attribute that gives the price of one piece
// before discount, in the event's currency, as a plain number.
const AttrListPrice = "list_price"

// discounted reports whether a purchase was made at a discount, and whether
// the event tells.
func discounted(e *features.Event) (cut, told bool) {
	text, ok := e.Attributes[AttrListPrice]
	if !ok {
		return false, false
	}
	list, err := strconv.ParseFloat(text, 64)
	if err != nil || !(list > 0) || e.Price.IsZero() {
		return false, false
	}
	return e.Price.Units() <= (1-discount)*list, true
}

// giveBack takes off no more than was bought: pieces whose purchase is older
// than the log were never counted.
func (s *State) giveBack(it *item, e *features.Event) {
	b := s.sold(it)
	if b == nil {
		return
	}
	n := min(int64(max(e.Quantity, 1)), b.pieces-b.back)
	if n <= 0 {
		return
	}
	price := e.Price.Micros
	if price <= 0 {
		price = b.paid / b.pieces
	}
	off := min(n*price, b.paid-b.off)
	b.back += n
	b.off += off
	s.back += n
	s.spent -= off
}

// visit counts where and when: once for each hour that differs from that of
// the event before.
func (s *State) visit(e *features.Event) {
	t := e.Time.UTC()
	hour := t.Unix() / 3600
	if s.visits > 0 && hour == s.hour {
		return
	}
	s.hour = hour
	s.visits++
	s.parts[t.Hour()/6]++
	if wd := t.Weekday(); wd == time.Saturday || wd == time.Sunday {
		s.weekend++
	}
	s.seasons[int(t.Month())%12/3]++
	s.tally(market, e.Market)
	s.tally(device, e.Device)
	s.tally(channel, e.Channel)
}

func (s *State) tally(w what, name string) {
	if name == "" {
		return
	}
	n := 0
	for i := range s.tallies {
		c := &s.tallies[i]
		if c.what != w {
			continue
		}
		if string(s.named(c.name)) == name {
			c.n++
			return
		}
		n++
	}
	if n < 64 {
		s.tallies = append(s.tallies, count{s.keep(name), 1, w})
	}
}

// forget keeps the items of most interest, in the order they came. Totals stay.
func (s *State) forget() {
	order := make([]int, len(s.items))
	for i := range order {
		order[i] = i
	}
	now := make([]float64, len(s.items))
	for i, it := range s.items {
		now[i] = it.weight * decay(max(0, s.last-it.at))
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case now[a] > now[b]:
			return -1
		case now[a] < now[b]:
			return 1
		}
		return bytes.Compare(s.named(s.items[a].id), s.named(s.items[b].id))
	})
	keep := order[:itemCap]
	slices.Sort(keep)
	old := *s
	s.text = nil
	for i := range s.tallies {
		s.tallies[i].name = s.keep(string(old.named(s.tallies[i].name)))
	}
	s.items, s.sales = make([]item, 0, 2*itemCap+1), nil
	for _, i := range keep {
		it := old.items[i]
		it.id = s.keep(string(old.named(it.id)))
		if b := old.sold(&it); b != nil {
			s.sell(&it, *b)
		}
		s.items = append(s.items, it)
	}
	s.reindex()
}
