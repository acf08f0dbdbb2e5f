package ingest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/loadtest/load"
)

// ask is how long a probe waits before it asks again: each time is a read that
// the server writes into its audit log.
const ask = 5 * time.Millisecond

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
		time.Sleep(ask)
	}
	return 0, err
}

// reads asks for profiles at a fixed rate, 100 a call and one a call.
func (m *measure) reads(ctx context.Context, r *Result) (err error) {
	m.server.rest(ctx)
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
	codec := grpc.ForceCodecV2(newLean())
	err = m.watched(ctx, "reads", m.o.Length, func() (err error) {
		r.ProfileReads, err = load.Run(ctx, plan, load.Each(func(ctx context.Context, n uint64) (string, string) {
			rng := rand.New(rand.NewPCG(n, 9))
			q := &attunev1.BatchGetProfilesRequest{Ids: make([]string, 100)}
			for i := range q.Ids {
				q.Ids[i] = userID(rng.IntN(m.o.Users))
			}
			var told tally
			err := m.c.Conn().Invoke(ctx, attunev1.ProfileService_BatchGetProfiles_FullMethodName, q, &told, codec)
			if err == nil && told.profiles < len(q.GetIds())*4/5 {
				return "batch", "too few profiles"
			}
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
