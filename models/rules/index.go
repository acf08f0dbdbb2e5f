package rules

import (
	"cmp"
	"math/bits"
	"slices"
)

// index finds a set among itemsets by its items: a hash table with open
// addressing, of int32 places, so that millions of sets cost a few bytes each.
type index struct {
	sets  *Itemsets
	slots []int32 // a set's number plus one, or 0
	shift int
}

func newIndex(sets *Itemsets) *index {
	size := bits.Len(uint(sets.Len())) + 1 // at most half full
	x := &index{sets: sets, slots: make([]int32, 1<<size), shift: 64 - size}
	for i := range sets.Len() {
		at := x.start(sets.At(i))
		for x.slots[at] != 0 {
			at = (at + 1) & (len(x.slots) - 1)
		}
		x.slots[at] = int32(i) + 1
	}
	return x
}

// find returns the number of the set with exactly these items, which ascend, or -1.
func (x *index) find(items []int32) int {
	for at := x.start(items); ; at = (at + 1) & (len(x.slots) - 1) {
		i := int(x.slots[at]) - 1
		if i < 0 || slices.Equal(x.sets.At(i), items) {
			return i
		}
	}
}

func (x *index) start(items []int32) int {
	h := uint64(len(items))
	for _, item := range items {
		h = (h ^ uint64(item)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return int(h * 0x9e3779b97f4a7c15 >> x.shift)
}

// compareProducts compares a1*a2*a3 with b1*b2*b3 exactly, for factors that are
// counts below 2^31.
func compareProducts(a1, a2, a3, b1, b2, b3 int) int {
	aHi, aLo := bits.Mul64(uint64(a1)*uint64(a2), uint64(a3))
	bHi, bLo := bits.Mul64(uint64(b1)*uint64(b2), uint64(b3))
	return cmp.Or(cmp.Compare(aHi, bHi), cmp.Compare(aLo, bLo))
}
