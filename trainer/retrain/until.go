package retrain

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// earlier is a store as it was at a time: without what happened then or later,
// and without items that neither were made nor had an event before. What the
// catalogue says of an item, and who turned out to be whom, is as it stands
// today.
type earlier struct {
	Store
	at    time.Time
	items map[string]bool // of which the log knew
}

func before(ctx context.Context, store Store, shop features.ShopID, at time.Time) (*earlier, error) {
	s := &earlier{Store: store, at: at, items: map[string]bool{}}
	err := s.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		if !s.items[e.Item] {
			s.items[e.Item] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the log of shop %s before %s: %w", shop, at.Format(time.RFC3339), err)
	}
	return s, nil
}

// Scan implements dataset.Log.
func (s *earlier) Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error {
	return s.Store.Scan(ctx, shop, from, to, func(e *features.Event) error {
		if !e.Time.Before(s.at) {
			return nil
		}
		return f(e)
	})
}

// ListItems implements Store. A page without any item of that time is read past,
// since an empty page is the end.
func (s *earlier) ListItems(ctx context.Context, shop features.ShopID, after string, limit int) ([]features.Item, error) {
	for {
		page, err := s.Store.ListItems(ctx, shop, after, limit)
		if err != nil || len(page) == 0 {
			return nil, err
		}
		after = page[len(page)-1].ID
		kept := page[:0]
		for i := range page {
			if page[i].Created.Before(s.at) || s.items[page[i].ID] {
				kept = append(kept, page[i])
			}
		}
		if len(kept) > 0 {
			return kept, nil
		}
	}
}
