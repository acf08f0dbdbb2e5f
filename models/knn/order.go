package knn

import "slices"

// sorter sorts numbers in ascending order. Where there are many it deals them
// out by their place between the least and the greatest first, after which
// hardly any stands far from where it belongs. The zero value is ready; a sorter
// serves one goroutine at a time.
type sorter struct {
	starts [1 << sortBits]int32
	dealt  []uint64
}

const sortBits = 8

func (s *sorter) sort(keys []uint64) {
	if len(keys) < 48 {
		slices.Sort(keys)
		return
	}
	least, greatest := keys[0], keys[0]
	for _, k := range keys {
		least, greatest = min(least, k), max(greatest, k)
	}
	shift := 0
	for (greatest-least)>>shift >= 1<<sortBits {
		shift++
	}
	clear(s.starts[:])
	for _, k := range keys {
		s.starts[(k-least)>>shift&(1<<sortBits-1)]++
	}
	at, crowd := int32(0), int32(0)
	for i, n := range s.starts {
		s.starts[i] = at
		at, crowd = at+n, max(crowd, n)
	}
	if crowd > 24 {
		slices.Sort(keys)
		return
	}
	s.dealt = slices.Grow(s.dealt[:0], len(keys))[:len(keys)]
	for _, k := range keys {
		place := &s.starts[(k-least)>>shift&(1<<sortBits-1)]
		s.dealt[*place] = k
		*place++
	}
	for i, k := range s.dealt {
		j := i
		for j > 0 && keys[j-1] > k {
			keys[j] = keys[j-1]
			j--
		}
		keys[j] = k
	}
}
