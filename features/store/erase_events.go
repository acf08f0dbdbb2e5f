package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// blank is what stands where an erased event stood.
func blank(shop features.ShopID, seq int64) stored {
	return stored{Event: features.Event{Shop: shop, Seq: seq, Time: time.UnixMilli(0).UTC(), Received: time.UnixMilli(0).UTC()}}
}

// pagesErasedAtOnce is how many pages one transaction cleans.
const pagesErasedAtOnce = 64

// erasePages blanks the person's events in the pages of the log.
func (l *shopLog) erasePages(ctx context.Context, c *Certificate) (n int64, err error) {
	l.mu.RLock()
	var seqs []int64
	for _, k := range c.Keys {
		for _, g := range l.tail {
			seqs = g.newest(k, l.tailFrom, 1<<62, seqs)
		}
	}
	l.mu.RUnlock()
	slices.Sort(seqs)
	return l.blankPages(ctx, seqs, c.of)
}

// blankPages blanks what goes in the pages that hold the ascending numbers.
func (l *shopLog) blankPages(ctx context.Context, seqs []int64, goes func(*stored) bool) (n int64, err error) {
	for len(seqs) > 0 {
		var done int64
		err := l.store.writer.doThen(ctx, func(tx *transaction) (err error) {
			done = 0
			for range pagesErasedAtOnce {
				if len(seqs) == 0 {
					return nil
				}
				last, k, err := l.erasePage(tx, seqs[0], goes)
				if err != nil {
					return err
				}
				done += k
				for len(seqs) > 0 && seqs[0] <= last {
					seqs = seqs[1:]
				}
			}
			return nil
		}, nil)
		if err != nil {
			return n, err
		}
		n += done
	}
	return n, nil
}

// erasePage blanks what goes in the page that holds an event.
func (l *shopLog) erasePage(tx *transaction, seq int64, goes func(*stored) bool) (last, n int64, err error) {
	var p page
	err = tx.get([]any{&p.first, &p.last, &p.body}, `SELECT first_seq, last_seq, body FROM pages
		WHERE shop = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1`, string(l.shop), seq)
	if errors.Is(err, sql.ErrNoRows) || err == nil && p.last < seq {
		return seq, 0, fmt.Errorf("%w: event %d of shop %s is in no page", ErrCorrupt, seq, l.shop)
	}
	if err != nil {
		return seq, 0, err
	}
	var r pageReader
	var w pageWriter
	var e stored
	if err := r.open(l.shop, p.first, p.body); err != nil {
		return seq, 0, err
	}
	w.reset(p.first)
	for r.next(&e) {
		if goes(&e) {
			e = blank(l.shop, e.Seq)
			n++
		}
		w.add(&e)
	}
	if err := r.err(); err != nil || n == 0 {
		return p.last, 0, err
	}
	_, err = tx.exec(`UPDATE pages SET body = ? WHERE shop = ? AND first_seq = ?`, w.bytes(), string(l.shop), p.first)
	return p.last, n, err
}

// eraseSegments writes the segments that hold events of the person anew,
// without them. As in sealing, a file is made durable first and takes the place
// of the other in one transaction.
func (l *shopLog) eraseSegments(ctx context.Context, c *Certificate) (n int64, err error) {
	l.mu.RLock()
	segments := slices.Clone(l.segments)
	l.mu.RUnlock()
	for _, g := range segments {
		holds := false
		for _, k := range c.Keys {
			rows, err := g.index.newest(k, 1)
			if err != nil {
				return n, fmt.Errorf("index of %s: %w", g.File, err)
			}
			holds = holds || len(rows) > 0
		}
		if !holds {
			continue
		}
		removed, err := l.eraseSegment(ctx, g.Segment, c.of, c.Time)
		n += removed
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// eraseSegment writes a segment anew without what goes; stamp tells it from the
// one before.
func (l *shopLog) eraseSegment(ctx context.Context, old Segment, goes func(*stored) bool, stamp time.Time) (n int64, err error) {
	g := Segment{First: old.First, Last: old.Last, Sealed: old.Sealed, File: filepath.ToSlash(filepath.Join("segments", string(l.shop),
		fmt.Sprintf("%012d-%012d-%d.parquet", old.First, old.Last, stamp.UnixMilli())))}
	if g.File == old.File {
		return 0, nil // done before the program ended
	}
	path := filepath.Join(l.store.opts.Dir, old.File)
	err = l.writeSegment(&g, func(f func(*stored) error) error {
		return l.readSegment(ctx, path, func(e *stored) error {
			if !goes(e) {
				return f(e)
			}
			b := blank(l.shop, e.Seq)
			n++
			return f(&b)
		})
	})
	if err != nil {
		return 0, err
	}
	if err := l.store.opts.seam("segment rewritten"); err != nil {
		return 0, err
	}
	err = l.store.writer.do(ctx, func(tx *transaction) error {
		_, err := tx.exec(`UPDATE segments SET file = ?, bytes = ?, sha256 = ?, newest = ? WHERE shop = ? AND first_seq = ?`,
			g.File, g.Bytes, g.SHA256, old.Newest.UnixMilli(), string(l.shop), g.First)
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := l.refresh(ctx); err != nil {
		return 0, err
	}
	return n, errors.Join(os.Remove(sidecarPath(path)), os.Remove(path), syncDir(filepath.Dir(path)))
}
