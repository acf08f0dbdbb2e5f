package steady

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/loadtest/load"
)

// Overload is how much is too much. The server should have a processor core of
// its own and this program another.
type Overload struct {
	Capacity float64       // requests a second that the server holds
	Times    float64       // of the capacity that are offered for Length
	Most     float64       // of it that are offered after that, for a third as long
	Length   time.Duration // of the overload
	Calm     time.Duration // of the parts at 70 %
	WarmUp   time.Duration
	InFlight int
	Pid      int // of the server, to see its memory; 0: unknown
}

// settle is how soon after an overload everything must be as before.
const settle = 5 * time.Second

// exhausted is the code of a request that was turned away.
const exhausted = "ResourceExhausted"

// RunOverload offers 70 % of the capacity, several times the capacity, 70 %
// again, more still, and 70 % once more. said is told as the parts end.
func RunOverload(ctx context.Context, o Overload, start load.Start, said func(string)) (*Verdict, error) {
	part := func(name string, times float64, warmUp, length time.Duration) (*load.Result, *load.Figure, error) {
		answered, r, err := answers(ctx, load.Plan{Rate: times * o.Capacity, WarmUp: warmUp, Length: length, InFlight: o.InFlight}, start)
		if err == nil && said != nil {
			said(fmt.Sprintf("%-22s %6.0f/s offered, %6.0f/s OK, p50 %6.2f p99 %7.2f ms of those, codes %v, unsent %d", name, r.Offered, r.Achieved, answered.P50, answered.P99, r.Codes, r.Unsent))
		}
		return r, answered, err
	}
	memory := func() int64 {
		if o.Pid == 0 {
			return 0
		}
		n, _ := Resident(o.Pid) // 0: it crashed, which the codes say
		return n
	}
	v := &Verdict{}
	_, before, err := part("70 %", .7, o.WarmUp, o.Calm)
	if err != nil {
		return nil, err
	}
	begun := memory()
	over, admitted, err := part(fmt.Sprintf("%g times", o.Times), o.Times, 0, o.Length)
	if err != nil {
		return nil, err
	}
	v.ask(onlyRefused(over), fmt.Sprintf("codes at %g times the capacity", o.Times), "OK or "+exhausted, "%v, unsent %d", over.Codes, over.Unsent)
	v.ask(over.Achieved >= .8*o.Capacity, "answered", fmt.Sprintf("80 %% of %.0f/s", o.Capacity), "%.0f/s: %.0f %%", over.Achieved, 100*over.Achieved/o.Capacity)
	v.ask(admitted.P99 <= 3*before.P99, "p99 of what was admitted", fmt.Sprintf("at most 3 times %.2f ms at 70 %%", before.P99), "%.2f ms: %.1f times", admitted.P99, admitted.P99/before.P99)
	after := func(what string) error {
		r, calm, err := part("70 % after "+what, .7, settle, o.Calm)
		if err != nil {
			return err
		}
		v.ask(r.OK() >= .999 && calm.P99 <= 2*before.P99, fmt.Sprintf("%v after %s", settle, what), "99.9 % OK, p99 at most twice that before",
			"%.2f %% OK, p99 %.2f ms: %.1f times", 100*r.OK(), calm.P99, calm.P99/before.P99)
		return nil
	}
	if err := after("it"); err != nil {
		return nil, err
	}
	middle := memory()
	most, _, err := part(fmt.Sprintf("%g times", o.Most), o.Most, 0, o.Length/3)
	if err != nil {
		return nil, err
	}
	v.ask(onlyRefused(most) && most.Achieved > 0, fmt.Sprintf("codes at %g times the capacity", o.Most), "OK or "+exhausted+", no crash", "%v, unsent %d", most.Codes, most.Unsent)
	v.note("%g times: %.0f/s offered, %.0f/s answered, %.0f %% of the capacity", o.Most, most.Offered, most.Achieved, 100*most.Achieved/o.Capacity)
	if err := after("that"); err != nil {
		return nil, err
	}
	if end := memory(); o.Pid != 0 {
		// What an overload needs it keeps for the next one; a second, larger one
		// must not add as much again.
		v.ask(end > 0 && float64(end) <= 1.2*float64(middle), "memory after both", fmt.Sprintf("at most 1.2 times %d MB after the first", middle>>20), "%d MB; %d MB before", end>>20, begun>>20)
	}
	return v, ctx.Err()
}

// onlyRefused reports whether requests were answered or turned away, and nothing
// else became of any.
func onlyRefused(r *load.Result) bool {
	for code := range r.Codes {
		if code != "OK" && code != exhausted {
			return false
		}
	}
	return true
}

// answers is load.Run with the latencies of what was answered OK apart.
func answers(ctx context.Context, p load.Plan, start load.Start) (*load.Figure, *load.Result, error) {
	ok := newTimes()
	p.Saw = func(_ time.Time, _, code string, took time.Duration) {
		if code == "OK" {
			ok.add(took)
		}
	}
	r, err := load.Run(ctx, p, start)
	if err != nil {
		return nil, nil, err
	}
	return &load.Figure{Count: ok.count(), P50: ok.at(50), P90: ok.at(90), P99: ok.at(99), P999: ok.at(99.9), Max: ok.at(100)}, r, nil
}
