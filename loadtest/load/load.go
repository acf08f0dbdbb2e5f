// Package load offers requests at a fixed rate, whatever the server makes of
// them (an open loop), and counts latency from the moment a request should
// have been sent: a server that stalls cannot hide it.
//
// It imports the standard library and a histogram. Start reading at Run.
package load

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Start begins request n and does not wait for it; done is told once, by
// whichever goroutine, what was sent and "OK" or why not. One goroutine calls
// it, for one n after the other.
type Start func(ctx context.Context, n uint64, done func(op, code string))

// Call sends one request; op names what was sent, code is "OK" or why not.
type Call func(ctx context.Context, n uint64) (op, code string)

// Each is a Start that gives each call a goroutine and at most timeout.
func Each(call Call, timeout time.Duration) Start {
	return func(ctx context.Context, n uint64, done func(op, code string)) {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			op, code := call(ctx, n)
			cancel()
			done(op, code)
		}()
	}
}

// Plan is what to offer.
type Plan struct {
	Rate     float64       // requests a second
	Length   time.Duration // of the counted part
	WarmUp   time.Duration // before it, not counted
	InFlight int           // requests under way at most; one more is not sent and counted as Unsent
	Saw      Saw           // told of each request that counts; nil: nobody
	Flush    func()        // sends what Start has begun, which may wait for it; nil: Start sends at once
}

// Saw is told what became of a request: when it was due, what was sent, and how
// long after that it ended. Several goroutines call it.
type Saw func(due time.Time, op, code string, took time.Duration)

// ErrPlan is returned for a plan that cannot be carried out.
var ErrPlan = errors.New("bad plan")

// Validate reports ErrPlan.
func (p Plan) Validate() error {
	switch {
	case !(p.Rate > 0 && p.Rate <= 1e6):
		return errors.Join(ErrPlan, errors.New("rate: expected above 0 and at most 1000000 requests a second"))
	case p.Length <= 0 || p.Length > 24*time.Hour:
		return errors.Join(ErrPlan, errors.New("length: expected above 0 and at most a day"))
	case p.WarmUp < 0 || p.InFlight < 1:
		return errors.Join(ErrPlan, errors.New("warm-up: expected 0 or more; in-flight: expected above 0"))
	}
	return nil
}

// late is how long after its time a request may leave and still be on time.
const late = 5 * time.Millisecond

// Result is what became of a plan.
type Result struct {
	Offered  float64            `json:"offered_per_s"`
	Achieved float64            `json:"achieved_per_s"` // answered OK
	Requests int64              `json:"requests"`
	Unsent   int64              `json:"unsent"` // too many were under way
	Late     int64              `json:"late"`   // left more than 5 ms after their time
	Codes    map[string]int64   `json:"codes"`
	Ops      map[string]*Figure `json:"ops"`
	All      *Figure            `json:"all"`
}

// OK is the share of requests that were answered OK, unsent ones counted as
// not.
func (r *Result) OK() float64 {
	if r.Requests+r.Unsent == 0 {
		return 0
	}
	return float64(r.Codes["OK"]) / float64(r.Requests+r.Unsent)
}

// Figure is a distribution of latencies, in milliseconds.
type Figure struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	Max   float64 `json:"max_ms"`
}

// Run carries the plan out. It returns what was measured when ctx ends early.
func Run(ctx context.Context, p Plan, start Start) (*Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	rec := &recorder{ops: map[string]*hdrhistogram.Histogram{}, codes: map[string]int64{}}
	var wg sync.WaitGroup
	var underWay atomic.Int64
	unsent, lateSends := int64(0), int64(0)
	began := time.Now()
	counted := began.Add(p.WarmUp)
	end := counted.Add(p.Length)
	gap := float64(time.Second) / p.Rate
	sent := uint64(0)
	flush := p.Flush
	if flush == nil {
		flush = func() {}
	}
	for due := began; due.Before(end) && ctx.Err() == nil; due = began.Add(time.Duration(float64(sent) * gap)) {
		if wait := time.Until(due); wait > 0 {
			flush()
			sleep(ctx, max(wait, grain))
		} else if sent%together == 0 {
			flush()
		}
		n, counts := sent, !due.Before(counted)
		sent++
		if underWay.Load() >= int64(p.InFlight) {
			if counts {
				unsent++
			}
			continue
		}
		if counts && time.Since(due) > late {
			lateSends++
		}
		underWay.Add(1)
		wg.Add(1)
		start(ctx, n, func(op, code string) {
			if took := time.Since(due); counts {
				rec.add(op, code, took)
				if p.Saw != nil {
					p.Saw(due, op, code, took)
				}
			}
			underWay.Add(-1)
			wg.Done()
		})
	}
	flush()
	measured := time.Since(counted)
	wg.Wait()
	return rec.result(min(measured, p.Length), unsent, lateSends), nil
}

// grain is how long is slept at least: what falls due meanwhile is sent together,
// never early, and its latency counts from when it was due. Waking for each
// request would take more of the processors than sending it.
const grain = 200 * time.Microsecond

// together is how many requests wait to be sent at most.
const together = 32

// coarse is how much later than asked for a timer may go off.
const coarse = time.Millisecond

// sleep waits, or returns early when ctx ends. Timers of a program that has
// nothing else to do go off up to a millisecond late, which would count as the
// server's: the last of the time is slept by the system.
func sleep(ctx context.Context, d time.Duration) {
	until := time.Now().Add(d)
	if d > 2*coarse {
		t := time.NewTimer(d - 2*coarse)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
	for rest := time.Until(until); rest > 0; rest = time.Until(until) { // a signal may end a nap
		nap(rest)
	}
}

type recorder struct {
	mu    sync.Mutex
	ops   map[string]*hdrhistogram.Histogram
	codes map[string]int64
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

func (r *recorder) add(op, code string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.ops[op]
	if h == nil {
		h = newHistogram()
		r.ops[op] = h
	}
	r.codes[code]++
	_ = h.RecordValue(max(took.Microseconds(), 1)) // beyond ten minutes a request has timed out
}

func (r *recorder) result(length time.Duration, unsent, lateSends int64) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := &Result{Unsent: unsent, Late: lateSends, Codes: r.codes, Ops: map[string]*Figure{}}
	all := newHistogram()
	for op, h := range r.ops {
		all.Merge(h)
		out.Ops[op] = figure(h)
	}
	out.All, out.Requests = figure(all), all.TotalCount()
	if s := length.Seconds(); s > 0 {
		out.Offered = float64(out.Requests+unsent) / s
		out.Achieved = float64(r.codes["OK"]) / s
	}
	return out
}

func figure(h *hdrhistogram.Histogram) *Figure {
	at := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	return &Figure{
		Count: h.TotalCount(), Mean: h.Mean() / 1e3, P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1e3,
	}
}
