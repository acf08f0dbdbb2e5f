package canary

import (
	"math"
	"time"
)

// Tally counts outcomes. Times are kept to a tenth, from 10 µs to a minute.
type Tally struct {
	n, failed, empty int64
	timed            int64 // not cold
	times            [buckets]int64
}

const (
	buckets  = 166
	shortest = 10 * time.Microsecond
	step     = 1.1
)

// bucket is the place of a time: bucket i ends at shortest·step^i.
func bucket(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	return min(int(math.Ceil(math.Log(float64(d)/float64(shortest))/math.Log(step))), buckets-1)
}

func bound(i int) time.Duration { return time.Duration(float64(shortest) * math.Pow(step, float64(i))) }

// Add counts an outcome. The time of one that failed counts too.
func (t *Tally) Add(o Outcome) {
	t.n++
	if o.Failed {
		t.failed++
	}
	if o.Empty {
		t.empty++
	}
	if !o.Cold {
		t.timed++
		t.times[bucket(o.Took)]++
	}
}

func (t *Tally) sum(o *Tally) {
	t.n, t.failed, t.empty, t.timed = t.n+o.n, t.failed+o.failed, t.empty+o.empty, t.timed+o.timed
	for i := range t.times {
		t.times[i] += o.times[i]
	}
}

// percentile is the time within which a share of the answers came.
func (t *Tally) percentile(share float64) time.Duration {
	seen := int64(0)
	for i, n := range t.times {
		if seen += n; float64(seen) >= share*float64(t.timed) {
			return bound(i)
		}
	}
	return bound(buckets - 1)
}

// over is how many answers took longer.
func (t *Tally) over(d time.Duration) (n int64) {
	for i := bucket(d) + 1; i < buckets; i++ {
		n += t.times[i]
	}
	return n
}

const slots = 10

// window is the outcomes of the last while, in slots that are forgotten one by
// one.
type window struct {
	length time.Duration
	slot   [slots]Tally
	at     [slots]int64 // which slot of time each holds
}

func (w *window) number(now time.Time) int64 { return now.UnixNano() / int64(w.length/slots) }

func (w *window) add(o Outcome, now time.Time) {
	n := w.number(now)
	i := n % slots
	if w.at[i] != n {
		w.slot[i], w.at[i] = Tally{}, n
	}
	w.slot[i].Add(o)
}

// sum is what was counted in the window that ends now.
func (w *window) sum(now time.Time) *Tally {
	n := w.number(now)
	total := new(Tally)
	for i := range w.slot {
		if w.at[i] > n-slots && w.at[i] <= n {
			total.sum(&w.slot[i])
		}
	}
	return total
}
