// Package breaker keeps callers from waiting for a dependency that does not
// answer: after a few failures it refuses calls at once, lets one through now
// and then to see, and lets all through again when that one succeeds.
//
// It knows nothing of what it guards. Start reading at Breaker.Do.
package breaker

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrOpen is returned for a call that was not made.
var ErrOpen = errors.New("circuit breaker is open: it failed again and again, and is tried again soon")

// State is what a breaker does with calls.
type State uint8

// The states.
const (
	Closed   State = iota // calls are made
	HalfOpen              // one call is made, to see
	Open                  // none is
)

// String is the state's name.
func (s State) String() string { return [...]string{"closed", "half-open", "open"}[s] }

// Options are when a breaker opens and closes. The zero value suits.
//
// It opens when Failures calls in a row failed; when fewer did, two at least,
// but for the length of Window; and when half of at least twice Failures calls
// of a window failed. So it is open a window after failures begin at the
// latest, however few calls there are, and at once where there are many.
type Options struct {
	Failures int           // 0: 5
	Window   time.Duration // 0: 1 s
	// Wait is from opening to the first call that is let through, twice as long
	// after each that fails, up to MostWait. 0: 500 ms and 4 s.
	Wait, MostWait time.Duration
	Clock          func() time.Time // nil: time.Now
}

// Breaker guards one dependency. It is safe for concurrent use.
type Breaker struct {
	o      Options
	opened func() // told when it opens; nil: nobody
	refuse func() // told when it refuses

	mu     sync.Mutex
	state  State
	period int64         // counts changes of state: what began in an older one says nothing of this one
	row    int           // failures in a row
	since  time.Time     // of the first of them
	began  time.Time     // of the window
	calls  int           // that ended in it
	failed int           // of those
	wait   time.Duration // of the open state
	until  time.Time     // when it is tried again
}

// New returns a closed breaker.
func New(o Options) *Breaker {
	if o.Failures <= 0 {
		o.Failures = 5
	}
	if o.Window <= 0 {
		o.Window = time.Second
	}
	if o.Wait <= 0 {
		o.Wait = 500 * time.Millisecond
	}
	if o.MostWait <= 0 {
		o.MostWait = 4 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Breaker{o: o}
}

// State is what the breaker does now.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Do calls f and returns its error, or ErrOpen at once. An error counts as a
// failure of the dependency, save that of a caller who left: context.Canceled.
// A panic counts as one and goes on.
func (b *Breaker) Do(f func() error) (err error) {
	period, ok := b.begin()
	if !ok {
		if b.refuse != nil {
			b.refuse()
		}
		return ErrOpen
	}
	panicked := true
	defer func() {
		switch {
		case panicked || err != nil && !errors.Is(err, context.Canceled):
			b.end(period, false)
		case err == nil:
			b.end(period, true)
		default:
			b.undecided(period)
		}
	}()
	err = f()
	panicked = false
	return err
}

// begin tells whether a call may be made, and in which period it is.
func (b *Breaker) begin() (period int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == Closed:
		return b.period, true
	case b.state == Open && !b.o.Clock().Before(b.until):
		b.to(HalfOpen)
		return b.period, true
	}
	return 0, false
}

// end takes the outcome of a call in.
func (b *Breaker) end(period int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if period != b.period {
		return
	}
	now := b.o.Clock()
	switch {
	case b.state == HalfOpen && ok:
		b.wait = 0
		b.to(Closed)
		return
	case b.state == HalfOpen:
		b.open(now)
		return
	}
	if b.calls == 0 || now.Sub(b.began) >= b.o.Window {
		b.began, b.calls, b.failed = now, 0, 0
	}
	b.calls++
	if ok {
		b.row = 0
		return
	}
	b.failed++
	if b.row++; b.row == 1 {
		b.since = now
	}
	if b.row >= b.o.Failures || b.row >= 2 && now.Sub(b.since) >= b.o.Window ||
		b.calls >= 2*b.o.Failures && 2*b.failed >= b.calls {
		b.open(now)
	}
}

// undecided is a call that its caller left: when it was to tell whether the
// dependency is back, another is let through.
func (b *Breaker) undecided(period int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if period == b.period && b.state == HalfOpen {
		b.to(Open)
		b.until = b.o.Clock()
	}
}

func (b *Breaker) open(now time.Time) {
	b.wait = min(max(2*b.wait, b.o.Wait), b.o.MostWait)
	b.until = now.Add(b.wait)
	fresh := b.state == Closed
	b.to(Open)
	if fresh && b.opened != nil {
		b.opened()
	}
}

func (b *Breaker) to(s State) {
	b.state = s
	b.period++
	b.row, b.calls, b.failed = 0, 0, 0
}
