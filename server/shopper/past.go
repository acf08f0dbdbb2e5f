package shopper

import (
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
)

// past is the part of an event that histories are made of, packed: there may
// be a hundred million of them in memory.
type past struct {
	seq       int64
	timeMS    int64
	item      string
	order     string
	price     features.Money
	value     float64
	quantity  int32
	typ       features.EventType
	anonymous bool // no user was known
}

func pastOf(ev *features.Event) past {
	return past{
		seq: ev.Seq, timeMS: ev.Time.UnixMilli(), item: ev.Item, order: ev.Order, price: ev.Price, value: ev.Value,
		quantity: ev.Quantity, typ: ev.Type, anonymous: ev.User.IsZero(),
	}
}

func (p *past) event() features.Event {
	return features.Event{
		Seq: p.seq, Type: p.typ, Item: p.item, Time: time.UnixMilli(p.timeMS).UTC(),
		Quantity: p.quantity, Price: p.price, Value: p.value, Order: p.order,
	}
}

// pages is memory for the events of one history at a time.
var pages = sync.Pool{New: func() any { return new([]features.Event) }}

// makeShopper folds a history into the rows of a view.
func makeShopper(key features.UserKey, events []past, consent features.Purposes, version uint64, v View, fold Fold) *features.Shopper {
	page := pages.Get().(*[]features.Event)
	*page = (*page)[:0]
	for i := range events {
		*page = append(*page, events[i].event())
	}
	recent, hidden := fold(*page, v.Items)
	pages.Put(page)
	return &features.Shopper{Key: key, Recent: recent, Hidden: hidden, Consent: consent, Version: version}
}
