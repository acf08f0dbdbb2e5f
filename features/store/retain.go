package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Retention says how long what a shop has is kept. What is not named is kept.
type Retention struct {
	Events  map[features.EventType]time.Duration // since they happened
	Answers time.Duration                        // records of answers; 0: kept
	Refused time.Duration                        // refused rows; 0: kept
}

// Expired is what was taken out, by place.
type Expired struct {
	Events map[features.EventType]int64
	Places []Place
	Total  int64
}

// Expire takes out what is kept longer than r says: events are blanked in the
// log, sealed or not, as an erasure does it, so that places in the log stay
// counted. Each step can be done again. Segments that hold nothing of the kind
// are read and left as they are.
func (s *Store) Expire(ctx context.Context, shop features.ShopID, r Retention) (*Expired, error) {
	if err := s.writable(); err != nil {
		return nil, fmt.Errorf("expire: %w", err)
	}
	l, err := s.knownShop(ctx, shop)
	if err != nil {
		return nil, fmt.Errorf("expire: %w", err)
	}
	now := s.now()
	out := &Expired{Events: map[features.EventType]int64{}}
	if err := s.expireRows(ctx, shop, r, now, out); err != nil {
		return nil, fmt.Errorf("expire: %w", err)
	}
	if len(r.Events) > 0 {
		if err := l.expireEvents(ctx, r, now, out); err != nil {
			return nil, fmt.Errorf("expire: %w", err)
		}
	}
	for _, p := range out.Places {
		out.Total += p.Removed
	}
	if out.Total == 0 {
		return out, nil
	}
	if err := s.scrub(ctx); err != nil {
		return nil, fmt.Errorf("expire: %w", err)
	}
	return out, nil
}

func (s *Store) expireRows(ctx context.Context, shop features.ShopID, r Retention, now time.Time, out *Expired) error {
	for _, x := range []struct {
		place, query string
		keep         time.Duration
	}{
		{"answers", `DELETE FROM served WHERE shop = ? AND time < ?`, r.Answers},
		{"refused rows", `DELETE FROM dead_letters WHERE shop = ? AND received < ?`, r.Refused},
	} {
		if x.keep <= 0 {
			continue
		}
		var n int64
		err := s.writer.do(ctx, func(tx *transaction) error {
			done, err := tx.exec(x.query, string(shop), now.Add(-x.keep).UnixMilli())
			if err != nil {
				return err
			}
			n, err = done.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
		out.Places = append(out.Places, Place{x.place, n})
	}
	if r.Answers <= 0 {
		return nil
	}
	n, err := s.dropBefore(ctx, shop, now.Add(-r.Answers).UnixMilli())
	out.Places[0].Removed += n // among the answers
	return err
}

func (l *shopLog) expireEvents(ctx context.Context, r Retention, now time.Time, out *Expired) error {
	goes := func(e *stored) bool {
		keep, ok := r.Events[e.Type]
		return ok && e.Type != features.EventUnknown && e.Time.Before(now.Add(-keep))
	}
	counted := func(e *stored) bool {
		if !goes(e) {
			return false
		}
		out.Events[e.Type]++
		return true
	}
	s := l.store
	s.sealing.Lock() // nothing is sealed that is being cleaned
	defer s.sealing.Unlock()
	if err := l.dropSealed(ctx); err != nil {
		return err
	}
	l.mu.RLock()
	segments := slices.Clone(l.segments)
	tail, end := l.tailFrom, l.end
	l.mu.RUnlock()
	sealed := int64(0)
	for _, g := range segments {
		n, err := l.expireSegment(ctx, g.Segment, goes, counted, now)
		if err != nil {
			return err
		}
		sealed += n
	}
	var seqs []int64
	err := l.eachStored(ctx, tail, end, func(e *stored) error {
		if goes(e) {
			seqs = append(seqs, e.Seq)
		}
		return nil
	})
	if err != nil {
		return err
	}
	pages, err := l.changePages(ctx, seqs, l.blanked(counted))
	if err != nil {
		return err
	}
	out.Places = append(out.Places, Place{"events", pages}, Place{"sealed events", sealed})
	return nil
}

// expireSegment writes a segment anew where it holds something that goes.
func (l *shopLog) expireSegment(ctx context.Context, g Segment, goes, counted func(*stored) bool, now time.Time) (int64, error) {
	found := false
	end := g.Last + 1
	_, err := l.scanSegment(ctx, g.First, end, func(e *stored) error {
		if goes(e) {
			found = true
			return errEnough
		}
		return nil
	})
	if err != nil || !found {
		return 0, err
	}
	return l.changeSegment(ctx, g, l.blanked(counted), now)
}
