package load

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func plan(rate float64, length time.Duration) Plan {
	return Plan{Rate: rate, Length: length, InFlight: 1000}
}

func each(call Call) Start { return Each(call, time.Second) }

func TestEveryRequestIsSentOrCounted(t *testing.T) {
	var mu sync.Mutex
	seen := map[uint64]bool{}
	p := plan(2000, 200*time.Millisecond)
	r, err := Run(context.Background(), p, each(func(_ context.Context, n uint64) (string, string) {
		mu.Lock()
		defer mu.Unlock()
		seen[n] = true
		if n%4 == 0 {
			return "even", "UNAVAILABLE"
		}
		return "odd", "OK"
	}))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Requests + r.Unsent; got != 400 {
		t.Fatalf("got %d requests, want 400", got)
	}
	if int64(len(seen)) != r.Requests || r.Codes["OK"]+r.Codes["UNAVAILABLE"] != r.Requests {
		t.Fatalf("sent %d, counted %d with codes %v", len(seen), r.Requests, r.Codes)
	}
	if r.Ops["even"].Count+r.Ops["odd"].Count != r.Requests {
		t.Fatalf("got ops %v", r.Ops)
	}
}

func TestLatencyCountsFromTheScheduledSend(t *testing.T) {
	// One request at a time, each held until the end: the others are not sent,
	// and say so.
	release := make(chan struct{})
	p := plan(1000, 50*time.Millisecond)
	p.InFlight = 1
	time.AfterFunc(200*time.Millisecond, func() { close(release) })
	r, err := Run(context.Background(), p, each(func(context.Context, uint64) (string, string) {
		<-release
		return "held", "OK"
	}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 1 || r.Unsent != 49 {
		t.Fatalf("got %d sent and %d unsent, want 1 and 49", r.Requests, r.Unsent)
	}
	if r.All.Max < 100 {
		t.Fatalf("got a latency of %v ms for a request that was held", r.All.Max)
	}
	if r.OK() > .03 {
		t.Fatalf("got %v OK with 49 unsent", r.OK())
	}
}

func TestWarmUpIsNotCounted(t *testing.T) {
	p := plan(1000, 20*time.Millisecond)
	p.WarmUp = 30 * time.Millisecond
	r, err := Run(context.Background(), p, each(func(context.Context, uint64) (string, string) { return "x", "OK" }))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Requests + r.Unsent; got != 20 {
		t.Fatalf("got %d counted, want 20", got)
	}
}

func TestBadPlans(t *testing.T) {
	for name, p := range map[string]Plan{
		"no rate":   plan(0, time.Second),
		"no length": plan(1, 0),
		"too fast":  plan(2e6, time.Second),
	} {
		if _, err := Run(context.Background(), p, nil); !errors.Is(err, ErrPlan) {
			t.Errorf("%s: got %v, want ErrPlan", name, err)
		}
	}
}

func TestCapacityIsTheHighestRateThatHolds(t *testing.T) {
	// A server that refuses everything once 150 requests were sent in a step
	// holds 100 a second and not 200.
	var mu sync.Mutex
	count := 0
	s := Search{Start: 50, Factor: 2, Steps: 10, Refine: 1, Step: plan(0, time.Second/4), P99: time.Minute, OK: .99}
	s.Step.Rate = 0
	got, steps, err := Capacity(context.Background(), s, each(func(context.Context, uint64) (string, string) {
		mu.Lock()
		defer mu.Unlock()
		count++
		if count > 38 {
			return "x", "RESOURCE_EXHAUSTED"
		}
		return "x", "OK"
	}), func(Step) { mu.Lock(); count = 0; mu.Unlock() })
	if err != nil {
		t.Fatal(err)
	}
	if got != 150 {
		t.Fatalf("got capacity %v in %d steps, want 150", got, len(steps))
	}
}
