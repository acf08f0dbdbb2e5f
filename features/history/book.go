// Package history makes a shopper's history out of events: the one definition
// that the trainer replays the log through and the server folds live events
// with, so that both see the same Recent.
//
// It imports features only. Start reading at Book.
package history

import (
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Book is what was collected of one shopper or session, by the shop's item ids,
// so that it outlives a release. The zero value is empty. It is not safe for
// concurrent use; the Shoppers made of it are.
//
// It keeps the newest features.HistoryCap events that concern an item and are
// no impression, in log order. Two books that were folded from logs which agree
// in those give the same Recent, so a book may be begun from the end of a log.
// What is hidden is kept of the whole log that was folded.
//
// Recent is the kept events, netted:
//
//   - CartRemove takes back the newest CartAdd of its item before it, and
//     WishRemove the newest WishAdd; both events vanish. Without one to take
//     back, the event vanishes alone. Quantities do not matter: a removal of some
//     pieces ends with the CartAdd of the rest, which shops send.
//   - Return takes its pieces off the newest Purchases of its item before it,
//     of the same order where both name one. A purchase without pieces left
//     vanishes; the Return itself stays, so that models can tell an item that
//     came back from one never bought.
//
// All else stays as it happened: a view is a view, however it went on.
type Book struct {
	kept    []entry
	hidden  map[string]features.EventType // Hide or Dislike
	seq     int64                         // of the newest event folded
	version uint64
}

type entry struct {
	seq   int64
	id    string // of the item
	order string
	where string               // the market
	it    features.Interaction // Row is not set
}

// Fold takes one event in and reports whether it changed the book. Events come
// in the order of Seq; one that is not newer than the last is a repeat and does
// nothing. Events that have no Seq yet are taken as they come.
func (b *Book) Fold(e *features.Event) bool {
	if e.Seq != 0 && e.Seq <= b.seq {
		return false
	}
	b.seq = max(b.seq, e.Seq)
	if e.Item == "" || !e.Type.AboutItem() || e.Type == features.Impression {
		return false
	}
	b.version = max(b.version+1, uint64(max(e.Seq, 0)))
	b.hide(e)
	b.kept = append(b.kept, entry{seq: e.Seq, id: e.Item, order: e.Order, where: e.Market, it: interaction(e)})
	if n := len(b.kept); n > 2*features.HistoryCap { // seldom, not with every event
		b.kept = append(b.kept[:0], b.kept[n-features.HistoryCap:]...)
	}
	return true
}

// Of is the book of events in log order.
func Of(events []features.Event) *Book {
	b := new(Book)
	for i := range events {
		b.Fold(&events[i])
	}
	return b
}

// hide keeps the wish not to see an item: Hide for good, Dislike until a Like.
func (b *Book) hide(e *features.Event) {
	switch e.Type {
	case features.Hide:
	case features.Dislike:
		if b.hidden[e.Item] == features.Hide {
			return
		}
	case features.Like:
		if b.hidden[e.Item] == features.Dislike {
			delete(b.hidden, e.Item)
		}
		return
	default:
		return
	}
	if b.hidden == nil {
		b.hidden = map[string]features.EventType{}
	}
	b.hidden[e.Item] = e.Type
}

func interaction(e *features.Event) features.Interaction {
	it := features.Interaction{
		Row: features.NoRow, Type: e.Type, TimeMS: e.Time.UnixMilli(),
		Quantity: 1, Price: float32(e.Price.Units()), Value: float32(e.Value),
	}
	if e.Quantity > 0 {
		it.Quantity = float32(e.Quantity)
	}
	return it
}

// Merge is the book of one shopper whose events lie in two: a session and the
// user it turned out to be. Events are ordered by Seq; one that lies in both is
// taken once; a and b stay as they are.
func Merge(a, b *Book) *Book {
	m := &Book{seq: max(a.seq, b.seq), version: max(a.version, b.version) + 1}
	m.kept = append(append(m.kept, a.tail()...), b.tail()...)
	slices.SortStableFunc(m.kept, func(x, y entry) int {
		switch {
		case x.seq < y.seq:
			return -1
		case x.seq > y.seq:
			return 1
		}
		return 0
	})
	m.kept = slices.CompactFunc(m.kept, func(x, y entry) bool { return x.seq == y.seq && x.seq != 0 })
	for _, from := range []*Book{a, b} {
		for id, t := range from.hidden {
			if m.hidden == nil {
				m.hidden = map[string]features.EventType{}
			}
			if m.hidden[id] != features.Hide {
				m.hidden[id] = t
			}
		}
	}
	return m
}

// Hide adds what was hidden before the part of the log that is folded: Hide and
// Dislike by item id. What the book knows itself holds.
func (b *Book) Hide(before map[string]features.EventType) {
	for id, t := range before {
		if _, known := b.hidden[id]; known || t != features.Hide && t != features.Dislike {
			continue
		}
		if b.hidden == nil {
			b.hidden = map[string]features.EventType{}
		}
		b.hidden[id] = t
		b.version++
	}
}

// Seq is the number of the newest event folded.
func (b *Book) Seq() int64 { return b.seq }

// Version grows with every event that changed the book.
func (b *Book) Version() uint64 { return b.version }

// Last is the time of the newest event kept; zero when there is none.
func (b *Book) Last() time.Time {
	if len(b.kept) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(b.kept[len(b.kept)-1].it.TimeMS).UTC()
}

// tail is the newest HistoryCap entries.
func (b *Book) tail() []entry {
	return b.kept[max(0, len(b.kept)-features.HistoryCap):]
}
