package ingest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

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
