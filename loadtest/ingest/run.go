package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/traffic"
)

// Options say what is measured. Server and Dir are needed.
type Options struct {
	Server string        // the program
	Dir    string        // data directory; it is filled up to Events and used again
	Events int64         // stored before anything is measured
	Users  int           // shoppers
	Length time.Duration // of each phase
	Reads  int           // profiles a second
	Tell   func(format string, args ...any)

	Profiles string // directory that a CPU profile of the server in each phase is written to; "": none
}

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

// Result is what was measured.
type Result struct {
	Events       int64        `json:"events"`
	Bytes        int64        `json:"bytes"`
	ReadRate     float64      `json:"training_reads_per_s"`
	FirstStart   float64      `json:"first_start_s"`   // without the file of profiles
	CaughtUp     float64      `json:"profiles_made_s"` // from that start until every event was in a profile
	Start        float64      `json:"start_s"`         // with it
	Ready        float64      `json:"profiles_read_s"` // from that start until profiles follow the log
	Phases       []Phase      `json:"phases"`
	ProfileReads *load.Result `json:"profile_reads"`  // calls of 100 profiles each
	SingleReads  *load.Result `json:"single_reads"`   // calls of one profile, each written into the audit log
	Visible      float64      `json:"visible_p99_ms"` // during the profile reads
	Memory       int64        `json:"peak_memory_bytes"`
}

// Run measures. It takes as long as the filling, about a minute for 10 million
// events, and seven phases.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	if o.Users < 1000 || o.Events < 0 || o.Length <= 0 {
		return nil, fmt.Errorf("ingest: expected at least 1000 users, 0 events and a length: got %d, %d, %v", o.Users, o.Events, o.Length)
	}
	r = &Result{}
	last := time.Now()
	o.Tell("filling %s up to %d events", o.Dir, o.Events)
	err = fill(ctx, o.Dir, o.Events, o.Users, func(done int64) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			o.Tell("  %d", done)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(filepath.Join(o.Dir, "profiles")); err != nil { // made anew, and timed
		return nil, err
	}
	if r.Bytes, err = size(o.Dir); err != nil {
		return nil, err
	}
	o.Tell("reading as training does")
	if r.Events, r.ReadRate, err = read(ctx, o.Dir); err != nil {
		return nil, err
	}
	if err := r.starts(ctx, &o); err != nil {
		return nil, err
	}
	began := time.Now()
	server, err := serve(ctx, o.Server, o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	r.Start = server.Started.Seconds()
	c, err := traffic.DialGRPC(server.address, 8)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m := &measure{o: &o, c: c, server: server, run: fmt.Sprintf("%x", time.Now().UnixNano())}
	if err := server.followed(ctx); err != nil {
		return nil, err
	}
	r.Ready = time.Since(began).Seconds()
	for _, p := range []struct {
		name    string
		want    float64
		callers int
		send    func(context.Context, *caller) (int, error)
	}{
		{"64 callers, an event a call", 12_000, 64, m.single},
		{"16 callers, 100 events a call", 100_000, 16, m.batch},
		{"16 streams", 20_000, 16, m.stream},
	} {
		o.Tell("%s", p.name)
		var phase Phase
		err := m.watched(ctx, fmt.Sprintf("%.0f", p.want), o.Length, func() (err error) {
			phase, err = m.phase(ctx, p.callers, p.send)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		phase.Name, phase.Want = p.name, p.want
		r.Phases = append(r.Phases, phase)
	}
	if err := m.reads(ctx, r); err != nil {
		return nil, err
	}
	r.Memory = server.memory()
	return r, nil
}

// starts times a start without the file of profiles, and how long it takes to
// make them.
func (r *Result) starts(ctx context.Context, o *Options) error {
	o.Tell("starting %s without profiles", o.Server)
	server, err := serve(ctx, o.Server, o.Dir)
	if err != nil {
		return err
	}
	r.FirstStart = server.Started.Seconds()
	began := time.Now()
	err = server.followed(ctx)
	r.CaughtUp = time.Since(began).Seconds() + r.FirstStart
	return errors.Join(err, server.stop())
}

// measure is a running server and who speaks to it.
type measure struct {
	o      *Options
	c      *traffic.GRPC
	server *running
	run    string
	n      atomic.Int64 // events made
}

// caller is one of those that send.
type caller struct {
	rng    *rand.Rand
	client attunev1.EventServiceClient
	left   int // events of the visit
	user   string
	visit  string

	refused int64
}

// event is the next of the caller's visits.
func (m *measure) event(c *caller) *attunev1.Event {
	n := m.n.Add(1)
	if c.left == 0 {
		c.left, c.user, c.visit = visitLong, userID(c.rng.IntN(m.o.Users)), fmt.Sprintf("%s-%d", m.run, n)
	}
	c.left--
	t := types[c.rng.IntN(len(types))]
	e := &attunev1.Event{
		Id: fmt.Sprintf("%s-%d", m.run, n), Type: attunev1.EventType(t), User: c.user, Session: c.visit, Item: itemID(popular(c.rng)), Surface: "home",
		Time: timestamppb.Now(), Context: &attunev1.Context{Device: "phone", Market: "DE", Channel: "web"},
	}
	if e.GetType() == attunev1.EventType_EVENT_TYPE_PURCHASE {
		e.Quantity, e.Order, e.Price = 1, e.GetId(), &attunev1.Money{Micros: int64(1+c.rng.IntN(200)) * 1e6, Currency: "EUR"}
	}
	if e.GetType() == attunev1.EventType_EVENT_TYPE_DWELL {
		e.Value = float64(1 + c.rng.IntN(60))
	}
	return e
}

// again sends until the server takes it, or says what no repeat mends.
func (c *caller) again(ctx context.Context, send func() error) error {
	for {
		err := send()
		switch status.Code(err) {
		case codes.ResourceExhausted, codes.Unavailable:
			c.refused++
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the phase has ended
			}
			time.Sleep(time.Duration(1+c.rng.IntN(5)) * time.Millisecond)
			continue
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // likewise
		}
		return err
	}
}

func (m *measure) single(ctx context.Context, c *caller) (int, error) {
	r := &attunev1.CollectRequest{Event: m.event(c)}
	return 1, c.again(ctx, func() error { _, err := c.client.Collect(ctx, r); return err })
}

func (m *measure) batch(ctx context.Context, c *caller) (int, error) {
	r := &attunev1.CollectBatchRequest{}
	for range 100 {
		r.Events = append(r.Events, m.event(c))
	}
	n := int64(0)
	err := c.again(ctx, func() error {
		resp, err := c.client.CollectBatch(ctx, r)
		n = resp.GetAccepted() + resp.GetDuplicates()
		return whole(resp, err)
	})
	return int(n), err
}

// whole makes an error of events that were refused: then the count is of
// something else.
func whole(r *attunev1.CollectBatchResponse, err error) error {
	if err == nil && r.GetRejected() > 0 {
		err = fmt.Errorf("%d events were refused: %v", r.GetRejected(), r.GetErrors()[0])
	}
	return err
}

// stream sends 2,000 events down one stream.
func (m *measure) stream(ctx context.Context, c *caller) (int, error) {
	n := int64(0)
	err := c.again(ctx, func() error {
		s, err := c.client.CollectStream(ctx)
		if err != nil {
			return err
		}
		for range 2000 {
			if err := s.Send(&attunev1.CollectStreamRequest{Event: m.event(c)}); err != nil {
				break // CloseAndRecv says why
			}
		}
		resp, err := s.CloseAndRecv()
		n = resp.GetAccepted() + resp.GetDuplicates()
		return whole(resp, err)
	})
	return int(n), err
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

// probe sends one event and waits until the shopper's profile has it; it
// returns how long that took from the acknowledgement, in milliseconds.
func (m *measure) probe(ctx context.Context, i int, most time.Duration) (float64, error) {
	user := userID(i * 7919 % m.o.Users)
	c := &caller{rng: rand.New(rand.NewPCG(uint64(i), 3))}
	var seq int64
	err := c.again(ctx, func() error {
		resp, err := attunev1.NewEventServiceClient(m.c.Conn()).Collect(ctx, &attunev1.CollectRequest{Event: &attunev1.Event{
			Type: attunev1.EventType_EVENT_TYPE_VIEW, User: user, Item: itemID(i % itemsSold),
		}})
		seq = resp.GetSequence()
		return err
	})
	began := time.Now()
	for err == nil && ctx.Err() == nil {
		var p *attunev1.Profile
		err = c.again(ctx, func() error {
			resp, err := attunev1.NewProfileServiceClient(m.c.Conn()).GetProfile(ctx, &attunev1.GetProfileRequest{Id: user})
			if status.Code(err) == codes.NotFound || status.Code(err) == codes.DeadlineExceeded {
				err = nil // not yet
			}
			p = resp
			return err
		})
		took := time.Since(began)
		if err == nil && p.GetSequence() >= seq {
			return float64(took) / 1e6, nil
		}
		if took > most {
			return 0, fmt.Errorf("event %d of %s is not in the profile after %v: it is at %d", seq, user, most, p.GetSequence())
		}
		time.Sleep(time.Millisecond)
	}
	return 0, err
}

// reads asks for profiles at a fixed rate, 100 a call and one a call.
func (m *measure) reads(ctx context.Context, r *Result) (err error) {
	m.o.Tell("%d profiles a second, 100 a call", m.o.Reads)
	plan := load.Plan{Rate: float64(m.o.Reads) / 100, Length: m.o.Length, WarmUp: 3 * time.Second, InFlight: 200}
	code := func(err error) string { return status.Code(err).String() }
	ends := make(chan struct{})
	var visible []float64
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ends:
				return
			case <-time.After(50 * time.Millisecond):
			}
			ms, err := m.probe(ctx, 1_000_000+i, time.Minute)
			if err != nil {
				failed = err
				return
			}
			visible = append(visible, ms)
		}
	})
	err = m.watched(ctx, "reads", m.o.Length, func() (err error) {
		r.ProfileReads, err = load.Run(ctx, plan, load.Each(func(ctx context.Context, n uint64) (string, string) {
			rng := rand.New(rand.NewPCG(n, 9))
			q := &attunev1.BatchGetProfilesRequest{Ids: make([]string, 100)}
			for i := range q.Ids {
				q.Ids[i] = userID(rng.IntN(m.o.Users))
			}
			_, err := attunev1.NewProfileServiceClient(m.c.Conn()).BatchGetProfiles(ctx, q)
			return "batch", code(err)
		}, time.Second))
		return err
	})
	close(ends)
	wg.Wait()
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	r.Visible = quantile(visible, .99)
	m.o.Tell("1000 profiles a second, one a call")
	plan.Rate = 1000
	return m.watched(ctx, "single-reads", m.o.Length, func() (err error) {
		r.SingleReads, err = load.Run(ctx, plan, load.Each(func(ctx context.Context, n uint64) (string, string) {
			id := userID(rand.New(rand.NewPCG(n, 8)).IntN(m.o.Users))
			_, err := attunev1.NewProfileServiceClient(m.c.Conn()).GetProfile(ctx, &attunev1.GetProfileRequest{Id: id})
			return "single", code(err)
		}, time.Second))
		return err
	})
}
