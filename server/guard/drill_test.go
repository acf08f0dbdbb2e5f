package guard

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// drill is a queue before one processor, on a clock of its own: callers come as
// chance has it, so many in what one answer takes, and what they met is kept.
type drill struct {
	q       *queue
	rng     *rand.Rand
	now     time.Time
	free    time.Time // when the processor has done what was begun
	waiting []caller
	running []ended
	took    []time.Duration // of those that were answered, from when they came
	refused int
}

type caller struct {
	at time.Time
	p  *place
}

type ended struct {
	at   time.Time
	took time.Duration
}

// answer is what one takes the processor.
const answer = 800 * time.Microsecond

func newDrill(t *testing.T) *drill {
	t.Helper()
	d := &drill{now: time.Unix(1e9, 0), rng: rand.New(rand.NewPCG(1, 2))}
	q, err := newQueue(1, 128, 20*time.Millisecond, newLimit(20*time.Millisecond, 4, 128), func() time.Time { return d.now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.close)
	q.poked = true // the pump sleeps: the drill gives the turns
	d.q, d.free = q, d.now
	return d
}

// run has callers come for a while, load of them for each that can be answered,
// of which one takes slow times what it should. Nothing at all runs for the last
// part of it, held.
func (d *drill) run(load, slow float64, length, held time.Duration) {
	end := d.now.Add(length)
	hold := end.Add(-held)
	next := d.now
	for {
		next = next.Add(time.Duration(d.rng.ExpFloat64() * float64(answer) / load))
		if next.After(end) {
			break
		}
		seen := next
		if !seen.Before(hold) {
			seen = end
			d.hold(hold, held, slow)
			held = 0
		}
		d.until(seen, slow)
		d.now = seen
		if !d.q.admit() {
			d.refused++
			continue
		}
		d.q.mu.Lock()
		d.waiting = append(d.waiting, caller{next, d.q.enter()})
		d.q.mu.Unlock()
		d.turns(slow)
	}
	d.until(end, slow)
	d.now = end
}

// until lets the processor work until then.
func (d *drill) until(then time.Time, slow float64) {
	for len(d.running) > 0 && !d.running[0].at.After(then) {
		d.now = d.running[0].at
		took := d.running[0].took
		d.running = d.running[1:]
		d.q.end(took)
		d.turns(slow)
	}
}

// hold lets nothing run from then on for so long.
func (d *drill) hold(then time.Time, held time.Duration, slow float64) {
	if held == 0 {
		return
	}
	d.until(then, slow)
	for i := range d.running {
		d.running[i].at = d.running[i].at.Add(held)
	}
	d.free = maxTime(d.free, then).Add(held)
}

// turns gives turns once nothing runs.
func (d *drill) turns(slow float64) {
	if len(d.running) > 0 || len(d.waiting) == 0 {
		return
	}
	d.q.mu.Lock()
	d.q.turns()
	d.q.mu.Unlock()
	for len(d.waiting) > 0 {
		c := d.waiting[0]
		select {
		case err := <-c.p.turn:
			d.waiting = d.waiting[1:]
			if err != nil {
				d.refused++
				continue
			}
		default:
			return
		}
		d.free = maxTime(d.free, d.now).Add(time.Duration(slow * float64(answer)))
		d.running = append(d.running, ended{d.free, d.free.Sub(d.now)})
		d.took = append(d.took, d.free.Sub(c.at))
	}
}

// told is what was met since it was asked last.
func (d *drill) told() (answered, refused int, p50, p99 time.Duration) {
	answered, refused = len(d.took), d.refused
	slices.Sort(d.took)
	if answered > 0 {
		p50, p99 = d.took[answered/2], d.took[answered*99/100]
	}
	d.took, d.refused = nil, 0
	return answered, refused, p50, p99
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// What comes at 70 % of what can be done is answered, whatever runs for a moment
// elsewhere: a queue that it leaves behind is not one that stands.
func TestNobodyIsTurnedAwayForAMoment(t *testing.T) {
	for _, c := range []struct {
		name string
		slow float64
		held time.Duration
	}{
		{"nothing else", 1, 0},
		{"nothing runs for 10 ms", 1, 10 * time.Millisecond},
		{"nothing runs for 40 ms", 1, 40 * time.Millisecond},
		{"nothing runs for 60 ms", 1, 60 * time.Millisecond},
		{"answers take a quarter more for 200 ms", 1.25, 0},
	} {
		d := newDrill(t)
		for range 20 {
			d.run(.7, 1, time.Second-c.held, 0)
			d.run(.7, c.slow, 200*time.Millisecond, c.held)
		}
		if answered, refused, p50, p99 := d.told(); refused > 0 {
			t.Errorf("%s: got %d of %d turned away (p50 %v, p99 %v), want none", c.name, refused, answered+refused, p50, p99)
		}
	}
}

// More comes than can be done, from one moment to the next: what is answered is
// answered in time, the processor is never idle, and all is as before soon after.
func TestAnOverloadIsSeenAtOnce(t *testing.T) {
	for _, load := range []float64{1.3, 2, 3, 10} {
		d := newDrill(t)
		d.run(.7, 1, 8*time.Second, 0)
		_, _, _, before := d.told()

		const length = 8 * time.Second
		d.run(load, 1, length, 0)
		most := slices.Max(d.took)
		answered, refused, p50, p99 := d.told()
		t.Logf("%g times: %d answered, %d not, p50 %v, p99 %v (%v at 70 %%), most %v", load, answered, refused, p50, p99, before, most)
		if p99 > before || most > 3*d.q.calm/burst {
			t.Errorf("%g times: got p99 %v and %v at most, want no more than %v and three times the target", load, p99, most, before)
		}
		if can := int(length / answer); answered < can*95/100 {
			t.Errorf("%g times: got %d answered, want 95 %% of %d", load, answered, can)
		}

		d.run(.7, 1, time.Second, 0)
		d.told()
		d.run(.7, 1, 8*time.Second, 0)
		if answered, refused, _, p99 := d.told(); refused > 0 || p99 > 2*before {
			t.Errorf("%g times, a second after: got %d of %d turned away and p99 %v, want none and about %v", load, refused, answered+refused, p99, before)
		}
	}
}

// A little more than can be done, for long: the queue is kept short.
func TestAQueueThatIsNeverShortStands(t *testing.T) {
	for _, load := range []float64{1.05, 1.1, 1.2} {
		d := newDrill(t)
		d.run(load, 1, 4*time.Second, 0)
		d.told()
		d.run(load, 1, 8*time.Second, 0)
		answered, _, p50, p99 := d.told()
		t.Logf("%g times: %d answered, p50 %v, p99 %v", load, answered, p50, p99)
		if p50 > d.q.calm/burst/2 || p99 > d.q.calm/burst {
			t.Errorf("%g times: got p50 %v and p99 %v, want half the target and the target, %v", load, p50, p99, d.q.calm/burst)
		}
	}
}
