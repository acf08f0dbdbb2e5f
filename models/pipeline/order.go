package pipeline

import (
	"math"
	"slices"
)

// sorter orders a few hundred candidates at a time by numbers made of what they
// are ordered by, digit by digit: comparing candidates with each other costs
// several times as much. Its memory is used again.
type sorter struct {
	keys, spare []uint64 // what counts above, the index below
	counts      [8][256]int32
}

// sort orders the keys by their bits from low on; keys alike there keep their
// order.
func (s *sorter) sort(low int) []uint64 {
	if cap(s.spare) < len(s.keys) {
		s.spare = make([]uint64, len(s.keys)+len(s.keys)/4)
	}
	s.spare = s.spare[:len(s.keys)]
	first, shared, found := low/8, ^uint64(0), uint64(0)
	for _, k := range s.keys {
		shared &= k
		found |= k
	}
	for digit := first; digit < 8; digit++ {
		shift := 8 * digit
		if (shared^found)>>shift&0xff == 0 {
			continue // alike in all
		}
		counts := &s.counts[digit]
		clear(counts[:])
		for _, k := range s.keys {
			counts[k>>shift&0xff]++
		}
		at := int32(0)
		for i, n := range counts {
			counts[i] = at
			at += n
		}
		for _, k := range s.keys {
			c := &counts[k>>shift&0xff]
			s.spare[*c] = k
			*c++
		}
		s.keys, s.spare = s.spare, s.keys
	}
	return s.keys
}

// descending is a number that is the smaller, the higher the score; the largest
// for NaN.
func descending(score float32) uint32 {
	if score != score {
		return math.MaxUint32
	}
	b := math.Float32bits(score + 0) // -0 is 0
	if b>>31 != 0 {
		return b
	}
	return b ^ 0x7fffffff
}

// byScore orders candidates: descending, ties by row, what the ranker cannot
// judge last. spare is memory for as many.
func (s *sorter) byScore(cs, spare []Candidate) (sorted, left []Candidate) {
	s.keys = s.keys[:0]
	for i := range cs {
		s.keys = append(s.keys, uint64(descending(cs[i].Score))<<32|uint64(i)) // #nosec G115 -- not negative
	}
	spare = spare[:0]
	keys := s.sort(32)
	for _, k := range keys {
		spare = append(spare, cs[uint32(k)]) // #nosec G115 -- the lower half is the index
	}
	for from := 0; from < len(keys); {
		to := from + 1
		for to < len(keys) && keys[to]>>32 == keys[from]>>32 {
			to++
		}
		if to-from > 1 {
			slices.SortFunc(spare[from:to], func(a, b Candidate) int { return int(a.Row) - int(b.Row) })
		}
		from = to
	}
	return spare, cs
}

// inOrder appends to dst what was found in retrieval order: by best place, then
// by source. No two have both alike: a source gives each place once.
func (s *sorter) inOrder(found []Candidate, places []int32, dst []Candidate) []Candidate {
	const index, sources = 27, 6 // bits
	s.keys = s.keys[:0]
	for i := range found {
		s.keys = append(s.keys, (uint64(places[i])<<sources|uint64(found[i].Main))<<index|uint64(i)) // #nosec G115 -- not negative
	}
	for _, k := range s.sort(index) {
		dst = append(dst, found[k&(1<<index-1)])
	}
	return dst
}
