package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features"
)

// End is the number that the next event will have: 1 in an empty shop.
func (s *Store) End(ctx context.Context, shop features.ShopID) (int64, error) {
	l, err := s.knownShop(ctx, shop)
	if errors.Is(err, ErrNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("end of the log: %w", err)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.end, nil
}

// Scan calls f with the events with from <= Seq < to, in order; to 0 means as
// far as the log goes at the start of the call. It reads segments, then pages,
// a bounded number at a time, and holds no transaction while f runs. The event
// is reused after f returns, its strings are not. An error of f ends the scan
// and is returned as it is.
func (s *Store) Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error {
	return s.scanStored(ctx, shop, from, to, func(e *stored) error {
		if err := s.decryptEvent(ctx, e); err != nil {
			return err
		}
		return f(&e.Event)
	})
}

// scanStored is Scan without decrypting.
func (s *Store) scanStored(ctx context.Context, shop features.ShopID, from, to int64, f func(*stored) error) error {
	l, err := s.knownShop(ctx, shop)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	l.mu.RLock()
	end := l.end
	l.mu.RUnlock()
	if to == 0 || to > end {
		to = end
	}
	from = max(from, 1)
	told := f
	f = func(e *stored) error {
		if e.Type == features.EventUnknown { // erased
			return nil
		}
		return told(e)
	}
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := l.scanSegment(ctx, from, to, f)
		if err == nil && next == from {
			next, err = l.scanPages(ctx, from, to, f)
		}
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// scanPages reads some pages from event from on and returns where to go on:
// from itself when it was sealed meanwhile.
func (l *shopLog) scanPages(ctx context.Context, from, to int64, f func(*stored) error) (int64, error) {
	pages, err := l.store.readPages(ctx, l.shop, from, pagesAtOnce)
	if err != nil {
		return from, fmt.Errorf("scan: %w", err)
	}
	if len(pages) == 0 || pages[0].first > from {
		return l.lost(ctx, from)
	}
	var r pageReader
	var e stored
	for _, p := range pages {
		if p.first >= to {
			return to, nil
		}
		if err := r.open(l.shop, p.first, p.body); err != nil {
			return from, err
		}
		for r.next(&e) {
			if e.Seq >= to {
				break
			}
			if e.Seq >= from {
				if err := f(&e); err != nil {
					return from, err
				}
			}
		}
		if err := r.err(); err != nil {
			return from, err
		}
		from = min(p.last+1, to)
	}
	return from, nil
}
