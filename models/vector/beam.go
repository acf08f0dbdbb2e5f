package vector

// ranked is a row and its score by codes. Rows that were expanded carry a mark.
type ranked struct {
	score float32
	row   int32
}

// expanded is the mark: rows are not negative.
const expanded = int32(-1 << 31)

// beam is the best rows a walk has met, best first, and which of them it has
// yet to go on from.
type beam struct {
	items []ranked
	width int
	next  int // all before it are expanded
}

func (b *beam) reset(width int) {
	b.items, b.width, b.next = b.items[:0], width, 0
}

// bar is the score above which a row has a place in a full beam.
func (b *beam) bar() float32 {
	if len(b.items) < b.width {
		return minusInf
	}
	return b.items[len(b.items)-1].score
}

// push gives row its place; the worst falls out of a full beam.
func (b *beam) push(row int32, score float32) {
	last := len(b.items)
	if last == b.width {
		last--
		if !(score > b.items[last].score) {
			return
		}
	} else {
		b.items = append(b.items, ranked{})
	}
	lo := 0
	for hi := last; lo < hi; {
		mid := int(uint(lo+hi) >> 1)
		if b.items[mid].score >= score {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	copy(b.items[lo+1:last+1], b.items[lo:last])
	b.items[lo] = ranked{score, row}
	b.next = min(b.next, lo)
}

// pop marks the best row that is not expanded and returns it; -1 when all are.
func (b *beam) pop() int32 {
	for ; b.next < len(b.items); b.next++ {
		if row := b.items[b.next].row; row >= 0 {
			b.items[b.next].row |= expanded
			b.next++
			return row
		}
	}
	return -1
}

// row is the i-th best row.
func (b *beam) row(i int) int32 { return b.items[i].row &^ expanded }

// seen is a set of rows that is emptied at the cost of what was put in.
type seen struct {
	words []uint64
	dirty []int32
}

func (v *seen) reset(n int) {
	if words := (n + 63) / 64; len(v.words) < words {
		v.words = make([]uint64, words)
		v.dirty = v.dirty[:0]
		return
	}
	for _, row := range v.dirty {
		v.words[row>>6] = 0
	}
	v.dirty = v.dirty[:0]
}

// add puts row in and reports whether it was not there.
func (v *seen) add(row int32) bool {
	w, bit := &v.words[uint32(row)>>6], uint64(1)<<(uint32(row)&63)
	if *w&bit != 0 {
		return false
	}
	*w |= bit
	v.dirty = append(v.dirty, row)
	return true
}

// mark is add for a set that is not emptied.
func (v *seen) mark(row int32) bool {
	w, bit := &v.words[uint32(row)>>6], uint64(1)<<(uint32(row)&63)
	fresh := *w&bit == 0
	*w |= bit
	return fresh
}
