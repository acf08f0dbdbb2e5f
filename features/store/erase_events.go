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
	return l.changePages(ctx, seqs, l.blanked(c.of))
}

// change makes another event of one in place, and reports whether it did. It
// may be called again for an event that was not written.
type change func(*stored) (bool, error)

// blanked is the change that blanks what goes.
func (l *shopLog) blanked(goes func(*stored) bool) change {
	return func(e *stored) (bool, error) {
		if !goes(e) {
			return false, nil
		}
		*e = blank(l.shop, e.Seq)
		return true, nil
	}
}

// changePages changes events in the pages that hold the ascending numbers.
func (l *shopLog) changePages(ctx context.Context, seqs []int64, f change) (n int64, err error) {
	for len(seqs) > 0 {
		var done int64
		err := l.store.writer.doThen(ctx, func(tx *transaction) (err error) {
			done = 0
			for range pagesErasedAtOnce {
				if len(seqs) == 0 {
					return nil
				}
				last, k, err := l.changePage(tx, seqs[0], f)
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

// changePage changes events in the page that holds an event.
func (l *shopLog) changePage(tx *transaction, seq int64, f change) (last, n int64, err error) {
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
		changed, err := f(&e)
		if err != nil {
			return seq, 0, err
		}
		if changed {
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
		removed, err := l.changeSegment(ctx, g.Segment, l.blanked(c.of), c.Time)
		n += removed
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// rewrittenFile is what a segment that is written anew at a time is called.
func rewrittenFile(g Segment, stamp time.Time) string {
	dir := filepath.Dir(filepath.FromSlash(g.File))
	return filepath.ToSlash(filepath.Join(dir, fmt.Sprintf("%012d-%012d-%d.parquet", g.First, g.Last, stamp.UnixMilli())))
}

// changeSegment writes a segment anew with events changed; stamp tells it from
// the one before.
func (l *shopLog) changeSegment(ctx context.Context, old Segment, f change, stamp time.Time) (n int64, err error) {
	g := Segment{First: old.First, Last: old.Last, Sealed: old.Sealed, File: rewrittenFile(old, stamp)}
	if g.File == old.File {
		return 0, nil // done before the program ended
	}
	path := filepath.Join(l.store.opts.Dir, old.File)
	err = l.writeSegment(&g, func(write func(*stored) error) error {
		return l.readSegment(ctx, path, func(e *stored) error {
			changed, err := f(e)
			if err != nil {
				return err
			}
			if changed {
				n++
			}
			return write(e)
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
