package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// Phase is one way of sending events.
type Phase struct {
	Name    string  `json:"name"`
	Want    float64 `json:"want_per_s"`
	Rate    float64 `json:"events_per_s"` // acknowledged as durable
	P50     float64 `json:"p50_ms"`       // of a call
	P99     float64 `json:"p99_ms"`
	Refused int64   `json:"refused"`        // calls that the server turned away, which were sent again
	Visible float64 `json:"visible_p99_ms"` // from the acknowledgement until the profile had the event
	Probes  int     `json:"probes"`

	ServerCPU float64 `json:"server_cpu_us"` // microseconds of processor time an event
	ClientCPU float64 `json:"client_cpu_us"`
}

// phase lets callers send for the length, one call after the other, while a
// probe asks how soon an event is in its profile.
func (m *measure) phase(ctx context.Context, callers int, send func(context.Context, *caller) (int, error)) (p Phase, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const warm = 2 * time.Second
	began := time.Now()
	server, client := m.server.cpu(), cpu("self")
	var all atomic.Int64 // acknowledged from the first to the last call
	from, to := began.Add(warm), began.Add(warm+m.o.Length)
	var acknowledged, refused atomic.Int64
	var mu sync.Mutex
	var took []float64
	var failed error
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			c := &caller{rng: rand.New(rand.NewPCG(uint64(i), uint64(began.UnixNano()))), client: attunev1.NewEventServiceClient(m.c.Conn())}
			var mine []float64
			for time.Now().Before(to) && ctx.Err() == nil {
				sent := time.Now()
				n, err := send(ctx, c)
				now := time.Now()
				if err != nil {
					mu.Lock()
					failed = err // one says it
					mu.Unlock()
					cancel()
					break
				}
				all.Add(int64(n))
				if sent.Before(from) || now.After(to) { // in part outside: its share
					in := min(now.Sub(sent), min(now.Sub(from), to.Sub(sent)))
					n = int(float64(n) * max(0, float64(in)) / max(1, float64(now.Sub(sent))))
				} else {
					mine = append(mine, float64(now.Sub(sent))/1e6)
				}
				acknowledged.Add(int64(n))
			}
			refused.Add(c.refused)
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	var visible []float64
	wg.Go(func() {
		for i := 0; time.Now().Before(to) && ctx.Err() == nil; i++ {
			time.Sleep(50 * time.Millisecond)
			ms, err := m.probe(ctx, i, time.Minute)
			if err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
				return
			}
			if time.Now().After(from) {
				visible = append(visible, ms)
			}
		}
	})
	wg.Wait()
	p = Phase{
		Rate: float64(acknowledged.Load()) / m.o.Length.Seconds(), P50: quantile(took, .5), P99: quantile(took, .99),
		Refused: refused.Load(), Visible: quantile(visible, .99), Probes: len(visible),
		ServerCPU: micros(m.server.cpu()-server, all.Load()), ClientCPU: micros(cpu("self")-client, all.Load()),
	}
	return p, failed
}

func micros(d time.Duration, n int64) float64 {
	return float64(d.Microseconds()) / float64(max(1, n))
}

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}
