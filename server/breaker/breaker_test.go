package breaker

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"
)

var errDown = errors.New("down")

// clock is one that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

func call(b *Breaker, err error) error { return b.Do(func() error { return err }) }

// Whatever the rate of calls, the breaker is open two seconds after all of them
// began to fail, and closed ten seconds after they began to succeed again.
func TestOpensWithinTwoSecondsAndClosesWithinTen(t *testing.T) {
	for _, gap := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, 900 * time.Millisecond} {
		c := newClock()
		b := New(Options{Clock: c.Now})
		for range 100 {
			if err := call(b, nil); err != nil {
				t.Fatalf("every %v: got %v while all is well", gap, err)
			}
			c.pass(gap)
		}
		began := c.Now()
		for _ = call(b, errDown); b.State() != Open && c.Now().Sub(began) < time.Minute; _ = call(b, errDown) {
			c.pass(gap)
		}
		took := c.Now().Sub(began)
		if took > 2*time.Second {
			t.Errorf("every %v: open %v after failures began, want at most 2s", gap, took)
		}
		for end := c.Now().Add(time.Minute); c.Now().Before(end); c.pass(gap) { // down for long
			_ = call(b, errDown)
		}
		began = c.Now()
		for _ = call(b, nil); b.State() != Closed && c.Now().Sub(began) < time.Minute; _ = call(b, nil) {
			c.pass(gap)
		}
		took = c.Now().Sub(began)
		if took > 10*time.Second {
			t.Errorf("every %v: closed %v after the recovery, want at most 10s", gap, took)
		}
	}
}

func TestOpenRefusesWithoutACall(t *testing.T) {
	c := newClock()
	b := New(Options{Clock: c.Now})
	for range 5 {
		if err := call(b, errDown); !errors.Is(err, errDown) {
			t.Fatalf("got %v, want the error itself", err)
		}
	}
	if err := b.Do(func() error { t.Error("called"); return nil }); !errors.Is(err, ErrOpen) {
		t.Errorf("got %v, want ErrOpen", err)
	}
}

// While one call tries, all others are refused; a call that began before the
// breaker opened changes nothing when it ends.
func TestOneCallTries(t *testing.T) {
	c := newClock()
	b := New(Options{Clock: c.Now})
	late, entered := make(chan struct{}), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = b.Do(func() error { close(entered); <-late; return nil })
	}()
	<-entered
	for range 5 {
		_ = call(b, errDown)
	}
	c.pass(time.Second)
	err := b.Do(func() error {
		if err := call(b, nil); !errors.Is(err, ErrOpen) {
			t.Errorf("beside the one that tries: got %v, want ErrOpen", err)
		}
		close(late)
		<-ended
		if got := b.State(); got != HalfOpen {
			t.Errorf("after a late success: got %v, want half-open", got)
		}
		return errDown
	})
	if !errors.Is(err, errDown) || b.State() != Open {
		t.Errorf("got %v and %v, want it open again", err, b.State())
	}
}

// A caller who leaves says nothing of the dependency.
func TestCancelledCallsDoNotCount(t *testing.T) {
	c := newClock()
	b := New(Options{Clock: c.Now})
	for range 100 {
		_ = call(b, context.Canceled)
	}
	if b.State() != Closed {
		t.Fatalf("got %v after cancelled calls, want closed", b.State())
	}
	for range 5 {
		_ = call(b, context.DeadlineExceeded)
	}
	c.pass(time.Second)
	_ = call(b, context.Canceled)
	if err := call(b, nil); err != nil || b.State() != Closed {
		t.Errorf("after a cancelled try: got %v and %v, want the next one to try", err, b.State())
	}
}

func TestHalfFailingOpens(t *testing.T) {
	c := newClock()
	b := New(Options{Clock: c.Now})
	for i := range 40 {
		_ = call(b, []error{nil, errDown}[i%2])
		c.pass(time.Millisecond)
	}
	if b.State() != Open {
		t.Errorf("got %v when every second call fails, want open", b.State())
	}
	b = New(Options{Clock: c.Now})
	for i := range 1000 {
		_ = call(b, []error{nil, nil, nil, errDown}[i%4])
		c.pass(time.Millisecond)
	}
	if b.State() != Closed {
		t.Errorf("got %v when one call of four fails, want closed", b.State())
	}
}

func TestPanicIsAFailure(t *testing.T) {
	b := New(Options{Failures: 1})
	func() {
		defer func() { _ = recover() }()
		_ = b.Do(func() error { panic("x") })
	}()
	if b.State() != Open {
		t.Errorf("got %v, want open", b.State())
	}
}

// Whatever happens, an open breaker lets a call through once its wait is over,
// and the wait is never longer than the longest.
func TestNeverStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		b := New(Options{Clock: c.Now})
		for range rapid.IntRange(0, 200).Draw(t, "calls") {
			c.pass(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			_ = call(b, rapid.SampledFrom([]error{nil, errDown, context.Canceled}).Draw(t, "outcome"))
		}
		c.pass(4 * time.Second)
		if err := call(b, nil); err != nil {
			t.Fatalf("got %v in state %v after the longest wait, want a call", err, b.State())
		}
	})
}

func TestSetMeasures(t *testing.T) {
	c := newClock()
	s := NewSet(Options{Clock: c.Now, Failures: 1})
	k := Key{"milvus", "default", "factors"}
	one, drop := s.New(k)
	two, _ := s.New(k)
	_ = call(one, errDown)
	_ = call(one, nil)
	_ = call(two, nil)
	r := prometheus.NewRegistry()
	r.MustRegister(s)
	want := func(state float64) {
		t.Helper()
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				got[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		if want := map[string]float64{"attune_breaker_state": state, "attune_breaker_opened_total": 1, "attune_breaker_refused_total": 1}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	want(2)
	drop()
	want(0)
	if got := s.Opened(k); got != 1 {
		t.Errorf("got %d openings, want 1", got)
	}
}
