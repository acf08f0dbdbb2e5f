package profile

import (
	"context"
	"errors"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
)

// salesRead is the newest events in which a start looks for what was sold.
const salesRead = 1_000_000

// readSales looks for purchases in the log up to seq, before what the follower
// has read.
func (s *shop) readSales(ctx context.Context, seq int64) error {
	var older profile.Ledger
	err := s.k.o.Store.Scan(ctx, s.id, max(1, seq-salesRead), seq+1, func(e *features.Event) error {
		if s.counts(ctx, e) {
			older.Add(e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.sold.Before(&older)
	return nil
}

// recall is a reading of old purchases that goes on beside the follower.
type recall struct {
	stop context.CancelFunc
	done chan struct{} // closed when it ended; nil: none goes on
}

// recall starts to take in the purchases of the log up to seq.
func (s *shop) recall(ctx context.Context, seq int64) recall {
	ctx, stop := context.WithCancel(ctx)
	r := recall{stop: stop, done: make(chan struct{})}
	s.k.wg.Go(func() {
		defer close(r.done)
		defer stop()
		s.recallSales(ctx, seq)
	})
	return r
}

// end returns once nothing goes on, and reports whether something did.
func (r *recall) end() bool {
	if r.done == nil {
		return false
	}
	r.stop()
	<-r.done
	r.done = nil
	return true
}

// recallSales takes in the purchases of the log up to seq.
func (s *shop) recallSales(ctx context.Context, seq int64) {
	if err := s.readSales(ctx, seq); err != nil && ctx.Err() == nil {
		s.k.o.Logger.Error("prices are measured by what is sold from now on", "shop", s.id, "error", err)
	}
}

// refreshGoods measures the shop's goods anew.
func (s *shop) refreshGoods(ctx context.Context) {
	s.measuring.Lock()
	defer s.measuring.Unlock()
	s.measureNext.Store(false)
	began := time.Now()
	if err := s.readGoods(ctx); err != nil {
		if ctx.Err() == nil {
			s.k.o.Logger.Error("profiles keep measuring by the goods as they were", "shop", s.id, "error", err)
		}
		return
	}
	s.ref.Store(profile.NewReference(s.shelves.snapshot, s.sold.Each))
	s.k.o.Logger.Debug("goods measured", "shop", s.id, "items", s.shelves.snapshot.Len(), "took", time.Since(began))
}

// measure refreshes the goods beside the follower, and calls then, where there is
// one, after it. One that waits to begin stands for those that are asked for
// meanwhile.
func (s *shop) measure(ctx context.Context, then func()) {
	if then == nil && !s.measureNext.CompareAndSwap(false, true) {
		return
	}
	s.k.wg.Go(func() {
		s.refreshGoods(ctx)
		if then != nil {
			then()
		}
	})
}

// shelves is the catalogue as it was last read to measure the goods.
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
