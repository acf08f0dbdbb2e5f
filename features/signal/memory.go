package signal

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"

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
}

type shard struct {
	mu    sync.RWMutex
	cells map[key][]float64
}

// NewMemory is an empty memory of the set's signals.
func NewMemory(set *Set) *Memory {
	m := &Memory{set: set, seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].cells = map[key][]float64{}
	}
	return m
}

func (m *Memory) shard(k string) int { return int(maphash.String(m.seed, k) % shards) }

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
		touched[m.shard(k.key)] = true
	}
	for i := range m.shards {
		if touched[i] {
			m.shards[i].mu.Lock()
		}
	}
	for i, k := range d.keys {
		m.shards[m.shard(k.key)].cells[k] = d.cells[i]
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
	s := &m.shards[m.shard(k)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.cells[key{feature, of, k}]
}

// Cells implements features.State for a lone writer that needs no readers
// beside it, as in a replay. Fold is the way for all else.
func (m *Memory) Cells(feature string, of features.Subject, k string, width int) []float64 {
	s := &m.shards[m.shard(k)]
	s.mu.Lock()
	defer s.mu.Unlock()
	at := key{feature, of, k}
	if s.cells[at] == nil {
		s.cells[at] = make([]float64, width)
	}
	return s.cells[at]
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
		s.mu.Unlock()
	}
}

// Len is how many subjects there are cells of.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		n += len(s.cells)
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
