package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
)

// History returns at most limit newest events of a user or session, oldest
// first, those of the keys linked to it included. It reads one page of the log
// for each event in the worst case; what is sealed costs a Parquet page a
// column, about a millisecond an event: callers keep what they got and follow
// the log from there.
func (s *Store) History(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	if limit <= 0 || key.IsZero() {
		return nil, nil
	}
	l, err := s.knownShop(ctx, shop)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	aliases, err := s.Aliases(ctx, shop, key)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	keys := append(aliases, key)
	for {
		events, err := l.history(ctx, keys, limit)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		out := make([]features.Event, len(events))
		for i := range events {
			if err := s.decryptEvent(ctx, &events[i]); err != nil {
				return nil, fmt.Errorf("history: %w", err)
			}
			out[i] = events[i].Event
		}
		return out, nil
	}
}

// errMoved says that what was looked for was sealed meanwhile.
var errMoved = errors.New("moved")

func (l *shopLog) history(ctx context.Context, keys []features.UserKey, limit int) ([]stored, error) {
	l.mu.RLock()
	var inPages []int64
	for _, k := range keys {
		left := limit
		for i := len(l.tail) - 1; i >= 0 && left > 0; i-- {
			n := len(inPages)
			inPages = l.tail[i].newest(k, l.tailFrom, left, inPages)
			left -= len(inPages) - n
		}
	}
	segments := slices.Clone(l.segments)
	l.mu.RUnlock()
	inPages = newestOf(inPages, limit)
	old, err := l.sealedHistory(ctx, segments, keys, limit-len(inPages))
	if err != nil {
		return nil, err
	}
	recent, err := l.fetch(ctx, inPages)
	if err != nil {
		return nil, err
	}
	erased := func(e stored) bool { return e.Type == features.EventUnknown }
	return slices.DeleteFunc(append(old, recent...), erased), nil
}

// newestOf is the limit greatest of the numbers, ascending, each once.
func newestOf(seqs []int64, limit int) []int64 {
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	return seqs[max(0, len(seqs)-limit):]
}

// fetch reads the events with the given ascending numbers from pages.
func (l *shopLog) fetch(ctx context.Context, seqs []int64) ([]stored, error) {
	out := make([]stored, 0, len(seqs))
	var r pageReader
	var e stored
	for len(seqs) > 0 {
		pages, err := l.store.readPages(ctx, l.shop, seqs[0], 1)
		if err != nil {
			return nil, err
		}
		if len(pages) == 0 || pages[0].first > seqs[0] {
			if _, err := l.lost(ctx, seqs[0]); err != nil {
				return nil, err
			}
			return nil, errMoved
		}
		p := pages[0]
		if err := r.open(l.shop, p.first, p.body); err != nil {
			return nil, err
		}
		for len(seqs) > 0 && seqs[0] <= p.last && r.next(&e) {
			for len(seqs) > 0 && seqs[0] < e.Seq { // erased
				seqs = seqs[1:]
			}
			if len(seqs) > 0 && seqs[0] == e.Seq {
				out = append(out, e)
				seqs = seqs[1:]
			}
		}
		if err := r.err(); err != nil {
			return nil, err
		}
		for len(seqs) > 0 && seqs[0] <= p.last {
			seqs = seqs[1:]
		}
	}
	return out, nil
}
