package pipeline

import (
	"math/bits"

	"github.com/attune-rec/attune/features"
)

// index says what became of the rows that a request met: a few hundred of very
// many, so a table by hash, which stays in the nearest cache, not one by row.
type index struct {
	slots []slot // a power of two of them, at most half in use
	used  []int32
	shift uint // of a hash, to the number of a slot
}

// slot is a row and what is said of it; 0: nothing, the slot is free.
type slot struct {
	row  features.Row
	said int32
}

// fewest slots there are.
const fewest = 1 << 10

// find is the slot of row, or the free one it would have.
func (x *index) find(row features.Row) int {
	for at := int(uint64(uint32(row)) * 0x9e3779b97f4a7c15 >> x.shift); ; at = (at + 1) & (len(x.slots) - 1) { // #nosec G115 -- a hash
		if s := &x.slots[at]; s.said == 0 || s.row == row {
			return at
		}
	}
}

// of is what is said of row; 0: nothing.
func (x *index) of(row features.Row) int32 {
	if len(x.slots) == 0 {
		return 0
	}
	return x.slots[x.find(row)].said
}

// put says of row what is not 0.
func (x *index) put(row features.Row, said int32) {
	if 2*len(x.used) >= len(x.slots) {
		x.grow()
	}
	at := x.find(row)
	if x.slots[at].said == 0 {
		x.used = append(x.used, int32(at)) // #nosec G115 -- far fewer
	}
	x.slots[at] = slot{row, said}
}

func (x *index) grow() {
	old, used := x.slots, x.used
	x.slots, x.used = make([]slot, max(fewest, 2*len(old))), make([]int32, 0, max(fewest, 2*len(old))/2)
	x.shift = uint(64 - bits.TrailingZeros(uint(len(x.slots)))) // #nosec G115 -- below 64
	for _, at := range used {
		x.put(old[at].row, old[at].said)
	}
}

// clear forgets all rows.
func (x *index) clear() {
	for _, at := range x.used {
		x.slots[at] = slot{}
	}
	x.used = x.used[:0]
}
