package linalg

import (
	"math"
	"slices"
)

// What makes it worth to select by counting: a heap of a few is kept in less
// time, and sorting a few by comparisons too.
const (
	countFrom = 24   // scores to keep
	digitFrom = 48   // keys to sort
	countMost = 64   // scores of a block for each to keep: of more, most are passed over many at a time
	buckets   = 1024 // of scores
)

// selection is the memory of selecting many of many scores at once.
type selection struct {
	counts [buckets]int32
	spare  []uint64
}

// Edge returns a score that at least k of scores reach, and as a rule few more
// do; false where the k best have to be found to know. What is kept is left as it
// is.
func (t *TopK) Edge(scores []float32, k int) (float32, bool) {
	if k < countFrom || len(scores) < k {
		return 0, false
	}
	edge, ok := t.many.edge(scores, k)
	reached := 0
	for _, v := range scores { // scores that hardly differ are put into buckets by rounding
		if v >= edge {
			reached++
		}
	}
	return edge, ok && reached >= k
}

// edge is a score which at least k of scores reach, and as a rule few more do;
// false where counting does not tell: fewer than k are finite, or all are alike.
func (s *selection) edge(scores []float32, k int) (float32, bool) {
	low, high := float32(math.MaxFloat32), float32(-math.MaxFloat32)
	for _, v := range scores {
		if v < low && v >= -math.MaxFloat32 {
			low = v
		}
		if v > high {
			high = v
		}
	}
	scale := (buckets - 1) / (high - low)
	if !(high > low) || !(scale > 0) || scale > math.MaxFloat32 {
		return 0, false
	}
	clear(s.counts[:])
	for _, v := range scores {
		if v >= low { // neither -Inf nor NaN
			s.counts[uint32((v-low)*scale)%buckets]++
		}
	}
	bucket, reached := buckets-1, 0
	for ; bucket > 0; bucket-- {
		if reached += int(s.counts[bucket]); reached >= k {
			break
		}
	}
	if reached < k && reached+int(s.counts[0]) < k {
		return 0, false
	}
	// One bucket more than needed, for what rounding may have put into the next.
	return low + float32(bucket-1)/scale, true
}

// sort orders keys ascending by their bits from low on; where those are alike and
// there are many keys, they keep their order, which must be ascending.
func (s *selection) sort(keys []uint64, low int) []uint64 {
	if len(keys) < digitFrom {
		slices.Sort(keys)
		return keys
	}
	if cap(s.spare) < len(keys) {
		s.spare = make([]uint64, len(keys)+len(keys)/4)
	}
	spare := s.spare[:len(keys)]
	all, some := ^uint64(0), uint64(0)
	for _, k := range keys {
		all &= k
		some |= k
	}
	counts := s.counts[:256]
	for shift := low; shift < 64; shift += 8 {
		if (all^some)>>shift&0xff == 0 {
			continue // alike in all
		}
		clear(counts)
		for _, k := range keys {
			counts[k>>shift&0xff]++
		}
		at := int32(0)
		for i, n := range counts {
			counts[i] = at
			at += n
		}
		for _, k := range keys {
			c := &counts[k>>shift&0xff]
			spare[*c] = k
			*c++
		}
		keys, spare = spare, keys
	}
	s.spare = spare
	return keys
}

// key is a number that ascends as scored things rank.
func (a Scored) key() uint64 {
	return uint64(descending(a.Score))<<32 | uint64(uint32(a.Index)^1<<31)
}

// scoredOf is what key made k of.
func scoredOf(k uint64) Scored {
	return Scored{Index: int32(uint32(k) ^ 1<<31), Score: ascending(uint32(k >> 32))}
}

// block keeps the best of a block where nothing is kept yet, scores[i] under
// index base+i; false, and nothing done, where a heap is the way.
func (t *TopK) block(base int32, scores []float32) bool {
	if len(scores) > countMost*t.k {
		return false
	}
	below, ok := t.below(scores)
	if !ok {
		return false
	}
	for i := indexAbove(scores, below); i < len(scores); i += 1 + indexAbove(scores[i+1:], below) {
		t.keys = append(t.keys, Scored{base + int32(i), scores[i]}.key())
	}
	return t.take(32)
}

// gather is block for scores[i] under indices[i].
func (t *TopK) gather(indices []int32, scores []float32) bool {
	below, ok := t.below(scores)
	if !ok {
		return false
	}
	low, last := 32, int32(math.MinInt32)
	for i := indexAbove(scores, below); i < len(scores); i += 1 + indexAbove(scores[i+1:], below) {
		if indices[i] < last {
			low = 0
		}
		last = indices[i]
		t.keys = append(t.keys, Scored{indices[i], scores[i]}.key())
	}
	return t.take(low)
}

// below is what the scores to keep are above, and empties the keys.
func (t *TopK) below(scores []float32) (float32, bool) {
	if t.k < countFrom || len(t.heap) > 0 || len(scores) <= t.k {
		return 0, false
	}
	t.keys = t.keys[:0]
	edge, ok := t.many.edge(scores, t.k)
	return math.Nextafter32(edge, float32(math.Inf(-1))), ok
}

// take keeps the best of the keys, which are in order where they are alike from
// bit low on.
func (t *TopK) take(low int) bool {
	if len(t.keys) < t.k {
		return false
	}
	t.keys = t.many.sort(t.keys, low)
	for _, k := range slices.Backward(t.keys[:t.k]) { // worst first is a heap
		t.heap = append(t.heap, scoredOf(k))
	}
	t.inOrder = true
	return true
}
