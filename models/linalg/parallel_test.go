package linalg

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestParallelCoversOnce(t *testing.T) {
	for _, n := range []int{0, 1, 7, 100, 1001} {
		for _, grain := range []int{0, 1, 10, 5000} {
			for _, workers := range []int{0, 1, 3, 8} {
				seen := make([]atomic.Int32, n)
				var mu sync.Mutex
				inside := map[int]bool{}
				ParallelN(n, grain, workers, func(w, lo, hi int) {
					mu.Lock()
					if inside[w] {
						t.Error("one worker runs twice at a time")
					}
					inside[w] = true
					mu.Unlock()
					if w < 0 || w >= max(workers, 1) || hi-lo > max(grain, 1) {
						t.Errorf("got worker %d and range [%d, %d)", w, lo, hi)
					}
					for i := lo; i < hi; i++ {
						seen[i].Add(1)
					}
					mu.Lock()
					inside[w] = false
					mu.Unlock()
				})
				for i := range seen {
					if got := seen[i].Load(); got != 1 {
						t.Fatalf("n=%d grain=%d workers=%d: %d was visited %d times", n, grain, workers, i, got)
					}
				}
			}
		}
	}
}

func TestParallelPanicReachesCaller(t *testing.T) {
	defer func() {
		if got := recover(); got != "boom" {
			t.Errorf("got %v, want boom", got)
		}
	}()
	ParallelN(100, 1, 4, func(_, lo, _ int) {
		if lo == 50 {
			panic("boom")
		}
	})
}
