package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/attune-rec/attune/features"
)

// Segment is a sealed range of a shop's log.
type Segment struct {
	First, Last int64  // sequence numbers
	File        string // Parquet, relative to the data directory
	Rows        int64
	Bytes       int64
	SHA256      string    // of the file
	Newest      time.Time // when the newest event of it was received
	Sealed      time.Time
}

// segment is one with its index.
type segment struct {
	Segment
	index *sidecar
}

// Segments lists the sealed ranges of a shop in order.
func (s *Store) Segments(ctx context.Context, shop features.ShopID) ([]Segment, error) {
	return s.segmentsFrom(ctx, shop, 0)
}

func (s *Store) segmentsFrom(ctx context.Context, shop features.ShopID, first int64) ([]Segment, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT first_seq, last_seq, file, rows, bytes, sha256, newest, sealed FROM segments
		WHERE shop = ? AND first_seq >= ? ORDER BY first_seq`, string(shop), first)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	defer rows.Close()
	var all []Segment
	for rows.Next() {
		var g Segment
		var newest, sealed int64
		if err := rows.Scan(&g.First, &g.Last, &g.File, &g.Rows, &g.Bytes, &g.SHA256, &newest, &sealed); err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		g.Newest, g.Sealed = time.UnixMilli(newest).UTC(), time.UnixMilli(sealed).UTC()
		all = append(all, g)
	}
	return all, rows.Err()
}

// catchUpSegments opens the segments that are not known yet and drops the index
// of what they hold. The caller holds mu.
func (l *shopLog) catchUpSegments(ctx context.Context) error {
	found, err := l.store.segmentsFrom(ctx, l.shop, l.tailFrom)
	if err != nil {
		return err
	}
	for _, g := range found {
		seg, err := l.openSegment(ctx, g)
		if err != nil {
			return err
		}
		l.sealed(seg)
	}
	return nil
}

// openSegment checks the file's size and opens its index, which is made anew
// when it is missing or damaged.
func (l *shopLog) openSegment(ctx context.Context, g Segment) (*segment, error) {
	path := filepath.Join(l.store.opts.Dir, g.File)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: segment %d-%d of shop %s: %w", ErrCorrupt, g.First, g.Last, l.shop, err)
	}
	if info.Size() != g.Bytes {
		return nil, fmt.Errorf("%w: segment %s has %d bytes, want %d: restore it from the backup", ErrCorrupt, g.File, info.Size(), g.Bytes)
	}
	index, err := openSidecar(sidecarPath(path))
	if err != nil && l.store.writer != nil {
		l.store.log.Warn("making the index of a segment anew", "file", g.File, "why", err)
		if err := l.remakeSidecar(ctx, path); err != nil {
			return nil, err
		}
		index, err = openSidecar(sidecarPath(path))
	}
	if err != nil {
		return nil, err
	}
	return &segment{Segment: g, index: index}, nil
}

func sidecarPath(parquet string) string { return parquet + ".idx" }

func (l *shopLog) remakeSidecar(ctx context.Context, path string) error {
	var b sidecarBuilder
	var row uint32
	err := l.readSegment(ctx, path, func(e *stored) error {
		b.add(e, row)
		row++
		return nil
	})
	if err != nil {
		return err
	}
	return writeDurable(sidecarPath(path), func(f *os.File) error { return b.writeTo(f) })
}

// sealed makes a segment take the place of its pages. The caller holds mu.
func (l *shopLog) sealed(g *segment) {
	l.segments = append(l.segments, g)
	if l.store.writer != nil {
		l.summary.add(g.index.fresh)
	}
	g.index.fresh = nil
	l.tailFrom = g.Last + 1
	l.end = max(l.end, l.tailFrom)
	at, _ := slices.BinarySearch(l.starts, l.tailFrom)
	l.starts = slices.Delete(l.starts, 0, at)
	l.tail = slices.DeleteFunc(l.tail, func(t *generation) bool { return t.next <= l.tailFrom })
}

// refresh takes the files that took the place of others. The index of one that
// was replaced stays open for a while, for those who read it.
func (l *shopLog) refresh(ctx context.Context) error {
	all, err := l.store.Segments(ctx, l.shop)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.retired) > retiredKept {
		l.retired[0].index.close()
		l.retired = l.retired[1:]
	}
	for i, old := range l.segments {
		at := slices.IndexFunc(all, func(g Segment) bool { return g.First == old.First && g.File != old.File })
		if at < 0 {
			continue
		}
		g, err := l.openSegment(ctx, all[at])
		if err != nil {
			return err
		}
		g.index.fresh = nil // it has no id that the one before had not
		l.segments[i] = g
		l.retired = append(l.retired, old)
	}
	return nil
}

// retiredKept is how many replaced indexes stay open.
const retiredKept = 64

func (l *shopLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range slices.Concat(l.segments, l.retired) {
		g.index.close()
	}
	l.segments, l.retired = nil, nil
}

// findTail looks an id up in what lies in pages.
func (l *shopLog) findTail(id idHash) (int64, bool) {
	for i := len(l.tail) - 1; i >= 0; i-- {
		if seq, ok := l.tail[i].find(id); ok {
			return seq, true
		}
	}
	return 0, false
}

// findSealed looks an id up in the segments within the dedupe window.
func (l *shopLog) findSealed(id idHash) (int64, bool, error) {
	if len(l.segments) == 0 || !l.summary.has(id.a) {
		return 0, false, nil
	}
	return l.findIn(l.segments, id)
}

// findIn looks an id up in those segments that are within the dedupe window.
func (l *shopLog) findIn(segments []*segment, id idHash) (int64, bool, error) {
	oldest := l.store.now().Add(-l.store.opts.DedupeWindow)
	for i := len(segments) - 1; i >= 0; i-- {
		g := segments[i]
		if g.Newest.Before(oldest) {
			continue
		}
		row, ok, err := g.index.find(id)
		if err != nil {
			return 0, false, fmt.Errorf("look an event id up in %s: %w", g.File, err)
		}
		if ok {
			return g.First + int64(row), true, nil
		}
	}
	return 0, false, nil
}

// segmentAt is the segment that holds the event; nil when none does.
func (l *shopLog) segmentAt(seq int64) *segment {
	l.mu.RLock()
	defer l.mu.RUnlock()
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].Last >= seq })
	if i == len(l.segments) || l.segments[i].First > seq {
		return nil
	}
	return l.segments[i]
}

// scanSegment reads the segment that holds from, as far as to, and returns
// where to go on: from itself when there is none.
func (l *shopLog) scanSegment(ctx context.Context, from, to int64, f func(*stored) error) (int64, error) {
	g := l.segmentAt(from)
	if g == nil {
		return from, nil
	}
	end := min(g.Last+1, to)
	err := l.readRange(ctx, filepath.Join(l.store.opts.Dir, g.File), from-g.First, func(e *stored) error {
		if e.Seq < from {
			return nil
		}
		if e.Seq >= end {
			return errEnough
		}
		return f(e)
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if errors.Is(err, fs.ErrNotExist) { // replaced meanwhile
		if err := l.refresh(ctx); err != nil {
			return from, err
		}
		if now := l.segmentAt(from); now != nil && now.File != g.File {
			return l.scanSegment(ctx, from, to, f)
		}
	}
	return end, err
}

// errEnough ends the reading of a segment early.
var errEnough = errors.New("enough")

func (l *shopLog) readSegment(ctx context.Context, path string, f func(*stored) error) error {
	return l.readRange(ctx, path, 0, f)
}

// readRange calls f with the events of a file from about the given row on.
func (l *shopLog) readRange(ctx context.Context, path string, row int64, f func(*stored) error) (err error) {
	s, err := openSegment(l.shop, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var events []stored
	for _, g := range s.table.RowGroups() {
		if row >= g.NumRows() {
			row -= g.NumRows()
			continue
		}
		row = 0
		if err := ctx.Err(); err != nil {
			return err
		}
		if events, err = s.group(g, events); err != nil {
			return err
		}
		for i := range events {
			if err := f(&events[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// sealedHistory is the newest events of the keys in the segments, oldest first.
func (l *shopLog) sealedHistory(ctx context.Context, segments []*segment, keys []features.UserKey, limit int) ([]stored, error) {
	var parts [][]stored
	for i := len(segments) - 1; i >= 0 && limit > 0; i-- {
		g := segments[i]
		var rows []int64
		for _, k := range keys {
			of, err := g.index.newest(k, limit)
			if err != nil {
				return nil, fmt.Errorf("index of %s: %w", g.File, err)
			}
			rows = append(rows, of...)
		}
		if len(rows) == 0 {
			continue
		}
		rows = newestOf(rows, limit)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		events, err := g.index.events(l.shop, rows)
		if err != nil {
			return nil, fmt.Errorf("index of %s: %w", g.File, err)
		}
		parts = append(parts, events)
		limit -= len(events)
	}
	slices.Reverse(parts)
	return slices.Concat(parts...), nil
}

// lost is called when an event is in no page: it was sealed meanwhile, and is
// to be looked for again, or the store is corrupt.
func (l *shopLog) lost(ctx context.Context, seq int64) (int64, error) {
	var n int
	err := l.store.read.QueryRowContext(ctx, `SELECT count(*) FROM segments WHERE shop = ? AND first_seq <= ? AND last_seq >= ?`,
		string(l.shop), seq, seq).Scan(&n)
	if err != nil {
		return seq, err
	}
	if n == 0 {
		return seq, fmt.Errorf("%w: event %d of shop %s is neither in a page nor in a segment", ErrCorrupt, seq, l.shop)
	}
	if l.store.writer == nil {
		return seq, l.catchUp(ctx)
	}
	time.Sleep(time.Millisecond) // until the writer's goroutine has told of it
	return seq, nil
}
