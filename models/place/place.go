// Package place finds where rows stand in a list of them: what a model needs
// that knows sums by row and is asked for some hundreds of rows out of very
// many.
//
// It imports features only. Start reading at Of.
package place

import (
	"math/bits"

	"github.com/attune-rec/attune/features"
)

// Table says where each of some rows stands. It belongs to the Scratch that it
// was made with.
type Table struct {
	items []features.Row
	slots []int32 // 1 and the place of a row, by its hash; 0: none
	shift uint
	some  *[someBits / 32]int32 // a bit for the last bits of each row
}

// someBits is how many rows are told apart at a glance: most of those that are
// looked for are not there.
const someBits = 1 << 14

// Of is the places of items, which must not change meanwhile. Of a row that is
// there more than once it is the first.
func Of(items []features.Row, s *features.Scratch) Table {
	log := bits.Len(uint(2*len(items))) + 1
	t := Table{items: items, slots: s.Ints(1 << log), shift: uint(64 - log), some: (*[someBits / 32]int32)(s.Ints(someBits / 32))} // #nosec G115 -- below 64
	for i, row := range items {
		t.some[uint32(row)%someBits/32] |= 1 << (uint32(row) % 32)
		at := t.slot(row)
		if t.slots[at] == 0 {
			t.slots[at] = int32(i + 1) // #nosec G115 -- far fewer
		}
	}
	return t
}

// Find is the place of row; -1 when it is not there.
func (t *Table) Find(row features.Row) int {
	if t.some[uint32(row)%someBits/32]>>(uint32(row)%32)&1 == 0 {
		return -1
	}
	return t.find(row)
}

func (t *Table) find(row features.Row) int { return int(t.slots[t.slot(row)]) - 1 }

// slot is where row stands in slots, or would.
func (t *Table) slot(row features.Row) int {
	at := int(uint64(uint32(row)) * 0x9e3779b97f4a7c15 >> t.shift) // #nosec G115 -- a hash
	for {
		k := t.slots[at]
		if k == 0 || t.items[k-1] == row {
			return at
		}
		at = (at + 1) & (len(t.slots) - 1)
	}
}

// Few reports whether sums for so many items out of all are better made one by
// one than for all.
func Few(items, all int) bool { return items < all/8 }
