package signal

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
)

const shards = 64

type key struct {
	feature string
	of      features.Subject
	key     string
}

// Memory is a features.State in memory, in shards. Many goroutines may Read
// while one folds: cells that were handed out never change, and an event's
// cells appear together. Two reads may lie on both sides of an event.
type Memory struct {
	set    *Set
	seed   maphash.Seed
	shards [shards]shard

	folding sync.Mutex // the one writer
	seq     int64

	goods    stock
	editions editions
}

// cell is the numbers of one subject. It stays the same while its numbers are
// replaced; nil: nothing was folded yet.
type cell struct {
	numbers atomic.Pointer[[]float64]
	found   atomic.Uint64 // of a pair: the edition of the catalogue where its item was last looked for, and its row there
}

func (c *cell) read() []float64 {
	if c == nil {
		return nil
	}
	if n := c.numbers.Load(); n != nil {
		return *n
	}
	return nil
}

// shard has the cells of some subjects; those of pairs by user, so that what
// one shopper has had to do with many items is found at once.
type shard struct {
	mu    sync.RWMutex
	cells map[key]*cell
	pairs map[owner]*belongings
}

// owner is whose pairs they are.
type owner struct{ feature, user string }

// keyLength is that of a user's raw key, which begins the key of a pair.
const keyLength = len(features.UserKey{})

func (s *shard) find(k key) *cell {
	if k.of == features.OfPair && len(k.key) >= keyLength {
		if b := s.pairs[owner{k.feature, k.key[:keyLength]}]; b != nil {
			return b.items[k.key[keyLength:]]
		}
		return nil
	}
	return s.cells[k]
}

// made is the cell of k, made where there is none. The shard is locked for
// writing.
func (s *shard) made(k key) *cell {
	if k.of == features.OfPair && len(k.key) >= keyLength {
		if b := s.pairs[owner{k.feature, k.key[:keyLength]}]; b != nil {
			b.unpack()
		}
	}
	c := s.find(k)
	if c != nil {
		return c
	}
	c = new(cell)
	if k.of != features.OfPair || len(k.key) < keyLength {
		s.cells[k] = c
		return c
	}
	o := owner{k.feature, k.key[:keyLength]}
	if s.pairs[o] == nil {
		s.pairs[o] = &belongings{items: map[string]*cell{}}
	}
	s.pairs[o].items[k.key[keyLength:]] = c
	return c
}

// each calls f with the cells that have numbers.
func (s *shard) each(f func(k key, numbers []float64)) {
	for k, c := range s.cells {
		if n := c.read(); n != nil {
			f(k, n)
		}
	}
	for o, b := range s.pairs {
		for item, c := range b.seen() {
			if n := c.read(); n != nil {
				f(key{o.feature, features.OfPair, o.user + item}, n)
			}
		}
	}
}

// NewMemory is an empty memory of the set's signals.
func NewMemory(set *Set) *Memory {
	m := &Memory{set: set, seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].cells, m.shards[i].pairs = map[key]*cell{}, map[owner]*belongings{}
	}
	return m
}

// shard is the number of the one that has k's cell.
func (m *Memory) shard(k key) int {
	of := k.key
	if k.of == features.OfPair && len(of) > keyLength {
		of = of[:keyLength]
	}
	return int(maphash.String(m.seed, of) % shards) // #nosec G115 -- below shards
}

// Fold takes events in, in the order of Seq. One that is not newer than the
// last is a repeat and does nothing; one without Seq is taken as it comes.
func (m *Memory) Fold(events ...features.Event) {
	m.folding.Lock()
	defer m.folding.Unlock()
	d := draft{m: m}
	for i := range events {
		e := &events[i]
		if e.Seq != 0 && e.Seq <= m.seq {
			continue
		}
		d.keys, d.cells = d.keys[:0], d.cells[:0]
		m.set.Update(&d, *e)
		m.publish(&d, max(m.seq, e.Seq))
	}
}

// publish puts the draft's cells in place, all under their locks at once.
func (m *Memory) publish(d *draft, seq int64) {
	var touched [shards]bool
	for _, k := range d.keys {
		touched[m.shard(k)] = true
	}
	for i := range m.shards {
		if touched[i] {
			m.shards[i].mu.Lock()
		}
	}
	for i, k := range d.keys {
		numbers := d.cells[i]
		m.shards[m.shard(k)].made(k).numbers.Store(&numbers)
		m.changed(k)
	}
	m.seq = seq
	for i := range m.shards {
		if touched[i] {
			m.shards[i].mu.Unlock()
		}
	}
}

// Seq is the number of the newest event folded.
func (m *Memory) Seq() int64 {
	m.folding.Lock()
	defer m.folding.Unlock()
	return m.seq
}

// Read implements features.State.
func (m *Memory) Read(feature string, of features.Subject, k string) []float64 {
	at := key{feature, of, k}
	s := &m.shards[m.shard(at)]
	if of == features.OfPair && len(k) >= keyLength {
		s.unpack(owner{feature, k[:keyLength]})
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(at).read()
}

// Cells implements features.State for a lone writer that needs no readers
// beside it, as in a replay. Fold is the way for all else.
func (m *Memory) Cells(feature string, of features.Subject, k string, width int) []float64 {
	at := key{feature, of, k}
	s := &m.shards[m.shard(at)]
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.made(at)
	if c.read() == nil {
		numbers := make([]float64, width)
		c.numbers.Store(&numbers)
	}
	m.changed(at) // the caller is about to
	return c.read()
}

// Forget drops all that is about the user: an erasure.
func (m *Memory) Forget(user features.UserKey) {
	m.folding.Lock()
	defer m.folding.Unlock()
	prefix := string(user[:])
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for k := range s.cells {
			if (k.of == features.OfUser || k.of == features.OfPair) && strings.HasPrefix(k.key, prefix) {
				delete(s.cells, k)
			}
		}
		for o := range s.pairs {
			if o.user == prefix {
				delete(s.pairs, o)
			}
		}
		s.mu.Unlock()
	}
}

// Len is how many subjects there are cells of.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		s.each(func(key, []float64) { n++ })
		s.mu.RUnlock()
	}
	return n
}

// draft is a state under an event that is being folded: cells are copied
// before they change.
type draft struct {
	m     *Memory
	keys  []key
	cells [][]float64
}

func (d *draft) Cells(feature string, of features.Subject, k string, width int) []float64 {
	at := key{feature, of, k}
	if i := slices.Index(d.keys, at); i >= 0 {
		return d.cells[i]
	}
	c := make([]float64, width)
	copy(c, d.m.Read(feature, of, k))
	d.keys, d.cells = append(d.keys, at), append(d.cells, c)
	return c
}

func (d *draft) Read(feature string, of features.Subject, k string) []float64 {
	if i := slices.Index(d.keys, key{feature, of, k}); i >= 0 {
		return d.cells[i]
	}
	return d.m.Read(feature, of, k)
}
