package profile

import (
	"math/bits"
	"slices"
)

// name is where a name stands in a state's text.
type name struct{ from, to uint32 }

// named is a name's text; it is valid until the state changes.
func (s *State) named(n name) []byte { return s.text[n.from:n.to] }

// keep puts a name behind the others.
func (s *State) keep(text string) name {
	if len(s.text)+len(text) > cap(s.text) {
		s.text = bigger(s.text, len(text))
	}
	from := len(s.text)
	s.text = append(s.text, text...)
	return name{uint32(from), uint32(len(s.text))} // #nosec G115 -- there are few names, and events limit their length
}

// grown is a list that has room for one more.
func grown[T any](list []T) []T {
	if len(list) < cap(list) {
		return list
	}
	return bigger(list, 1)
}

// bigger is a list with room for more. It grows by less than append would let
// it: many shoppers are kept, and most of their lists are short.
func bigger[T any](list []T, more int) []T {
	return append(slices.Grow([]T(nil), len(list)+max(more, 3, len(list)/4)), list...)
}

// indexFrom is how many items there must be to be found by their hashes; fewer
// are looked through one by one. It is a power of two.
const indexFrom = 32

// find is the place of an item; -1: it is new. From indexFrom items on those whose
// hashes fall together hang together: the first of the chain of a hash is named by
// the item at the place that the hash falls on, each of the chain names the next.
// Places are counted from 1; 0 ends a chain. So the index takes no list of its
// own, and depends on the items and their order alone.
func (s *State) find(id string, hash uint64) int {
	if len(s.items) < indexFrom {
		for i := range s.items {
			if s.is(i, id, hash) {
				return i
			}
		}
		return -1
	}
	for at := s.items[s.falls(hash)].first; at > 0; at = s.items[at-1].next {
		if s.is(int(at)-1, id, hash) {
			return int(at) - 1
		}
	}
	return -1
}

func (s *State) is(at int, id string, hash uint64) bool {
	return s.items[at].hash == hash && string(s.named(s.items[at].id)) == id
}

// falls is the place that a hash falls on: below the largest power of two that is
// not above the number of items.
func (s *State) falls(hash uint64) int {
	return int(hash & (1<<(bits.Len(uint(len(s.items)))-1) - 1)) // #nosec G115 -- below the number of items
}

// item is what was done about an item, valid until the next is asked for.
func (s *State) item(id string) *item {
	hash := hashOf(id)
	if at := s.find(id, hash); at >= 0 {
		return &s.items[at]
	}
	s.items = append(grown(s.items), item{id: s.keep(id), hash: hash})
	n := len(s.items)
	if n&(n-1) == 0 {
		s.reindex() // hashes fall on twice as many places
	} else if n > indexFrom {
		s.enter(n - 1)
	}
	return &s.items[n-1]
}

// enter puts the item at a place into the index.
func (s *State) enter(at int) {
	of := &s.items[s.falls(s.items[at].hash)]
	s.items[at].next = of.first
	of.first = uint16(at + 1) // #nosec G115 -- a state has few items
}

func (s *State) reindex() {
	for i := range s.items {
		s.items[i].first, s.items[i].next = 0, 0
	}
	if len(s.items) < indexFrom {
		return
	}
	for i := range s.items {
		s.enter(i)
	}
}

// hashOf is the 64-bit FNV-1a hash.
func hashOf(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}
