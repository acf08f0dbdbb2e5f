package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// errLate is what a call is told that has waited too long to be begun.
var errLate = errors.New("waited too long")

// queue begins answers one after another, each when a processor has nothing else
// to do.
//
// Go's scheduler looks at the network when nothing is left to run, and else
// every 10 ms. Answers that all run at once are therefore a queue before which
// calls that come in, and behind which answers that go out, stand unseen. Here
// everyone is parked, and begun by a goroutine that reads a pipe: it is found by
// the same look at the network that finds what came in, so the next answer begins
// once everything short has been done, also where the one before it waits for
// something else than a processor. That costs a call some 5 us.
//
// How many may wait follows CoDel (Nichols and Jacobson, 2012) as Maurer's
// "Fail at scale" (2015) puts it to servers: a burst may wait for long, a queue
// that stands may not; standing.go tells them apart. It is safe for concurrent use.
type queue struct {
	least int           // calls that may always wait
	most  int           // calls that may wait, whatever else is said
	calm  time.Duration // that one may wait in a burst
	short time.Duration // that nobody calls long
	stand time.Duration // that one may wait in a queue that stands
	limit *limit        // of answers that are begun and not ended
	clock func() time.Time

	poke *os.File // where a byte wakes the pump; nil once closed
	wake *os.File
	done chan struct{}

	mu      sync.Mutex
	first   *place // who waits the longest; nil: nobody waits
	last    *place
	ahead   int  // calls that were let in and have not begun
	running int  // those that have
	poked   bool // a byte is on its way
	stands  standing
	turned  time.Time     // when somebody's turn came, the last time
	gap     time.Duration // between two turns while somebody waits, smoothed
	work    time.Duration // of an answer, by itself, smoothed
}

// place is one that waits.
type place struct {
	turn       chan error // nil: begin
	since      time.Time
	prev, next *place
}

const (
	burst   = 5                    // times the target may be waited in a burst
	shortAt = 4                    // of the target may be waited before a queue is long
	standAt = 8                    // of the target may be waited in one that stands
	quantum = time.Millisecond     // of work is begun at once
	away    = 5 * time.Millisecond // after which the pump has been kept from running
	waited  = 2 * time.Millisecond // that one may wait before others should make room
	smooth  = 8                    // a new value's share is one of so many
	outlier = 4                    // times what was seen so far is taken for no more: something was in the way once
)

func newQueue(cores, most int, target time.Duration, l *limit, clock func() time.Time) (*queue, error) {
	wake, poke, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	q := &queue{
		least: cores + 1, most: most, calm: burst * target, short: target / shortAt, stand: target / standAt, limit: l, clock: clock,
		poke: poke, wake: wake, done: make(chan struct{}), gap: quantum, work: quantum,
	}
	go q.pump()
	return q, nil
}

// close ends the pump. Who waits begins, since nobody would tell them later.
func (q *queue) close() {
	q.mu.Lock()
	if q.poke == nil {
		q.mu.Unlock()
		return
	}
	_ = q.poke.Close()
	q.poke = nil
	for q.turnOf(nil) {
	}
	q.mu.Unlock()
	<-q.done
	_ = q.wake.Close()
}

// admit reports whether one more may wait.
func (q *queue) admit() bool {
	now := q.clock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stands.came(now, q.ahead, q.wait(now))
	may := q.calm
	if q.stands.on {
		may = q.stand
	}
	if q.ahead >= q.room(may) {
		q.stands.refused++
		return false
	}
	q.ahead++
	return true
}

// room is how many may wait where nobody should wait longer. q.mu is held.
func (q *queue) room(wait time.Duration) int {
	return max(min(int(wait/max(q.gap, time.Microsecond)), q.most), q.least)
}

// wait is how long whoever waits does. q.mu is held.
func (q *queue) wait(now time.Time) wait {
	if q.ahead >= q.room(q.calm) {
		return full
	}
	last := time.Duration(q.ahead) * q.gap
	switch {
	case last > q.calm/burst:
		return late
	case last > q.short || q.first != nil && now.Sub(q.first.since) > q.short:
		return long
	}
	return short
}

// gone notes that one that was let in will never begin.
func (q *queue) gone() {
	q.mu.Lock()
	q.ahead--
	q.mu.Unlock()
}

// begin returns when it is the caller's turn, who was let in: it ends with end.
// Otherwise errLate, or the context's error, and it is over.
func (q *queue) begin(ctx context.Context) error {
	q.mu.Lock()
	if q.poke == nil {
		q.ahead--
		q.running++
		q.mu.Unlock()
		return nil
	}
	p := q.enter()
	q.call()
	q.mu.Unlock()
	select {
	case err := <-p.turn:
		q.mu.Lock()
		q.call() // not before this one runs: the next is for when nothing else does
		q.mu.Unlock()
		return err
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		select {
		case err := <-p.turn:
			if err == nil {
				q.running--
			}
			q.call()
		default:
			q.leave(p)
		}
		return ctx.Err()
	}
}

// enter puts one who was let in behind all who wait. q.mu is held.
func (q *queue) enter() *place {
	p := &place{turn: make(chan error, 1), since: q.clock(), prev: q.last}
	if q.first == nil {
		q.first, q.turned = p, p.since // what came before says nothing
	} else {
		q.last.next = p
	}
	q.last = p
	return p
}

// leave takes one out who waits. q.mu is held.
func (q *queue) leave(p *place) {
	q.ahead--
	if p.prev == nil {
		q.first = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		q.last = p.prev
	} else {
		p.next.prev = p.prev
	}
}

// end counts out an answer that took so long.
func (q *queue) end(took time.Duration) {
	q.mu.Lock()
	q.work += (took/time.Duration(max(q.running, 1)) - q.work) / smooth
	q.running--
	q.call()
	q.mu.Unlock()
}

// call wakes the pump for those who wait. q.mu is held.
func (q *queue) call() {
	if q.poked || q.poke == nil || q.first == nil {
		return
	}
	if int64(q.running) >= q.limit.now.Load() {
		q.limit.reached()
		return // whoever ends calls again
	}
	_, err := q.poke.Write([]byte{0})
	q.poked = err == nil
}

// pump gives turns until the queue is closed.
func (q *queue) pump() {
	defer close(q.done)
	var b [1]byte
	for {
		if _, err := q.wake.Read(b[:]); err != nil {
			return
		}
		q.mu.Lock()
		q.poked = false
		q.turns()
		q.mu.Unlock()
	}
}

// turns begins who is next: one, or as many as are little work together. One that
// runs for long elsewhere, such as a release that is being read, may keep the pump
// from running; half the time that took is made up for. q.mu is held.
func (q *queue) turns() {
	now := q.clock()
	work := max(q.work, time.Microsecond)
	n := max(1, int(quantum/work))
	since := now.Sub(q.turned)
	if since > away {
		n = max(n, int(since/2/work))
	}
	given := 0
	for given < n && int64(q.running) < q.limit.now.Load() && q.turnOf(&now) {
		given++
	}
	if given == 0 {
		return
	}
	q.gap += (min(since/time.Duration(given), outlier*q.gap) - q.gap) / smooth
	q.turned = now
}

// turnOf gives the first who waits, and not too long, a turn, and reports whether
// there was one. now is nil when nothing is too long. q.mu is held.
func (q *queue) turnOf(now *time.Time) bool {
	for q.first != nil {
		p := q.first
		q.leave(p)
		if wait := q.patience(); now != nil && now.Sub(p.since) > wait {
			q.stands.refused++
			p.turn <- errLate
			continue
		}
		q.running++
		p.turn <- nil
		return true
	}
	return false
}

// patience is how long one may have waited and still begin.
func (q *queue) patience() time.Duration {
	if q.stands.on {
		return 2 * q.stand
	}
	return q.calm
}

// behind reports whether somebody has waited for more than a little.
func (q *queue) behind() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first != nil && q.clock().Sub(q.first.since) > waited
}
