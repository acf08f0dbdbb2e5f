package guard

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// line is a queue that is told the time and gives turns when it is told to.
type line struct {
	*queue
	now  time.Time
	mu   sync.Mutex
	got  []int // who began, in turn
	late int
	wg   sync.WaitGroup
}

func newLine(t *testing.T, target time.Duration) *line {
	t.Helper()
	l := &line{now: time.Unix(1e9, 0)}
	q, err := newQueue(1, 256, target, newLimit(target, 4, 256), func() time.Time { return l.now })
	if err != nil {
		t.Fatal(err)
	}
	q.poked = true // the pump sleeps: the test gives the turns
	l.queue = q
	t.Cleanup(func() {
		q.close()
		l.wg.Wait()
		if q.ahead != 0 {
			t.Errorf("got %d let in at the end, want none", q.ahead)
		}
	})
	return l
}

// come lets caller n in and waits until it stands in the queue.
func (l *line) come(t *testing.T, ctx context.Context, n int) bool {
	t.Helper()
	if !l.admit() {
		return false
	}
	l.queue.mu.Lock()
	last := l.last
	l.queue.mu.Unlock()
	l.wg.Go(func() {
		err := l.begin(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		switch {
		case err == nil:
			l.got = append(l.got, n)
		case errors.Is(err, errLate):
			l.late++
		}
	})
	for {
		l.queue.mu.Lock()
		stands := l.last != last
		l.queue.mu.Unlock()
		if stands {
			return true
		}
		time.Sleep(10 * time.Microsecond)
	}
}

// turn lets time pass, gives a turn, and waits until someone took it.
func (l *line) turn(after time.Duration) {
	l.now = l.now.Add(after)
	l.mu.Lock()
	was := len(l.got) + l.late
	l.mu.Unlock()
	l.queue.mu.Lock()
	before := l.ahead
	l.turns()
	left := before - l.ahead
	l.queue.mu.Unlock()
	for {
		l.mu.Lock()
		done := len(l.got) + l.late - was
		l.mu.Unlock()
		if done >= left {
			return
		}
		time.Sleep(10 * time.Microsecond)
	}
}

func TestTurnsComeInOrder(t *testing.T) {
	l := newLine(t, 20*time.Millisecond)
	for n := range 4 {
		if !l.come(t, t.Context(), n) {
			t.Fatalf("%d was turned away from an empty queue", n)
		}
	}
	for n := range 4 {
		l.turn(2 * time.Millisecond)
		if len(l.got) != n+1 || l.got[n] != n {
			t.Fatalf("after %d turns: got %v", n+1, l.got)
		}
		l.end(2 * time.Millisecond)
	}
	if l.running != 0 || l.first != nil || l.last != nil {
		t.Errorf("got %d running and %v waiting at the end, want none", l.running, l.first)
	}
}

func TestWhoLeavesTakesNoTurn(t *testing.T) {
	for _, who := range []int{0, 1, 2} { // the first, one between, the last
		l := newLine(t, 20*time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 3 {
			c := t.Context()
			if n == who {
				c = ctx
			}
			l.come(t, c, n)
		}
		cancel()
		for l.Waiting() != 2 {
			time.Sleep(10 * time.Microsecond)
		}
		l.turn(time.Millisecond)
		l.turn(time.Millisecond)
		if len(l.got) != 2 || l.got[0] == who || l.got[1] == who {
			t.Errorf("%d left: got %v", who, l.got)
		}
	}
}

// Waiting is how many were let in and did not begin.
func (l *line) Waiting() int {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return l.ahead
}

// Work is a millisecond each, the target 20: a burst may wait five times as long,
// what stands an eighth, and what waited in vain is told.
func TestABurstWaitsAndAQueueThatStandsIsShort(t *testing.T) {
	l := newLine(t, 20*time.Millisecond)
	in := 0
	for l.come(t, t.Context(), in) {
		in++
	}
	if in != 100 {
		t.Fatalf("got %d of a burst let in, want 100 of a millisecond each", in)
	}
	most := 0
	for range 400 { // three come for each that goes
		l.turn(time.Millisecond)
		if len(l.got) > 0 && l.running > 0 {
			l.end(time.Millisecond)
		}
		for range 3 {
			if l.come(t, t.Context(), in) {
				in++
			}
		}
		if l.Standing() {
			most = max(most, l.Waiting())
		}
	}
	if !l.Standing() {
		t.Fatal("three times what can be done for 400 ms, and the queue does not stand")
	}
	if n := l.Waiting(); n != 2 {
		t.Errorf("got %d waiting in a queue that stands, want 2 of a millisecond each", n)
	}
	if l.late == 0 {
		t.Error("nobody of the burst was told that it waited too long")
	}
	for l.Waiting() > 0 {
		l.turn(time.Millisecond)
		l.end(time.Millisecond)
	}
	l.now = l.now.Add(2 * interval)
	if !l.come(t, t.Context(), in) || l.Standing() {
		t.Errorf("nobody waits any more: got standing %v, want a burst to be let in again", l.Standing())
	}
}

// A queue that is never empty and always short stands in nobody's way: a burst is
// let in on top of it.
func TestAQueueThatIsShortDoesNotStand(t *testing.T) {
	l := newLine(t, 20*time.Millisecond)
	in := 0
	for ; in < 3; in++ {
		l.come(t, t.Context(), in)
	}
	for range 400 { // one comes for each that goes
		l.turn(time.Millisecond)
		l.end(time.Millisecond)
		if !l.come(t, t.Context(), in) {
			t.Fatalf("%d was turned away behind %d of a millisecond each", in, l.Waiting())
		}
		in++
	}
	if l.Standing() || l.late > 0 {
		t.Errorf("got standing %v and %d late where everyone waits for 3 ms", l.Standing(), l.late)
	}
	for n := range 50 {
		if !l.come(t, t.Context(), in+n) {
			t.Fatalf("%d of a burst of 50 was turned away", n)
		}
	}
}

// Standing is what admit went by.
func (l *line) Standing() bool {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return l.stands.on
}

// What runs for long elsewhere keeps the pump from its turns: some of what it
// could not begin meanwhile is begun at once.
func TestTurnsAreMadeUpFor(t *testing.T) {
	l := newLine(t, 20*time.Millisecond)
	for n := range 20 {
		l.come(t, t.Context(), n)
	}
	l.turn(10 * time.Millisecond)
	if len(l.got) != 5 {
		t.Errorf("got %d begun after 10 ms without a turn, want 5 of a millisecond each", len(l.got))
	}
}

// No more are worked on at once than the limit says, however idle the processor.
func TestTheLimitHolds(t *testing.T) {
	l := newLine(t, 20*time.Millisecond)
	l.limit.now.Store(2)
	for n := range 4 {
		l.come(t, t.Context(), n)
	}
	for range 4 {
		l.turn(time.Millisecond)
	}
	if len(l.got) != 2 {
		t.Fatalf("got %d begun, want the limit, 2", len(l.got))
	}
	l.end(time.Millisecond)
	l.turn(time.Millisecond)
	if len(l.got) != 3 {
		t.Errorf("got %d begun after one ended, want 3", len(l.got))
	}
}

// The pump gives everyone a turn, and who waits when it ends begins.
func TestPump(t *testing.T) {
	q, err := newQueue(1, 256, time.Hour, newLimit(time.Hour, 4, 4), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if !q.admit() {
				t.Error("turned away")
				return
			}
			if err := q.begin(t.Context()); err != nil {
				t.Error(err)
			}
			q.end(time.Millisecond)
		})
	}
	wg.Wait()
	for range 8 { // four hold what there is
		if !q.admit() {
			t.Fatal("turned away")
		}
		wg.Go(func() {
			if err := q.begin(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	for { // the others are parked
		q.mu.Lock()
		full := q.running == 4 && q.ahead == 4
		q.mu.Unlock()
		if full {
			break
		}
		time.Sleep(time.Millisecond)
	}
	q.close()
	q.close()
	wg.Wait()
	if q.running != 8 || q.ahead != 0 || q.first != nil {
		t.Errorf("got %d begun and %d waiting after the end, want 8 and none", q.running, q.ahead)
	}
}

func TestBehindIsWhenOneHasWaited(t *testing.T) {
	l := newLine(t, 20*time.Millisecond)
	if l.behind() {
		t.Error("nobody came: got behind")
	}
	l.come(t, t.Context(), 0)
	if l.now = l.now.Add(waited); l.behind() {
		t.Errorf("after %v: got behind", waited)
	}
	if l.now = l.now.Add(1); !l.behind() {
		t.Errorf("after more than %v: got not behind", waited)
	}
	l.turn(time.Millisecond)
	if l.behind() {
		t.Error("whoever waited has begun: got behind")
	}
	l.end(time.Millisecond)
}
