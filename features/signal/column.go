package signal

import (
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
)

// columns find the cells of a catalogue's items by row: a request asks for
// hundreds of items, and each would cost a key and a look into a map.
type columns struct {
	mu  sync.RWMutex
	all map[columnKey]*column
}

type columnKey struct {
	feature string
	of      features.Subject
	prefix  string
}

// mostColumns bounds the columns: markets are what callers say they are.
const mostColumns = 256

// column is the cells of items for one feature: those whose key is prefix and
// the item's id.
type column struct {
	m    *Memory
	key  columnKey
	mu   sync.Mutex // of growing
	rows atomic.Pointer[[]atomic.Pointer[place]]
}

// place is where an item's numbers are.
type place struct {
	id   string
	cell *cell
}

// reading gives the numbers of items, nil where there are none.
type reading struct {
	state  features.State
	column *column // nil: state is asked
	key    columnKey
}

// readingOf reads the cells of items whose keys begin with prefix.
func readingOf(state features.State, feature string, of features.Subject, prefix string) reading {
	r := reading{state: state, key: columnKey{feature, of, prefix}}
	if m, ok := state.(*Memory); ok {
		r.column = m.column(r.key)
	}
	return r
}

func (r *reading) at(row features.Row, id string) []float64 {
	if r.column != nil && row >= 0 {
		return r.column.at(row, id)
	}
	return r.state.Read(r.key.feature, r.key.of, r.key.prefix+id)
}

// column is the one of k; nil where there are too many already.
func (m *Memory) column(k columnKey) *column {
	m.columns.mu.RLock()
	c := m.columns.all[k]
	m.columns.mu.RUnlock()
	if c != nil {
		return c
	}
	m.columns.mu.Lock()
	defer m.columns.mu.Unlock()
	if c = m.columns.all[k]; c != nil || len(m.columns.all) >= mostColumns {
		return c
	}
	if m.columns.all == nil {
		m.columns.all = map[columnKey]*column{}
	}
	c = &column{m: m, key: k}
	c.rows.Store(new([]atomic.Pointer[place]))
	m.columns.all[k] = c
	return c
}

func (c *column) at(row features.Row, id string) []float64 {
	if rows := *c.rows.Load(); int(row) < len(rows) {
		if p := rows[row].Load(); p != nil && p.id == id {
			return p.cell.read()
		}
	}
	return c.look(row, id)
}

// look finds the item's cell, or makes an empty one, and remembers it by row.
func (c *column) look(row features.Row, id string) []float64 {
	k := key{c.key.feature, c.key.of, c.key.prefix + id}
	s := &c.m.shards[c.m.shard(k)]
	s.mu.Lock()
	p := &place{id: id, cell: s.made(k)}
	s.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	rows := *c.rows.Load()
	if int(row) >= len(rows) {
		grown := make([]atomic.Pointer[place], int(row)+int(row)/4+64)
		for i := range rows {
			grown[i].Store(rows[i].Load())
		}
		c.rows.Store(&grown)
		rows = grown
	}
	rows[row].Store(p)
	return p.cell.read()
}

// pairs calls f with what a user has had to do with items, by item. It must not
// keep the map, and be quick: folding waits.
func (m *Memory) pairs(feature, user string, f func(map[string]*cell)) {
	s := &m.shards[m.shard(key{feature, features.OfPair, user})]
	s.mu.RLock()
	defer s.mu.RUnlock()
	f(s.pairs[owner{feature, user}])
}
