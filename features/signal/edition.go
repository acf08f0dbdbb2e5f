package signal

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
)

// editions are the catalogues that are asked about, the newest first.
type editions struct {
	mu   sync.Mutex
	last uint32
	all  atomic.Pointer[[]*edition]
}

// edition is a catalogue as it stood at one moment. It is immutable.
type edition struct {
	items  features.Catalog
	number uint32 // above 0: what was found in one is told from what was found in another by a look
	table  *table // it has in common with what it was before a change
}

const (
	// mostEditions are known; of more, the oldest gets another number, and another
	// table.
	mostEditions = 8
	// ofOneTable may be requests under way of the catalogue before a change.
	ofOneTable = 2
)

// edition is that of c, which stays the same while it is known.
func (m *Memory) edition(c features.Catalog) *edition {
	if n := m.editions.of(c); n != nil {
		return n
	}
	e := &m.editions
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := e.of(c); n != nil {
		return n
	}
	e.last++
	fresh := &edition{items: c, number: e.last}
	all, same := []*edition{fresh}, 1
	for _, old := range e.list() {
		if fresh.table == nil && related(old.items, c) {
			fresh.table = old.table
		}
		if old.table == fresh.table {
			if same++; same > ofOneTable {
				continue
			}
		}
		if len(all) < mostEditions {
			all = append(all, old)
		}
	}
	if fresh.table == nil {
		fresh.table = new(table)
	}
	e.all.Store(&all)
	return fresh
}

// relatedRows is how many rows are looked at to tell whether one catalogue came of
// another by changes.
const relatedRows = 64

// related reports whether two catalogues have an item in common, the very one, in
// the same row: one is the other after a change.
func related(a, b features.Catalog) bool {
	n := min(a.Len(), b.Len())
	for i := range min(n, relatedRows) {
		row := features.Row(i * n / min(n, relatedRows)) // #nosec G115 -- a row
		if it := a.Item(row); it != nil && it == b.Item(row) {
			return true
		}
	}
	return false
}

func (e *editions) list() []*edition {
	if all := e.all.Load(); all != nil {
		return *all
	}
	return nil
}

func (e *editions) of(c features.Catalog) *edition {
	for _, n := range e.list() {
		if n.items == c {
			return n
		}
	}
	return nil
}

// Keep drops what is known of catalogues that are none of these any more, nor
// what one of them was before a change. An item that is remembered keeps all that
// it was read with in memory, which of a release is its whole table.
func (m *Memory) Keep(catalogues ...features.Catalog) {
	e := &m.editions
	e.mu.Lock()
	defer e.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(e.list()), func(x *edition) bool {
		return !slices.ContainsFunc(catalogues, func(c features.Catalog) bool { return c == x.items || related(c, x.items) })
	})
	e.all.Store(&left)
}

// Prepare looks up in c, before anyone asks about it, what other catalogues were
// asked about, at the pace of a job: else the first hundreds of requests would,
// all at once.
func (m *Memory) Prepare(job *pace.Job, c features.Catalog) {
	t := m.edition(c).table
	seen := []*table{t} // what c was before a change is ready
	for _, other := range m.editions.list() {
		if slices.Contains(seen, other.table) {
			continue
		}
		seen = append(seen, other.table)
		other.table.rows.each(func(g *good) {
			job.Step()
			if row, ok := c.Row(*g.id); ok {
				m.good(t, c, row)
			}
		})
		other.table.sold.Range(func(market, list any) bool {
			where := t.offers(market.(string))
			if where == nil {
				return false
			}
			list.(*rows[offer]).each(func(o *offer) {
				job.Step()
				if row, ok := c.Row(*o.good.id); ok {
					m.offer(c, row, m.good(t, c, row), market.(string), where)
				}
			})
			return true
		})
	}
}
