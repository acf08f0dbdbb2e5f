package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/attune-rec/attune/features"
)

// pagesAtOnce is how many pages one read takes, so that no read transaction
// lasts long.
const pagesAtOnce = 128

// shopLog is what is known in memory of one shop's log. In the store that owns
// the data, only the writer's goroutine changes it; in a reader, catchUp does.
type shopLog struct {
	store *Store
	shop  features.ShopID

	mu       sync.RWMutex
	end      int64 // the next event's number
	tailFrom int64 // events from here lie in pages, those before in segments
	tail     []*generation
	segments []*segment   // by first number
	summary  summary      // of the ids in segments
	retired  []*segment   // replaced, and maybe still being read
	starts   []int64      // first numbers of the pages, ascending
	page     pageWriter   // of the writer's goroutine
	lately   []committed  // likewise: the newest commits, oldest first
	fresh    freshLinks   // where the store is not only read
	aliases  knownAliases // likewise
	dropped  int64        // of sealing: no page before it is left
}

// knownShop is the shop's log; ErrNotFound when nothing was ever stored for it.
func (s *Store) knownShop(ctx context.Context, shop features.ShopID) (*shopLog, error) {
	if err := shop.Validate(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	l := s.shops[shop]
	s.mu.Unlock()
	if l == nil {
		var n int
		if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM shops WHERE shop = ?`, string(shop)).Scan(&n); err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, ErrNotFound
		}
		s.mu.Lock()
		if l = s.shops[shop]; l == nil {
			l = &shopLog{store: s, shop: shop, end: 1, tailFrom: 1}
			l.aliases.read = true // it is new, and has none; who only reads does not ask
			s.shops[shop] = l
		}
		s.mu.Unlock()
	}
	if s.writer == nil {
		return l, l.catchUp(ctx)
	}
	return l, nil
}

// ensureShop is the shop's log, made when there is none.
func (s *Store) ensureShop(ctx context.Context, shop features.ShopID) (*shopLog, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	l, err := s.knownShop(ctx, shop)
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, err
	}
	wrapped, err := s.keys.keeper.Encrypt(ctx, secret[:])
	if err != nil {
		return nil, fmt.Errorf("wrap the secret of shop %s: %w", shop, err)
	}
	err = s.writer.do(ctx, func(tx *transaction) error {
		_, err := tx.exec(`INSERT OR IGNORE INTO shops (shop, secret, created) VALUES (?, ?, ?)`,
			string(shop), wrapped, s.now().UnixMilli())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make shop %s: %w", shop, err)
	}
	return s.knownShop(ctx, shop)
}

// loadAll reads the index of every shop, once at start.
func (s *Store) loadAll(ctx context.Context) error {
	shops, err := s.Shops(ctx)
	if err != nil {
		return err
	}
	for _, shop := range shops {
		l := &shopLog{store: s, shop: shop, end: 1, tailFrom: 1}
		if err := l.catchUp(ctx); err != nil {
			return fmt.Errorf("read the log of shop %s: %w", shop, err)
		}
		if err := l.fresh.read(ctx, s, shop); err != nil {
			return fmt.Errorf("read the links of shop %s: %w", shop, err)
		}
		var next int64
		if err := s.read.QueryRowContext(ctx, `SELECT next_seq FROM shops WHERE shop = ?`, string(shop)).Scan(&next); err != nil {
			return err
		}
		if l.end > next {
			return fmt.Errorf("%w: shop %s has events up to %d, but its next is %d", ErrCorrupt, shop, l.end-1, next)
		}
		l.end = next
		s.shops[shop] = l
	}
	return nil
}

// catchUp indexes what was stored since the last call.
func (l *shopLog) catchUp(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.catchUpSegments(ctx); err != nil {
		return err
	}
	var r pageReader
	var e stored
	for {
		pages, err := l.store.readPages(ctx, l.shop, l.end, pagesAtOnce)
		if err != nil || len(pages) == 0 {
			return err
		}
		for _, p := range pages {
			if err := r.open(l.shop, p.first, p.body); err != nil {
				return err
			}
			l.begins(p.first)
			for r.next(&e) {
				if e.Seq >= l.end {
					l.index(&e.Event, idOf(&e.Event))
				}
			}
			if err := r.err(); err != nil {
				return err
			}
			l.end = p.last + 1
		}
	}
}

// begins notes the first number of a page. The caller holds mu.
func (l *shopLog) begins(first int64) {
	if n := len(l.starts); n == 0 || l.starts[n-1] < first {
		l.starts = append(l.starts, first)
	}
}

func idOf(e *features.Event) *idHash {
	if e.ID == "" {
		return nil
	}
	h := hashID(e.ID)
	return &h
}

// index takes an event into the newest generation. The caller holds mu.
func (l *shopLog) index(e *features.Event, id *idHash) {
	n := len(l.tail)
	if n == 0 || e.Seq-l.tail[n-1].first >= int64(l.store.opts.SegmentRows) {
		l.tail = append(l.tail, newGeneration(e.Seq, l.store.opts.SegmentRows))
		n++
	}
	l.tail[n-1].add(e, id)
}

// page is a row of pages.
type page struct {
	first, last int64
	body        []byte
}

// readPages reads at most n pages from the one that holds event from on.
func (s *Store) readPages(ctx context.Context, shop features.ShopID, from int64, n int) ([]page, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT first_seq, last_seq, body FROM pages
		WHERE shop = ?1 AND last_seq >= ?2
		AND first_seq >= coalesce((SELECT max(first_seq) FROM pages WHERE shop = ?1 AND first_seq <= ?2), 0)
		ORDER BY first_seq LIMIT ?3`, string(shop), from, n)
	if err != nil {
		return nil, err
	}
	return collectPages(rows)
}

func collectPages(rows *sql.Rows) ([]page, error) {
	defer rows.Close()
	var pages []page
	for rows.Next() {
		var p page
		if err := rows.Scan(&p.first, &p.last, &p.body); err != nil {
			return nil, err
		}
		pages = append(pages, p)
	}
	return pages, rows.Err()
}
