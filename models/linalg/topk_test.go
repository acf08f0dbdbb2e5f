package linalg

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func twinTop(scores []float32, k int) []Scored {
	var all []Scored
	for i, v := range scores {
		if !math.IsNaN(float64(v)) {
			all = append(all, Scored{int32(i), v})
		}
	}
	slices.SortStableFunc(all, func(a, b Scored) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return all[:min(max(k, 0), len(all))]
}

func (s *sample) scores(n int) []float32 {
	x := s.vec(n)
	for i := range x {
		switch s.r.IntN(12) {
		case 0:
			x[i] = float32(math.NaN())
		case 1:
			x[i] = float32(math.Inf(-1))
		case 2:
			x[i] = float32(math.Inf(1))
		case 3, 4, 5:
			x[i] = float32(s.r.IntN(3)) // ties
		}
	}
	return x
}

func TestTopK(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n, k := size(t, "n", 900), rapid.IntRange(-1, 120).Draw(t, "k")
		scores := s.scores(n)
		want := twinTop(scores, k)
		if got := SelectTop(scores, k, nil); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		// Blocks and single pushes in any order select the same.
		var a, b, c TopK
		a.Reset(k)
		b.Reset(k)
		c.Reset(k)
		const block = 37
		starts := rand.New(s.r).Perm((n + block - 1) / block)
		for _, x := range starts {
			lo := x * block
			hi := min(lo+block, n)
			a.PushBlock(int32(lo), scores[lo:hi])
			half := &b
			if x%2 == 0 {
				half = &c
			}
			for i := lo; i < hi; i++ {
				half.Push(int32(i), scores[i])
			}
		}
		b.Merge(&c)
		if got := a.Sorted(nil); !slices.Equal(got, want) {
			t.Fatalf("blocks out of order: got %v, want %v", got, want)
		}
		if got := b.Sorted(nil); !slices.Equal(got, want) {
			t.Fatalf("merged: got %v, want %v", got, want)
		}
	})
}

func TestTopKThreshold(t *testing.T) {
	var k TopK
	k.Reset(2)
	if got := k.Threshold(); !math.IsInf(float64(got), -1) {
		t.Errorf("got %g before anything is kept, want -Inf", got)
	}
	k.PushGather([]int32{7, 3, 9}, []float32{1, 5, 2})
	if got := k.Threshold(); got != 2 {
		t.Errorf("got %g, want 2", got)
	}
	k.Reset(0)
	if k.Push(1, 1) || !math.IsInf(float64(k.Threshold()), 1) {
		t.Error("kept something with k 0")
	}
}
