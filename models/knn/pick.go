package knn

import (
	"cmp"
	"math"
	"slices"
)

// picker keeps the k votes of the largest magnitude, ties by row, out of many.
// Votes pile up behind a bar that rises each time the pile is cut back, which is
// several times as fast as a heap where most votes lose. The zero value is ready
// after reset; a picker serves one goroutine at a time.
//
// A vote is one number that orders as votes do: 31 bits of magnitude, 32 of the
// row, negated, and the sign.
type picker struct {
	k    int
	bar  uint32 // magnitudes below it, shifted as the sign is dropped, have lost
	pile []uint64
	// counts is by the leading bits of the magnitudes.
	counts [1 << (32 - coarse)]uint32
	ahead  []int32 // places of votes that may win, one longer, for what is written in vain
}

// coarse is how many bits of a magnitude, shifted as the sign is dropped, are
// left out where votes are counted: 8 of the exponent and 3 stay.
const coarse = 21

func (p *picker) reset(k int) {
	p.k, p.bar, p.pile = k, 1, p.pile[:0]
	p.pile = slices.Grow(p.pile, 3*k+64)
}

// offer takes a vote. One of weight 0 is none.
func (p *picker) offer(from int32, v float32) {
	if math.Float32bits(v)<<1 >= p.bar {
		p.add(from, v)
	}
}

// offerAll takes votes[i] from rows[i] for every i but the row except. A count by
// exponent and first bits of the mantissa tells beforehand which cannot win.
func (p *picker) offerAll(rows []int32, votes []float32, except int32) {
	if len(votes) > 2*p.k && len(p.pile) == 0 {
		clear(p.counts[:])
		most := uint32(0)
		for _, v := range votes {
			at := math.Float32bits(v) << 1 >> coarse
			p.counts[at]++
			most = max(most, at)
		}
		// NaN stands in the highest counts and never wins; one more than k may
		// win, since one may be left out.
		left := p.k + 1
		at := min(most+1, uint32(math.MaxUint8)<<24>>coarse)
		for at > 0 && left > 0 {
			at--
			left -= int(p.counts[at])
		}
		p.bar = max(p.bar, at<<coarse)
	}
	if cap(p.ahead) < len(votes)+1 {
		p.ahead = make([]int32, 2*len(votes)+1)
	}
	// Which vote wins is hard to foretell, so it decides how far the list grows
	// instead of a branch. The bar may rise on the way.
	ahead, n, bar := p.ahead[:len(votes)+1], 0, p.bar
	for i, v := range votes {
		ahead[n] = int32(i) // #nosec G115 -- places among rows, which are int32 by contract
		if math.Float32bits(v)<<1 >= bar {
			n++
		}
	}
	for _, i := range ahead[:n] {
		if v := votes[i]; math.Float32bits(v)<<1 >= p.bar && rows[i] != except {
			p.add(rows[i], v)
		}
	}
}

func (p *picker) add(from int32, v float32) {
	if v != v {
		return
	}
	bits := math.Float32bits(v)
	p.pile = append(p.pile, uint64(bits&^(1<<31))<<33|uint64(^uint32(from))<<1|uint64(bits>>31))
	if len(p.pile) >= 3*p.k+64 {
		p.cut()
	}
}

// cut leaves the k best, and raises the bar to the worst of them.
func (p *picker) cut() {
	if len(p.pile) <= p.k {
		return
	}
	leading(p.pile, p.k)
	p.pile = p.pile[:p.k]
	p.bar = max(uint32(slices.Min(p.pile)>>33)<<1, 1)
}

// picked is the votes that are kept, in no order, valid until reset.
func (p *picker) picked() []uint64 {
	p.cut()
	return p.pile
}

// unpacked takes a vote apart.
func unpacked(key uint64) (from int32, v float32) {
	return int32(^uint32(key >> 1)), math.Float32frombits(uint32(key>>33) | uint32(key)<<31)
}

// leading moves the k largest of keys to the front, the k-th to place k-1;
// 1 ≤ k ≤ len(keys), and no key is NaN.
func leading[T cmp.Ordered](keys []T, k int) {
	lo, hi := 0, len(keys)-1
	for lo < hi {
		// The pivot is the median of three, put in the middle.
		mid := int(uint(lo+hi) / 2)
		if keys[mid] > keys[lo] {
			keys[mid], keys[lo] = keys[lo], keys[mid]
		}
		if keys[hi] > keys[lo] {
			keys[hi], keys[lo] = keys[lo], keys[hi]
		}
		if keys[hi] > keys[mid] {
			keys[hi], keys[mid] = keys[mid], keys[hi]
		}
		pivot := keys[mid]
		i, j := lo, hi
		for i <= j {
			for keys[i] > pivot {
				i++
			}
			for keys[j] < pivot {
				j--
			}
			if i <= j {
				keys[i], keys[j] = keys[j], keys[i]
				i++
				j--
			}
		}
		switch {
		case k-1 <= j:
			hi = j
		case k-1 >= i:
			lo = i
		default:
			return
		}
	}
}
