package linalg

import (
	"math"
	"slices"
)

// Scored is an index with its score.
type Scored struct {
	Index int32
	Score float32
}

// before says whether a ranks before b: higher score first, ties by lower index.
func (a Scored) before(b Scored) bool {
	return a.Score > b.Score || a.Score == b.Score && a.Index < b.Index
}

// SelectTop appends to dst the k largest of scores, in descending order, ties by lower index, and
// returns it. A NaN is never selected, so it may append fewer than k.
func SelectTop(scores []float32, k int, dst []Scored) []Scored {
	var t TopK
	t.Reset(min(k, len(scores)))
	t.PushBlock(0, scores)
	return t.Sorted(dst)
}

// TopK keeps the k best of a stream of scores: descending, ties by lower index, NaN never. The
// result does not depend on the order of the pushes. Set k with Reset before the first push. A
// TopK serves one goroutine at a time and keeps its memory between uses.
type TopK struct {
	k    int
	heap []Scored // the worst at the root
	keys []uint64 // memory of Sorted

	many    selection
	inOrder bool // the heap is sorted, worst first
}

// Reset forgets everything and sets the number to keep; k below 1 keeps nothing.
func (t *TopK) Reset(k int) {
	t.k = max(k, 0)
	t.heap = t.heap[:0]
	t.inOrder = false
}

// Len returns how many are kept at present.
func (t *TopK) Len() int { return len(t.heap) }

// Threshold returns the score that a further one has to reach to have a chance: the worst that is
// kept once k are, and -Inf before (+Inf when k is 0).
func (t *TopK) Threshold() float32 {
	switch {
	case t.k == 0:
		return float32(math.Inf(1))
	case len(t.heap) < t.k:
		return float32(math.Inf(-1))
	}
	return t.heap[0].Score
}

// Push offers one score and reports whether it was kept.
func (t *TopK) Push(index int32, score float32) bool {
	s := Scored{index, score}
	if score != score {
		return false
	}
	if len(t.heap) < t.k {
		t.inOrder = false
		t.heap = append(t.heap, s)
		t.up(len(t.heap) - 1)
		return true
	}
	if t.k == 0 || !s.before(t.heap[0]) {
		return false
	}
	t.inOrder = false
	t.heap[0] = s
	t.down(0)
	return true
}

// PushBlock offers scores[i] under index base+i for every i. Scores below the threshold are passed
// over many at a time.
func (t *TopK) PushBlock(base int32, scores []float32) {
	if t.k == 0 || t.block(base, scores) {
		return
	}
	i := 0
	for ; i < len(scores) && len(t.heap) < t.k; i++ {
		t.Push(base+int32(i), scores[i])
	}
	for i < len(scores) {
		worst := t.heap[0]
		bar := worst.Score
		if worst.Index > base+int32(i) { // a tie may win: look for what is at least as good
			if math.IsInf(float64(bar), -1) {
				t.Push(base+int32(i), scores[i])
				i++
				continue
			}
			bar = math.Nextafter32(bar, float32(math.Inf(-1)))
		}
		i += indexAbove(scores[i:], bar)
		if i < len(scores) {
			t.Push(base+int32(i), scores[i])
			i++
		}
	}
}

// PushGather offers scores[i] under index indices[i] for every i.
func (t *TopK) PushGather(indices []int32, scores []float32) {
	checkLen("TopK.PushGather", len(indices), len(scores))
	if t.gather(indices, scores) {
		return
	}
	for i, s := range scores {
		t.Push(indices[i], s)
	}
}

// Merge offers everything that other keeps.
func (t *TopK) Merge(other *TopK) {
	for _, s := range other.heap {
		t.Push(s.Index, s.Score)
	}
}

// Sorted appends what is kept to dst, best first, and returns it. It leaves what is kept as it is.
func (t *TopK) Sorted(dst []Scored) []Scored {
	if t.inOrder {
		for _, s := range slices.Backward(t.heap) {
			dst = append(dst, s)
		}
		return dst
	}
	// Numbers that ascend as scored things rank are sorted several times faster than those are.
	t.keys = t.keys[:0]
	for _, s := range t.heap {
		t.keys = append(t.keys, s.key())
	}
	t.keys = t.many.sort(t.keys, 0)
	for _, k := range t.keys {
		dst = append(dst, scoredOf(k))
	}
	return dst
}

// descending is a number that is the smaller, the larger v is; v is not NaN.
func descending(v float32) uint32 {
	b := math.Float32bits(v + 0) // -0 is 0
	if b>>31 != 0 {
		return b
	}
	return b ^ math.MaxInt32
}

// ascending is the v that descending made b of.
func ascending(b uint32) float32 {
	if b>>31 == 0 {
		b ^= math.MaxInt32
	}
	return math.Float32frombits(b)
}

func (t *TopK) up(i int) {
	h := t.heap
	for i > 0 {
		p := (i - 1) / 2
		if !h[p].before(h[i]) {
			return
		}
		h[p], h[i] = h[i], h[p]
		i = p
	}
}

func (t *TopK) down(i int) {
	h := t.heap
	s := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c].before(h[c+1]) {
			c++
		}
		if !s.before(h[c]) {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = s
}

// indexAboveGeneric returns the index of the first element above bar, len(x) when there is none.
func indexAboveGeneric(x []float32, bar float32) int {
	for i, v := range x {
		if v > bar {
			return i
		}
	}
	return len(x)
}
