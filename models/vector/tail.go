package vector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Tailed is an index with newer rows behind it and tombstones over it. It
// implements models.Index and models.Tail. Changes take effect for searches
// that begin after them; they do not wait for searches, nor searches for them.
type Tailed struct {
	base   models.Index
	dim    int
	baseN  int
	mu     sync.Mutex // of writers
	slot   map[features.Row]int
	now    atomic.Pointer[tail]
	pool   sync.Pool // of *merge
	closed sync.Once
}

// tail is what searches see, immutable. Slots are only appended to; a slot
// whose row was replaced or deleted has features.NoRow.
type tail struct {
	dead *features.Bitmap // rows of the base that are gone or replaced; nil: none
	gone int              // how many those are
	rows []features.Row
	vecs []float32
	live int

	changes uint64 // before this tail
}

// merge is the working set of one search.
type merge struct {
	deny features.Bitmap
	top  linalg.TopK
	best []linalg.Scored
	hits []models.Hit
}

// WithTail puts an empty tail behind base, whose rows are [0, rows) and whose
// vectors have dim numbers. Close closes base.
func WithTail(base models.Index, rows, dim int) *Tailed {
	t := &Tailed{base: base, dim: dim, baseN: rows, slot: map[features.Row]int{}}
	t.pool.New = func() any { return new(merge) }
	t.now.Store(&tail{})
	return t
}

// Upsert implements models.Tail. It reports ErrQuery for a vector of the wrong
// length or with a number that is not finite, and for a negative row.
func (t *Tailed) Upsert(row features.Row, vec []float32) error {
	if row < 0 {
		return fmt.Errorf("%w: row %d: expected 0 or more", ErrQuery, row)
	}
	if err := checkQuery(vec, t.dim); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.without(row)
	t.slot[row] = len(next.rows)
	next.rows = append(next.rows, row)
	next.vecs = append(next.vecs, vec...)
	next.live++
	t.now.Store(next)
	return nil
}

// Delete implements models.Tail.
func (t *Tailed) Delete(row features.Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Store(t.without(row))
}

// without is a copy of the tail in which row is neither in the base nor in the
// tail. The backing arrays are shared: readers see them only up to their own
// length, and the one writer appends.
func (t *Tailed) without(row features.Row) *tail {
	old := t.now.Load()
	next := *old
	next.changes++
	if row >= 0 && int(row) < t.baseN && !old.dead.Has(row) {
		next.dead = old.dead.Grow(t.baseN)
		next.dead.Set(row)
		next.gone++
	}
	at, ok := t.slot[row]
	if !ok {
		return &next
	}
	delete(t.slot, row)
	next.live--
	next.rows = slices.Clone(next.rows)
	next.rows[at] = features.NoRow
	if 2*next.live < len(next.rows) {
		t.compact(&next)
	}
	return &next
}

// compact leaves out the dead slots.
func (t *Tailed) compact(next *tail) {
	rows := make([]features.Row, 0, next.live+1)
	vecs := make([]float32, 0, (next.live+1)*t.dim)
	for i, row := range next.rows {
		if row != features.NoRow {
			t.slot[row] = len(rows)
			rows = append(rows, row)
			vecs = append(vecs, next.vecs[i*t.dim:][:t.dim]...)
		}
	}
	next.rows, next.vecs = rows, vecs
}

// Search implements models.Index.
func (t *Tailed) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	if err := cmp.Or(checkQuery(vec, t.dim), checkWhere(w)); err != nil {
		return dst, err
	}
	now := t.now.Load()
	m := t.pool.Get().(*merge)
	defer t.pool.Put(m)
	start := len(dst)
	dst, err := t.base.Search(ctx, vec, k, t.narrow(now, m, w), dst)
	if err != nil && !degraded(err) {
		return dst, err
	}
	return now.merge(vec, k, w, dst, start, m), err
}

// degraded reports an error that comes beside good hits.
func degraded(err error) bool {
	_, ok := errors.AsType[*models.Degraded](err)
	return ok
}

// SearchMany implements models.Index.
func (t *Tailed) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	if len(vecs) != len(dst)*t.dim {
		return fmt.Errorf("%w: %d numbers for %d queries of dimension %d", ErrQuery, len(vecs), len(dst), t.dim)
	}
	if err := checkWhere(w); err != nil {
		return err
	}
	now := t.now.Load()
	m := t.pool.Get().(*merge)
	defer t.pool.Put(m)
	if now.live == 0 {
		return t.base.SearchMany(ctx, vecs, k, t.narrow(now, m, w), dst)
	}
	starts := make([]int, len(dst))
	for i := range dst {
		starts[i] = len(dst[i])
	}
	err := t.base.SearchMany(ctx, vecs, k, t.narrow(now, m, w), dst)
	if err != nil && !degraded(err) {
		return err
	}
	for i := range dst {
		dst[i] = now.merge(vecs[i*t.dim:][:t.dim], k, w, dst[i], starts[i], m)
	}
	return err
}

// narrow takes the dead rows of the base out of w.
func (t *Tailed) narrow(now *tail, m *merge, w models.Where) models.Where {
	switch {
	case now.dead == nil:
	case w.Deny == nil:
		w.Deny = now.dead
	default:
		m.deny.Resize(max(t.baseN, w.Deny.Len()))
		m.deny.CopyFrom(w.Deny)
		m.deny.Or(now.dead)
		w.Deny = &m.deny
	}
	return w
}

// merge puts the best of the tail among the hits of the base, dst[start:].
func (now *tail) merge(vec []float32, k int, w models.Where, dst []models.Hit, start int, m *merge) []models.Hit {
	if now.live == 0 || k <= 0 {
		return dst
	}
	m.top.Reset(min(k, now.live))
	dim := len(vec)
	for i, row := range now.rows {
		if row != features.NoRow && w.Passes(row) {
			m.top.Push(int32(row), linalg.Dot(vec, now.vecs[i*dim:][:dim]))
		}
	}
	m.best = m.top.Sorted(m.best[:0])
	m.hits = append(m.hits[:0], dst[start:]...)
	base := m.hits
	dst = dst[:start]
	for i, j := 0, 0; len(dst) < start+k && (i < len(base) || j < len(m.best)); {
		if j == len(m.best) || i < len(base) && (base[i].Score > m.best[j].Score ||
			base[i].Score == m.best[j].Score && int32(base[i].Row) < m.best[j].Index) {
			dst = append(dst, base[i])
			i++
			continue
		}
		dst = append(dst, models.Hit{Row: features.Row(m.best[j].Index), Score: m.best[j].Score})
		j++
	}
	return dst
}

// Changes counts upserts and deletions: as long as it stays, so does what a
// search finds.
func (t *Tailed) Changes() uint64 { return t.now.Load().changes }

// Remote reports whether the base is searched over the network.
func (t *Tailed) Remote() bool {
	r, ok := t.base.(interface{ Remote() bool })
	return ok && r.Remote()
}

// Len implements models.Index.
func (t *Tailed) Len() int {
	now := t.now.Load()
	return t.base.Len() - now.gone + now.live
}

// Close implements models.Index. It may be called more than once.
func (t *Tailed) Close() (err error) {
	t.closed.Do(func() { err = t.base.Close() })
	return err
}

// Compile-time proof of the contracts.
var (
	_ models.Index = (*Exact)(nil)
	_ models.Index = (*Tailed)(nil)
	_ models.Tail  = (*Tailed)(nil)
)
