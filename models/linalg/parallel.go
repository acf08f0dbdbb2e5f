package linalg

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Workers returns how many goroutines [Parallel] runs at most: GOMAXPROCS.
func Workers() int { return runtime.GOMAXPROCS(0) }

// Parallel calls f for consecutive ranges [lo, hi) that together cover [0, n), each of at most
// grain elements (grain below 1 counts as 1), on up to [Workers] goroutines. The ranges depend on
// n and grain only, never on the number of workers; their order and the worker that gets one are
// not fixed. worker, in [0, Workers()), names the goroutine, so that f can use scratch memory of
// its own. Parallel returns when every call has; a panic in f is raised again in the caller.
func Parallel(n, grain int, f func(worker, lo, hi int)) {
	ParallelN(n, grain, Workers(), f)
}

// ParallelN is [Parallel] on at most the given number of workers, and at least one.
func ParallelN(n, grain, workers int, f func(worker, lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(grain, 1)
	chunks := (n-1)/grain + 1
	workers = min(workers, chunks)
	if workers <= 1 {
		for lo := 0; lo < n; lo += grain {
			f(0, lo, min(lo+grain, n))
		}
		return
	}
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[any]
	)
	run := func(worker int) {
		defer func() {
			if p := recover(); p != nil {
				failed.CompareAndSwap(nil, &p)
			}
		}()
		for failed.Load() == nil {
			c := int(next.Add(1)) - 1
			if c >= chunks {
				return
			}
			f(worker, c*grain, min(c*grain+grain, n))
		}
	}
	for w := 1; w < workers; w++ {
		wg.Go(func() { run(w) })
	}
	run(0)
	wg.Wait()
	if p := failed.Load(); p != nil {
		panic(*p)
	}
}
