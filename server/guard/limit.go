package guard

import (
	"sync"
	"sync/atomic"
	"time"
)

// limit is how many answers may be under way: a number that is lowered by a
// sixth when more than a tenth of a window's answers came later than the
// target, and raised when it was reached and they did not (additive increase,
// multiplicative decrease; Chiu and Jain, 1989).
//
// The target gives way where nothing is ever that fast: it is at least four
// times the fastest answer that has been seen lately, so that a slow dependency
// does not shrink the limit to nothing.
type limit struct {
	now    atomic.Int64
	target time.Duration
	least  int64
	most   int64

	mu     sync.Mutex
	began  time.Time // of the window
	count  int
	late   int
	fast   time.Duration // the fastest of the window
	floor  time.Duration // the fastest lately; 0: not known
	filled bool          // the limit was reached in the window
}

const (
	window      = 100 * time.Millisecond
	windowCount = 20    // answers a window has at least
	windowLate  = .1    // more than this share is too late
	floorRise   = 1.001 // of the fastest answer that is remembered, a window
	floorFactor = 4
)

func newLimit(target time.Duration, least, most int) *limit {
	l := &limit{target: target, least: int64(least), most: int64(most)}
	l.now.Store(min(max(2*l.least, 1), l.most))
	return l
}

// reached notes that a request was turned away.
func (l *limit) reached() {
	l.mu.Lock()
	l.filled = true
	l.mu.Unlock()
}

// took notes an answer that ended at now.
func (l *limit) took(d time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == 0 {
		if l.began.IsZero() {
			l.began = now
		}
		l.fast = d
	}
	l.count++
	l.fast = min(l.fast, d)
	if d > l.target && d > floorFactor*l.floor {
		l.late++
	}
	if l.count < windowCount || now.Sub(l.began) < window {
		return
	}
	n := l.now.Load()
	switch {
	case float64(l.late) > windowLate*float64(l.count):
		n -= max(n/6, 1)
	case l.filled:
		n += max(n/16, 1)
	}
	l.now.Store(min(max(n, l.least), l.most))
	l.floor = time.Duration(float64(l.floor) * floorRise)
	if l.floor == 0 || l.fast < l.floor {
		l.floor = l.fast
	}
	l.began, l.count, l.late, l.filled = now, 0, 0, false
}
