package features

import "testing"

func TestNestedScratchIsKeptUntilReset(t *testing.T) {
	var s Scratch
	filled := 0
	value := func(owner int) float32 {
		vec, _ := s.Nested(owner).Vector("v", 1, func(dst []float32) bool { filled++; dst[0] = float32(owner); return true })
		return vec[0]
	}
	for range 2 {
		for owner := range maxNested {
			if got := value(owner); got != float32(owner) {
				t.Fatalf("owner %d: got %v, want its own", owner, got)
			}
		}
	}
	if filled != maxNested {
		t.Errorf("got %d worked out, want %d: each once", filled, maxNested)
	}
	for owner := maxNested; owner < maxNested+3; owner++ { // past the bound: right, but not kept
		if got := value(owner); got != float32(owner) {
			t.Errorf("owner %d: got %v, want its own", owner, got)
		}
	}
	if got := value(0); got != 0 || filled != maxNested+3 {
		t.Errorf("got %v after %d worked out, want owner 0 kept", got, filled)
	}
	s.Reset()
	if value(0); filled != maxNested+4 {
		t.Errorf("after Reset: got %d worked out, want %d", filled, maxNested+4)
	}
	if n := testing.AllocsPerRun(20, func() { s.Reset(); s.Nested(&s).Floats(8) }); n != 0 {
		t.Errorf("got %v allocations a request, want 0", n)
	}
}
