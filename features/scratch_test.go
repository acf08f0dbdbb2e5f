package features_test

import (
	"testing"

	"github.com/attune-rec/attune/features"
)

func TestScratchHandsOutZeroedSlicesThatDoNotOverlap(t *testing.T) {
	var s features.Scratch
	for round := range 4 {
		a, b := s.Floats(10), s.Floats(7)
		for i := range a {
			if a[i] != 0 {
				t.Fatalf("round %d: got %v, want 0", round, a[i])
			}
			a[i] = 1
		}
		a = append(a, 2)
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("round %d: the second slice was written through the first", round)
			}
			b[i] = 3
		}
		if a[10] != 2 {
			t.Fatal("an append was lost")
		}
		s.Reset()
	}
}

func TestScratchMakesAVectorOnce(t *testing.T) {
	var s features.Scratch
	made := 0
	fill := func(dst []float32) bool { made++; dst[0] = 5; return true }
	owner := new(int)
	for range 3 {
		if v, ok := s.Vector(owner, 2, fill); !ok || v[0] != 5 {
			t.Fatalf("got %v, %v", v, ok)
		}
	}
	if _, ok := s.Vector("other", 2, func([]float32) bool { return false }); ok {
		t.Fatal("a vector that is none was handed out")
	}
	if made != 1 {
		t.Fatalf("made %d times, want once", made)
	}
	s.Reset()
	if s.Vector(owner, 2, fill); made != 2 {
		t.Fatalf("made %d times after a reset, want twice", made)
	}
}

func TestScratchDoesNotAllocateInSteadyUse(t *testing.T) {
	var s features.Scratch
	use := func() {
		s.Reset()
		s.Floats(100)
		s.Rows(50)
		s.Ints(20)
	}
	use()
	use()
	if got := testing.AllocsPerRun(100, use); got != 0 {
		t.Fatalf("got %v allocations, want none", got)
	}
}
