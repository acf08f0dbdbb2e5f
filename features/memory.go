package features

import "sync"

// Memories bounds what models keep of shoppers between answers. What was asked
// for least lately goes first. It is safe for concurrent use.
type Memories struct {
	mu    sync.Mutex
	limit int
	bytes int
	ring  note // before its next is the newest, before it the oldest
}

// Memory is what models keep of one history between two answers: working state
// that they could make again from Shopper.Recent, so that losing it costs time
// only. It is safe for concurrent use.
type Memory struct {
	of    *Memories
	notes []*note
}

// note is what one owner keeps.
type note struct {
	memory     *Memory
	owner      any
	value      any
	bytes      int
	prev, next *note
}

// maxNotes bounds the owners of one Memory: the models of the releases that one
// shopper is answered by.
const maxNotes = 8

// NewMemories keeps at most so many bytes, as their owners count them.
func NewMemories(bytes int) *Memories {
	b := &Memories{limit: bytes}
	b.ring.prev, b.ring.next = &b.ring, &b.ring
	return b
}

// New is an empty memory, for one history.
func (b *Memories) New() *Memory { return &Memory{of: b} }

// Bytes is how much is kept.
func (b *Memories) Bytes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// Take is what owner gave last, which is the caller's alone until it is given
// back; nil when nothing is there. Owner is a comparable value, best a pointer
// that keeps nothing else alive: what an owner that is gone has left is dropped
// with time.
func (m *Memory) Take(owner any) any {
	if m == nil {
		return nil
	}
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	if n := m.find(owner); n != nil {
		value := n.value
		n.value = nil
		return value
	}
	return nil
}

// Give keeps a value of so many bytes for owner, in the place of what it gave
// before.
func (m *Memory) Give(owner, value any, bytes int) {
	if m == nil {
		return
	}
	b := m.of
	b.mu.Lock()
	defer b.mu.Unlock()
	n := m.find(owner)
	if n == nil {
		if len(m.notes) == maxNotes {
			m.notes[0].drop()
		}
		n = &note{memory: m, owner: owner}
		m.notes = append(m.notes, n)
	} else {
		n.leave()
	}
	b.bytes += bytes - n.bytes
	n.value, n.bytes = value, bytes
	n.prev, n.next = &b.ring, b.ring.next
	n.prev.next, n.next.prev = n, n
	for b.bytes > b.limit {
		b.ring.prev.drop()
	}
}

// Clear drops everything that is kept here.
func (m *Memory) Clear() {
	if m == nil {
		return
	}
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	for len(m.notes) > 0 {
		m.notes[0].drop()
	}
}

func (m *Memory) find(owner any) *note {
	for _, n := range m.notes {
		if n.owner == owner {
			return n
		}
	}
	return nil
}

// leave takes the note out of the ring.
func (n *note) leave() { n.prev.next, n.next.prev = n.next, n.prev }

// drop forgets the note.
func (n *note) drop() {
	n.leave()
	n.memory.of.bytes -= n.bytes
	notes := n.memory.notes
	for i, other := range notes {
		if other == n {
			copy(notes[i:], notes[i+1:])
			notes[len(notes)-1] = nil
			n.memory.notes = notes[:len(notes)-1]
			return
		}
	}
}
