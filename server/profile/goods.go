package profile

import (
	"context"
	"errors"
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

// before puts older purchases in front of those that are there.
func (l *ledger) before(older []sale) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := salesKept - len(l.sales); len(older) > left {
		older = older[len(older)-left:]
	}
	l.sales = append(older, l.sales...) // where it is full already, older is empty
}

// readSales looks for purchases in the log up to seq, before what the follower
// has read.
func (s *shop) readSales(ctx context.Context, seq int64) error {
	var older ledger
	err := s.k.o.Store.Scan(ctx, s.id, max(1, seq-salesRead), seq+1, func(e *features.Event) error {
		older.add(e)
		return nil
	})
	if err != nil {
		return err
	}
	s.sold.before(append(older.sales[older.next:], older.sales[:older.next]...))
	return nil
}

// recallSales takes in the purchases of the log up to seq.
func (s *shop) recallSales(ctx context.Context, seq int64) {
	if err := s.readSales(ctx, seq); err != nil && ctx.Err() == nil {
		s.k.o.Logger.Error("prices are measured by what is sold from now on", "shop", s.id, "error", err)
	}
}

// refreshGoods measures the shop's goods anew.
func (s *shop) refreshGoods(ctx context.Context) {
	began := time.Now()
	if err := s.readGoods(ctx); err != nil {
		if ctx.Err() == nil {
			s.k.o.Logger.Error("profiles keep measuring by the goods as they were", "shop", s.id, "error", err)
		}
		return
	}
	s.ref.Store(profile.NewReference(s.shelves.snapshot, s.sold.each))
	s.k.o.Logger.Debug("goods measured", "shop", s.id, "items", s.shelves.snapshot.Len(), "took", time.Since(began))
}

// shelves is the catalogue as the follower last read it.
type shelves struct {
	snapshot *catalog.Snapshot // nil: not read
	next     int64             // the change to go on from
}

// readGoods reads the catalogue where it changed since the last time.
func (s *shop) readGoods(ctx context.Context) error {
	if s.shelves.snapshot != nil {
		changed := false
		_, err := s.k.o.Store.Changes(ctx, s.id, s.shelves.next, func(store.Change) error {
			changed = true
			return errChanged
		})
		if err != nil && !changed || err == nil {
			return err
		}
	}
	items := map[string]features.Item{}
	next, err := s.k.o.Store.Changes(ctx, s.id, 0, func(c store.Change) error {
		if c.Deleted {
			delete(items, c.Item.ID)
		} else {
			items[c.Item.ID] = c.Item
		}
		return nil
	})
	if err != nil {
		return err
	}
	list := make([]features.Item, 0, len(items))
	for _, it := range items {
		list = append(list, it)
	}
	snapshot, err := catalog.Of(list)
	if err != nil {
		return err
	}
	s.shelves = shelves{snapshot, next}
	return nil
}

// errChanged ends a look at the catalogue's changes: there is one.
var errChanged = errors.New("changed")
