package linalg

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A block of which many are kept is selected from by counting, not by a heap: of
// numbers of any size, with ties, and with what a filter took out.
func TestTopKOfABlock(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n, k := size(t, "n", 3000), rapid.IntRange(countFrom, 500).Draw(t, "k")
		scores := s.vec(n)
		scale, shift := float32(math.Pow(10, float64(s.r.IntN(60)-30))), float32(0)
		if s.r.IntN(2) == 0 {
			shift = 1e6 * scale // numbers that hardly differ
		}
		for i := range scores {
			scores[i] = scores[i]*scale + shift
			switch s.r.IntN(10) {
			case 0:
				scores[i] = float32(math.Inf(-1))
			case 1:
				scores[i] = float32(math.NaN())
			case 2:
				scores[i] = scores[s.r.IntN(i+1)]
			}
		}
		want := twinTop(scores, k)
		var top TopK
		if edge, ok := top.Edge(scores, k); ok && (len(want) < k || edge > want[k-1].Score) {
			t.Fatalf("n %d, k %d: got an edge of %v, want one that %d reach", n, k, edge, k)
		}
		top.Reset(k)
		top.PushBlock(0, scores)
		if got := top.Sorted(nil); !slices.Equal(got, want) {
			t.Fatalf("n %d, k %d: got %v, want %v", n, k, got, want)
		}
		// The same scattered.
		at, shuffled := make([]int32, n), make([]float32, n)
		for i, j := range rand.New(s.r).Perm(n) {
			at[i], shuffled[i] = int32(j), scores[j]
		}
		var scattered TopK
		scattered.Reset(k)
		scattered.PushGather(at, shuffled)
		if got := scattered.Sorted(nil); !slices.Equal(got, want) {
			t.Fatalf("n %d, k %d, scattered: got %v, want %v", n, k, got, want)
		}
		// What is kept is a heap that more can be offered to.
		more := s.vec(n)
		top.PushBlock(int32(n), more)
		if got, want := top.Sorted(nil), twinTop(slices.Concat(scores, more), k); !slices.Equal(got, want) {
			t.Fatalf("n %d, k %d, and more: got %v, want %v", n, k, got, want)
		}
	})
}
