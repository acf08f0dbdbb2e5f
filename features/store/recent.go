package store

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
)

// RecentServed returns at most limit records of answers, newest first, of one
// surface or, with "", of all.
func (s *Store) RecentServed(ctx context.Context, shop features.ShopID, surface string, limit int) ([]Served, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT recommendation, time, user_key, session_key, surface, market, release, record FROM served
		WHERE shop = ? AND (? = '' OR surface = ?) ORDER BY time DESC, recommendation DESC LIMIT ?`, string(shop), surface, surface, limit)
	if err != nil {
		return nil, fmt.Errorf("recent answers: %w", err)
	}
	all, err := scanServed(rows)
	if err != nil {
		return nil, fmt.Errorf("recent answers: %w", err)
	}
	newest := func() {
		slices.SortFunc(all, func(a, b Served) int { return b.compare(a) })
		all = slices.CompactFunc(all, func(a, b Served) bool { return a.compare(b) == 0 })
		all = all[:min(len(all), limit)]
	}
	last, id := int64(math.MaxInt64), int64(math.MaxInt64)
	for len(all) < limit || limit > 0 && last >= all[limit-1].Time.UnixMilli() {
		read, _, err := s.someBatches(ctx, `SELECT id, first, last, name, subject, body FROM answers
			WHERE shop = ? AND (last, id) < (?, ?) ORDER BY last DESC, id DESC LIMIT ?`, string(shop), last, id, batchesAtOnce)
		if err != nil {
			return nil, fmt.Errorf("recent answers: %w", err)
		}
		for i := range read {
			from := len(all)
			if all, err = read[i].unpack(all); err != nil {
				return nil, fmt.Errorf("recent answers: %w", err)
			}
			all = append(all[:from], slices.DeleteFunc(all[from:], func(r Served) bool { return surface != "" && r.Surface != surface })...)
			last, id = read[i].last, read[i].id
		}
		newest()
		if len(read) < batchesAtOnce {
			break
		}
	}
	newest()
	return all, nil
}
