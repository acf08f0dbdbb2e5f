package rules

import (
	"cmp"
	"math/bits"
	"slices"
)

// maskItems is the number of items up to which a conditional base is kept as
// bit masks instead of a tree.
const maskItems = 64

// mask is a set of up to 64 items, found weight times.
type mask struct {
	bits   uint64
	weight int32
}

// masks emits every frequent set of two or more of the items ids that the base
// w.stack[from:] holds, each joined with w.suffix. Smaller sets are the caller's.
func (w *worker) masks(from int, ids *[maskItems]int32) {
	base := mergeMasks(w.stack[from:])
	w.stack = w.stack[:from+len(base)]
	if len(base) <= chainLimit && w.chain(base, ids) {
		return
	}
	var union uint64
	for _, m := range base {
		union |= m.bits
	}
	for rest := union; rest != 0 && !w.stopped(); {
		top := bits.Len64(rest) - 1
		rest &^= 1 << top
		w.maskItem(from, len(base), top, ids)
	}
}

// maskItem emits the sets whose highest item is top, from the n masks at from.
func (w *worker) maskItem(from, n, top int, ids *[maskItems]int32) {
	var counts [maskItems]int32
	below := uint64(1)<<top - 1
	for _, m := range w.stack[from : from+n] {
		if m.bits>>top&1 == 0 {
			continue
		}
		for rest := m.bits & below; rest != 0; rest &= rest - 1 {
			counts[bits.TrailingZeros64(rest)] += m.weight
		}
	}
	least := w.least()
	var frequent uint64
	w.push(ids[top])
	for i := range top {
		if counts[i] >= least {
			frequent |= 1 << i
			w.push(ids[i])
			w.emit(counts[i])
			w.pop()
		}
	}
	if bits.OnesCount64(frequent) >= 2 && w.deeper(2) {
		sub := len(w.stack)
		for _, m := range w.stack[from : from+n] {
			if m.bits>>top&1 == 0 {
				continue
			}
			if kept := m.bits & frequent; kept&(kept-1) != 0 {
				w.stack = append(w.stack, mask{kept, m.weight})
			}
		}
		w.masks(sub, ids)
		w.stack = w.stack[:sub]
	}
	w.pop()
}

// mergeMasks joins equal masks in place. Neighbours are joined always; sorting
// first pays only where masks are so many that most repeat.
func mergeMasks(base []mask) []mask {
	if len(base) > 1024 {
		slices.SortFunc(base, func(a, b mask) int { return cmp.Compare(a.bits, b.bits) })
	}
	out := base[:0]
	for _, m := range base {
		if last := len(out) - 1; last >= 0 && out[last].bits == m.bits {
			out[last].weight += m.weight
			continue
		}
		out = append(out, m)
	}
	return out
}

// chainLimit is the length up to which a base is tried as a chain.
const chainLimit = 8

// chain handles a base whose masks contain one another, which is a tree of a
// single path: the count of a set is the least of the counts of its items, so
// that the base need not be read again. It reports whether the base was one.
func (w *worker) chain(base []mask, ids *[maskItems]int32) bool {
	slices.SortFunc(base, func(a, b mask) int {
		return bits.OnesCount64(b.bits) - bits.OnesCount64(a.bits)
	})
	for i := 1; i < len(base); i++ {
		if base[i].bits&^base[i-1].bits != 0 {
			return false
		}
	}
	if len(base) == 0 {
		return true
	}
	var counts [maskItems]int32
	for _, m := range base {
		for rest := m.bits; rest != 0; rest &= rest - 1 {
			counts[bits.TrailingZeros64(rest)] += m.weight
		}
	}
	w.subsets(base[0].bits, &counts, ids, 0, int32(^uint32(0)>>1))
	return true
}

// subsets emits all sets of two or more of the given items, each counted as the
// least of its items' counts and of count.
func (w *worker) subsets(items uint64, counts, ids *[maskItems]int32, size int, count int32) {
	for items != 0 && !w.stopped() {
		top := bits.Len64(items) - 1
		items &^= 1 << top
		joint := min(count, counts[top])
		if joint < w.least() {
			continue
		}
		w.push(ids[top])
		if size > 0 {
			w.emit(joint)
		}
		if w.deeper(1) {
			w.subsets(items, counts, ids, size+1, joint)
		}
		w.pop()
	}
}
