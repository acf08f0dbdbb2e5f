package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"

	"github.com/attune-rec/attune/features"
)

// History returns at most limit newest events of a user or session, oldest
// first, those of the keys linked to it included. Of a linked session only what
// nobody known did in it is taken: what somebody else did there is theirs.
//
// It reads the wanted events and no others from segments, and the pages that
// hold them, a bounded number at a time, from what is not sealed yet.
func (s *Store) History(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	events, err := s.eventsOf(ctx, shop, key, limit, func(aliases []features.UserKey) []features.UserKey {
		return append(aliases, key, known(key))
	})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return events, nil
}

// HistoryOf is History for who has read the Aliases of key already.
func (s *Store) HistoryOf(ctx context.Context, shop features.ShopID, key features.UserKey, aliases []features.UserKey, limit int) ([]features.Event, error) {
	events, err := s.inChains(ctx, shop, append(slices.Clone(aliases), key, known(key)), limit)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return events, nil
}

// Opinions returns at most limit newest events Hide, Dislike and Like of a user
// or session and of the keys linked to it, oldest first, however far back in
// the log: as far as they are the user's own, or of nobody known.
func (s *Store) Opinions(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	events, err := s.eventsOf(ctx, shop, key, limit, func(aliases []features.UserKey) []features.UserKey {
		keys := append(aliases, key)
		for i := range keys {
			keys[i] = opinions(keys[i])
		}
		return keys
	})
	if err != nil {
		return nil, fmt.Errorf("opinions: %w", err)
	}
	return events, nil
}

// Anonymous reports whether anything was done under a key by itself: by a user,
// or in a session by nobody known. It costs next to nothing for a key that was
// never met.
func (s *Store) Anonymous(ctx context.Context, shop features.ShopID, key features.UserKey) (bool, error) {
	l, err := s.knownShop(ctx, shop)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	for err == nil {
		var events []stored
		events, err = l.history(ctx, []features.UserKey{key}, 1)
		if err == nil {
			return len(events) > 0, nil
		}
		if errors.Is(err, errMoved) {
			err = nil
		}
	}
	return false, fmt.Errorf("anonymous: %w", err)
}

// eventsOf is the newest events in the chains of a subject, oldest first.
func (s *Store) eventsOf(ctx context.Context, shop features.ShopID, key features.UserKey, limit int, chains func(aliases []features.UserKey) []features.UserKey) ([]features.Event, error) {
	if limit <= 0 || key.IsZero() {
		return nil, nil
	}
	if _, going := s.going.Load(goer{shop, key}); going {
		return nil, nil
	}
	aliases, err := s.Aliases(ctx, shop, key)
	if err != nil {
		return nil, err
	}
	return s.inChains(ctx, shop, chains(aliases), limit)
}

// inChains is the newest events in the given chains, oldest first.
func (s *Store) inChains(ctx context.Context, shop features.ShopID, keys []features.UserKey, limit int) ([]features.Event, error) {
	if limit <= 0 {
		return nil, nil
	}
	l, err := s.knownShop(ctx, shop)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for {
		events, err := l.history(ctx, keys, limit)
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out := make([]features.Event, len(events))
		for i := range events {
			if err := s.decryptEvent(ctx, &events[i]); err != nil {
				return nil, err
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
	inPages = newestOf(inPages, limit)
	pages := l.pagesOf(inPages)
	segments := slices.Clone(l.segments)
	l.mu.RUnlock()
	old, err := l.sealedHistory(ctx, segments, keys, limit-len(inPages))
	if err != nil {
		return nil, err
	}
	recent, err := l.fetch(ctx, pages, inPages)
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

// pagesOf is the first numbers of the pages that hold the ascending numbers,
// each once. The caller holds mu.
func (l *shopLog) pagesOf(seqs []int64) (pages []int64) {
	for _, seq := range seqs {
		i := sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > seq }) - 1
		if i >= 0 && (len(pages) == 0 || pages[len(pages)-1] < l.starts[i]) {
			pages = append(pages, l.starts[i])
		}
	}
	return pages
}

// fetchedPages is how many pages one read takes for few events of each: what
// they hold is in memory at once.
const fetchedPages = 64

// fetch reads the events with the given ascending numbers from the pages that
// hold them.
func (l *shopLog) fetch(ctx context.Context, pages, seqs []int64) ([]stored, error) {
	out := make([]stored, 0, len(seqs))
	for from := 0; from < len(pages); from += fetchedPages {
		some := pages[from:min(from+fetchedPages, len(pages))]
		var err error
		if out, seqs, err = l.fetchSome(ctx, some, seqs, out); err != nil {
			return nil, err
		}
	}
	if len(seqs) > 0 {
		return nil, l.gone(ctx, seqs[0])
	}
	return out, nil
}

func (l *shopLog) fetchSome(ctx context.Context, pages, seqs []int64, out []stored) (_ []stored, left []int64, err error) {
	list := []byte{'['}
	for i, first := range pages {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, first, 10)
	}
	rows, err := l.store.read.QueryContext(ctx, `SELECT first_seq, last_seq, body FROM pages
		WHERE shop = ? AND first_seq IN (SELECT value FROM json_each(?)) ORDER BY first_seq`, string(l.shop), string(append(list, ']')))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var r pageReader
	n := 0
	for ; rows.Next(); n++ {
		var first, last int64
		var body sql.RawBytes
		if err := rows.Scan(&first, &last, &body); err != nil {
			return nil, nil, err
		}
		if first != pages[n] {
			return nil, nil, l.gone(ctx, pages[n])
		}
		if err := r.openSome(l.shop, first, body); err != nil {
			return nil, nil, err
		}
		for len(seqs) > 0 && seqs[0] <= last && r.left > 0 && !r.bad {
			switch seq := r.peek(); {
			case seq < seqs[0]:
				r.skip()
			case seq > seqs[0]: // erased
				seqs = seqs[1:]
			default:
				var e stored
				if r.next(&e) {
					out = append(out, e)
				}
				seqs = seqs[1:]
			}
		}
		if err := r.err(); err != nil {
			return nil, nil, err
		}
		for len(seqs) > 0 && seqs[0] <= last {
			seqs = seqs[1:]
		}
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	if n < len(pages) {
		return nil, nil, l.gone(ctx, pages[n])
	}
	return out, seqs, nil
}

// gone is errMoved when the event was sealed meanwhile.
func (l *shopLog) gone(ctx context.Context, seq int64) error {
	if _, err := l.lost(ctx, seq); err != nil {
		return err
	}
	return errMoved
}
