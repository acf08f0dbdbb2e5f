package app

import (
	"runtime"
	"testing"
)

func TestNearlyFull(t *testing.T) {
	for _, c := range []struct {
		now, live, goal uint64
		want            bool
	}{
		{1000, 1000, 2000, false}, {1800, 1000, 2000, false}, {1876, 1000, 2000, true}, {2100, 1000, 2000, true},
		{0, 0, 0, false}, {5, 10, 4, false},
	} {
		if got := nearlyFull(c.now, c.live, c.goal); got != c.want {
			t.Errorf("%d on the way from %d to %d: got %v, want %v", c.now, c.live, c.goal, got, c.want)
		}
	}
	runtime.GC()
	if now, live, goal := heap(); now == 0 || live == 0 || goal <= live {
		t.Errorf("got %d bytes in the heap, %d in use, %d when it is collected, want what Go says", now, live, goal)
	}
}
