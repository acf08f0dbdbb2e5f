package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
)

// Seal moves the events with Seq < upTo (0: all) of a shop, in whole pages, to
// Parquet. A segment is written beside the log, made durable, and takes the
// place of its pages in one transaction: from then on nothing reads them. They
// go some with each commit, as overwriting them all at once would let everybody
// wait; those that are left when the program ends go at the next start. It
// returns the number of events moved.
func (s *Store) Seal(ctx context.Context, shop features.ShopID, upTo int64) (moved int64, err error) {
	if err := s.writable(); err != nil {
		return 0, fmt.Errorf("seal: %w", err)
	}
	l, err := s.knownShop(ctx, shop)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("seal: %w", err)
	}
	for {
		n, err := l.sealOne(ctx, upTo)
		moved += n
		if err != nil {
			return moved, fmt.Errorf("seal shop %s: %w", shop, err)
		}
		if n == 0 {
			return moved, nil
		}
	}
}

// sealOne makes one segment of the oldest pages.
func (l *shopLog) sealOne(ctx context.Context, upTo int64) (int64, error) {
	s := l.store
	s.sealing.Lock()
	defer s.sealing.Unlock()
	if err := l.dropSealed(ctx); err != nil {
		return 0, err
	}
	l.mu.RLock()
	first, end := l.tailFrom, l.end
	l.mu.RUnlock()
	if upTo <= 0 || upTo > end {
		upTo = end
	}
	last, err := l.lastToSeal(ctx, first, upTo)
	if err != nil || last < first {
		return 0, err
	}
	g := Segment{First: first, Last: last, Sealed: s.now(),
		File: filepath.ToSlash(filepath.Join("segments", string(l.shop), fmt.Sprintf("%012d-%012d.parquet", first, last)))}
	if err := l.writeSegment(&g, func(f func(*stored) error) error { return l.eachStored(ctx, g.First, g.Last+1, f) }); err != nil {
		return 0, err
	}
	if err := s.opts.seam("written"); err != nil {
		return 0, err
	}
	seg, err := l.openSegment(ctx, g)
	if err != nil {
		return 0, err
	}
	err = s.writer.doThen(context.WithoutCancel(ctx), func(tx *transaction) error { return l.record(tx, &g) }, func() {
		l.mu.Lock()
		l.sealed(seg)
		l.mu.Unlock()
	})
	if err != nil {
		return 0, errors.Join(err, seg.index.close())
	}
	s.log.Info("sealed", "shop", string(l.shop), "first", first, "last", last, "bytes", g.Bytes)
	return g.Rows, l.dropSealed(ctx)
}

// pagesDroppedAtOnce is how many pages one transaction deletes.
const pagesDroppedAtOnce = 64

// dropSealed deletes the pages whose events are in a segment. The caller holds
// sealing, or is the only one to know of the store.
func (l *shopLog) dropSealed(ctx context.Context) error {
	l.mu.RLock()
	upTo := l.tailFrom
	l.mu.RUnlock()
	if upTo <= max(l.dropped, 1) {
		return nil
	}
	for left := int64(1); left > 0; {
		err := l.store.writer.do(ctx, func(tx *transaction) error {
			if err := l.store.opts.seam("deleting"); err != nil {
				return err
			}
			done, err := tx.exec(`DELETE FROM pages WHERE rowid IN (SELECT rowid FROM pages WHERE shop = ? AND first_seq < ? ORDER BY first_seq LIMIT ?)`,
				string(l.shop), upTo, pagesDroppedAtOnce)
			if err != nil {
				return err
			}
			left, err = done.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
	}
	l.dropped = upTo
	return nil
}

// record puts a segment in the place of its pages.
func (l *shopLog) record(tx *transaction, g *Segment) error {
	if _, err := tx.exec(`INSERT INTO segments (shop, first_seq, last_seq, file, rows, bytes, sha256, newest, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(l.shop), g.First, g.Last, g.File, g.Rows, g.Bytes, g.SHA256, g.Newest.UnixMilli(), g.Sealed.UnixMilli()); err != nil {
		return err
	}
	return l.store.opts.seam("recorded")
}

// lastToSeal is the end of the pages that make one segment.
func (l *shopLog) lastToSeal(ctx context.Context, first, upTo int64) (last int64, err error) {
	most := min(upTo, first+int64(l.store.opts.SegmentRows))
	err = l.store.read.QueryRowContext(ctx, `SELECT coalesce(max(last_seq), 0) FROM pages WHERE shop = ? AND first_seq >= ? AND first_seq < ? AND last_seq < ?`,
		string(l.shop), first, most, most).Scan(&last)
	return last, err
}

// writeSegment writes the Parquet file and its index of the events that each
// gives, and fills in what they are.
func (l *shopLog) writeSegment(g *Segment, each func(func(*stored) error) error) error {
	path := filepath.Join(l.store.opts.Dir, g.File)
	if err := makeDirs(filepath.Dir(path), l.store.opts.Dir); err != nil {
		return err
	}
	var index sidecarBuilder
	err := writeDurable(path, func(f *os.File) error {
		w := newSegmentWriter(f, l.shop)
		batch := make([]segmentRow, 0, pageEvents)
		flush := func() error {
			_, err := w.Write(batch)
			batch = batch[:0]
			return err
		}
		err := each(func(e *stored) error {
			if g.Rows%pageEvents == 0 {
				runtime.Gosched() // requests go first
			}
			index.add(e, uint32(g.Rows))
			g.Rows++
			if e.Received.After(g.Newest) {
				g.Newest = e.Received
			}
			if batch = append(batch, rowOf(e)); len(batch) < cap(batch) {
				return nil
			}
			return flush()
		})
		if err = errors.Join(err, flush(), w.Close()); err != nil {
			return err
		}
		g.Bytes, g.SHA256, err = digest(f)
		return err
	})
	if err != nil {
		return err
	}
	return writeDurable(sidecarPath(path), func(f *os.File) error { return index.writeTo(f) })
}

// eachStored calls f with the events of a range of pages.
func (l *shopLog) eachStored(ctx context.Context, from, to int64, f func(*stored) error) error {
	for from < to {
		next, err := l.scanPages(ctx, from, to, f)
		if err != nil {
			return err
		}
		if next == from {
			return fmt.Errorf("%w: event %d of shop %s was sealed twice", ErrCorrupt, from, l.shop)
		}
		from = next
	}
	return nil
}

func digest(f *os.File) (int64, string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, "", err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, hexSum(h.Sum(nil)), err
}

// makeDirs makes the directories from dir up to the existing root, durably.
func makeDirs(dir, root string) error {
	if dir == root {
		return nil
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeDirs(filepath.Dir(dir), root); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// sweep removes what a sealing that did not end has left.
func (s *Store) sweep(ctx context.Context) error {
	known := map[string]bool{}
	shops, err := s.Shops(ctx)
	if err != nil {
		return err
	}
	for _, shop := range shops {
		all, err := s.Segments(ctx, shop)
		if err != nil {
			return err
		}
		for _, g := range all {
			known[g.File] = true
		}
	}
	err = filepath.WalkDir(filepath.Join(s.opts.Dir, "segments"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(s.opts.Dir, path)
		if err != nil {
			return err
		}
		if known[strings.TrimSuffix(filepath.ToSlash(rel), ".idx")] {
			return nil
		}
		s.log.Info("removing a segment that was not finished", "file", rel)
		return os.Remove(path) // #nosec G122 -- the data directory is the owner's alone
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// startBackground begins to read which keys were linked, to move commits into
// the database, and to seal what exceeds SealAt.
func (s *Store) startBackground() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	logs := slices.Collect(maps.Values(s.shops))
	s.background.Go(func() { s.readAliases(ctx, logs) })
	s.background.Go(func() { s.checkpoints(ctx) })
	if s.opts.SealAt < 0 {
		return
	}
	s.background.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case l := <-s.sealQueue:
				s.sealOldest(ctx, l)
			}
		}
	})
	for _, l := range logs {
		s.wantSealing(l)
	}
}

// sealPause is how long sealing rests after it failed.
const sealPause = 10 * time.Second

func (s *Store) sealOldest(ctx context.Context, l *shopLog) {
	for l.tooLong() && ctx.Err() == nil {
		n, err := l.sealOne(ctx, 0)
		if err != nil && ctx.Err() == nil {
			s.log.Error("sealing failed; the events stay in the database", "shop", string(l.shop), "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(sealPause):
			}
		}
		if n == 0 {
			return
		}
	}
}

func (l *shopLog) tooLong() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.end-l.tailFrom >= int64(l.store.opts.SealAt)
}

// wantSealing tells the background that a log may be long enough.
func (s *Store) wantSealing(l *shopLog) {
	if s.opts.SealAt < 0 || !l.tooLong() {
		return
	}
	select {
	case s.sealQueue <- l:
	default: // it is busy, and will be told again
	}
}
