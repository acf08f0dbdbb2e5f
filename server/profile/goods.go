package profile

import (
	"context"
	"sync"
	"time"
	"unique"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
)

const (
	salesKept = 200_000   // newest purchases that prices and tastes are measured by
	salesRead = 1_000_000 // newest events in which a start looks for them
)

// sale is a purchase as the reference needs it.
type sale struct {
	item  unique.Handle[string]
	price features.Money
	list  string // the list price that the event told; "" for none
}

// ledger is the newest purchases of a shop.
type ledger struct {
	mu    sync.Mutex
	sales []sale
	next  int // where the next goes, once full
}

func (l *ledger) add(e *features.Event) {
	if e.Type != features.Purchase || e.Price.Micros <= 0 {
		return
	}
	s := sale{unique.Make(e.Item), e.Price, e.Attributes[profile.AttrListPrice]}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sales) < salesKept {
		l.sales = append(l.sales, s)
		return
	}
	l.sales[l.next] = s
	l.next = (l.next + 1) % salesKept
}

// each gives the purchases as events, in the order of the log.
func (l *ledger) each(yield func(features.Event) bool) {
	l.mu.Lock()
	sales := append(append([]sale(nil), l.sales[l.next:]...), l.sales[:l.next]...)
	l.mu.Unlock()
	for _, s := range sales {
		e := features.Event{Type: features.Purchase, Item: s.item.Value(), Price: s.price}
		if s.list != "" {
			e.Attributes = map[string]string{profile.AttrListPrice: s.list}
		}
		if !yield(e) {
			return
		}
	}
}

// readSales looks for purchases in the log before what the follower will read.
func (s *shop) readSales(ctx context.Context, seq int64) error {
	return s.k.o.Store.Scan(ctx, s.id, max(1, seq-salesRead), seq+1, func(e *features.Event) error {
		s.sold.add(e)
		return nil
	})
}

// refreshGoods measures the shop's goods anew.
func (s *shop) refreshGoods(ctx context.Context) {
	began := time.Now()
	items := map[string]features.Item{}
	_, err := s.k.o.Store.Changes(ctx, s.id, 0, func(c store.Change) error {
		if c.Deleted {
			delete(items, c.Item.ID)
		} else {
			items[c.Item.ID] = c.Item
		}
		return nil
	})
	var cat *catalog.Snapshot
	if err == nil {
		list := make([]features.Item, 0, len(items))
		for _, it := range items {
			list = append(list, it)
		}
		cat, err = catalog.Of(list)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.k.o.Logger.Error("profiles keep measuring by the goods as they were", "shop", s.id, "error", err)
		}
		return
	}
	s.ref.Store(profile.NewReference(cat, s.sold.each))
	s.k.o.Logger.Debug("goods measured", "shop", s.id, "items", len(items), "took", time.Since(began))
}
