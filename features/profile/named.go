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

// indexFrom is how many items are looked through one by one: most shoppers have
// fewer.
const indexFrom = 24

// find is the place of an item; -1: it is new. Past indexFrom items the index
// has the places, counted from 1, at the item's hash or as soon after it as was
// free; at most half of it is taken.
func (s *State) find(id string, hash uint64) int {
	if s.index == nil {
		for i := range s.items {
			if s.items[i].hash == hash && string(s.named(s.items[i].id)) == id {
				return i
			}
		}
		return -1
	}
	last := uint64(len(s.index) - 1)
	for slot := hash & last; s.index[slot] > 0; slot = (slot + 1) & last {
		i := int(s.index[slot]) - 1
		if s.items[i].hash == hash && string(s.named(s.items[i].id)) == id {
			return i
		}
	}
	return -1
}

// item is what was done about an item, valid until the next is asked for.
func (s *State) item(id string) *item {
	hash := hashOf(id)
	if at := s.find(id, hash); at >= 0 {
		return &s.items[at]
	}
	s.items = append(grown(s.items), item{id: s.keep(id), hash: hash})
	switch n := len(s.items); {
	case n > indexFrom && 2*n > len(s.index):
		s.reindex()
	case s.index != nil:
		s.enter(n - 1)
	}
	return &s.items[len(s.items)-1]
}

// enter puts the item at a place into the index.
func (s *State) enter(at int) {
	last := uint64(len(s.index) - 1)
	slot := s.items[at].hash & last
	for s.index[slot] > 0 {
		slot = (slot + 1) & last
	}
	s.index[slot] = uint16(at + 1) // #nosec G115 -- a state has few items
}

func (s *State) reindex() {
	s.index = make([]uint16, 1<<bits.Len(uint(2*len(s.items)-1)))
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
