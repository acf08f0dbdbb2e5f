package shopper

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// Plan is how many sessions there are, and when they come.
type Plan struct {
	Sessions int
	Rate     float64 // sessions a second, whatever becomes of the others; 0: as soon as one of Workers is free
	Workers  int     // sessions at once when Rate is 0; with a rate, at most
}

// Run stocks the shop and sends every session through it. It returns what was
// measured when ctx ends early; a session that the server fails ends and is
// counted as such.
func Run(ctx context.Context, w *World, b Backend, p Plan) (*Report, error) {
	if p.Sessions < 1 || p.Rate < 0 || p.Workers < 1 {
		return nil, fmt.Errorf("%w: expected at least one session and one worker, and a rate of 0 or more", ErrOptions)
	}
	if err := b.Stock(ctx, w.o.Shop, w.Catalogue()); err != nil {
		return nil, fmt.Errorf("stock the shop: %w", err)
	}
	all := newTally()
	began := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(p.Workers, p.Sessions) {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= p.Sessions {
					return
				}
				if p.Rate > 0 {
					wait(ctx, time.Until(began.Add(time.Duration(float64(n)/p.Rate*float64(time.Second)))))
				}
				one := newTally()
				err := w.session(ctx, b, n, float64(n)/float64(p.Sessions), one)
				if ctx.Err() == nil {
					all.take(one, err)
				}
			}
		})
	}
	wg.Wait()
	return all.report(), nil
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Remote is a server's gRPC API.
type Remote struct {
	Conn    func() *grpc.ClientConn // may be another one each time
	Timeout time.Duration           // of a call
}

// stocked is how many items go into one call.
const stocked = 1000

// Stock implements Backend.
func (r Remote) Stock(ctx context.Context, shop string, items []*attunev1.Item) error {
	for len(items) > 0 {
		n := min(len(items), stocked)
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		resp, err := attunev1.NewCatalogServiceClient(r.Conn()).BatchUpsertItems(ctx, &attunev1.BatchUpsertItemsRequest{Shop: shop, Items: items[:n]})
		cancel()
		if err != nil {
			return err
		}
		if e := resp.GetErrors(); len(e) > 0 {
			return fmt.Errorf("item %s: %s", e[0].GetId(), e[0].GetError().GetMessage())
		}
		items = items[n:]
	}
	return nil
}

// Recommend implements Backend.
func (r Remote) Recommend(ctx context.Context, q *attunev1.RecommendRequest) (*attunev1.RecommendResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return attunev1.NewRecommendationServiceClient(r.Conn()).Recommend(ctx, q)
}

// Collect implements Backend.
func (r Remote) Collect(ctx context.Context, shop string, events []*attunev1.Event) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	client := attunev1.NewEventServiceClient(r.Conn())
	if len(events) == 1 {
		_, err := client.Collect(ctx, &attunev1.CollectRequest{Shop: shop, Event: events[0]})
		return err
	}
	resp, err := client.CollectBatch(ctx, &attunev1.CollectBatchRequest{Shop: shop, Events: events})
	if err != nil {
		return err
	}
	if e := resp.GetErrors(); len(e) > 0 {
		return fmt.Errorf("event %s: %s", e[0].GetId(), e[0].GetError().GetMessage())
	}
	return nil
}
