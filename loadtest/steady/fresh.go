package steady

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/loadtest/load"
)

// Fresh is how soon an event must be in the next answer.
type Fresh struct {
	Shop    string
	Surface string // of the probes
	Market  string
	Limit   int32
	Users   []string // known shoppers: one probe each
	Items   []string // what they look at
	Run     string   // tells unknown shoppers and events from those of other runs
	Probes  float64  // a second, known and unknown in turn
	Load    load.Plan
	Judge   *Judges // works the changed answers out of the whole log, once the load has ended
}

// within is when the next answer must have changed, at p99.
const within = 50 * time.Millisecond

// RunFresh loads the server, and beside the load lets shoppers look at something
// that their answer does not have, and asks again as soon as the event is
// acknowledged. It measures from the sending of the event to the answer that has
// it.
func RunFresh(ctx context.Context, f Fresh, conn func() *grpc.ClientConn, start load.Start) (*Verdict, error) {
	if want := int(f.Probes*f.Load.Length.Seconds()/2) + 1; want > len(f.Users) {
		return nil, fmt.Errorf("%d known shoppers: expected %d, one for each probe", len(f.Users), want)
	}
	had := map[string]map[string]bool{}
	for _, user := range f.Users {
		var err error
		if had[user], err = f.Judge.Had(user); err != nil {
			return nil, err
		}
	}
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	result := make(chan *load.Result, 1)
	go func() {
		r, err := load.Run(loading, f.Load, start)
		if err == nil {
			result <- r
		}
		close(result)
	}()
	kinds := []*probed{{name: "known", took: newTimes(), ack: newTimes()}, {name: "unknown", took: newTimes(), ack: newTimes()}}
	var wg sync.WaitGroup
	began := time.Now().Add(f.Load.WarmUp)
	end := began.Add(f.Load.Length)
	for n := 0; ; n++ {
		due := began.Add(time.Duration(float64(n) * float64(time.Second) / f.Probes))
		if !due.Before(end) {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Until(due)):
		}
		kind, user := kinds[n%2], fmt.Sprintf("%s-nobody-%d", f.Run, n)
		if n%2 == 0 {
			user = f.Users[n/2%len(f.Users)]
		}
		wg.Go(func() { f.probe(ctx, kind, user, n, had[user], conn()) })
	}
	wg.Wait()
	r := <-result
	if r == nil {
		return nil, fmt.Errorf("the load ended early: %w", load.ErrPlan)
	}
	v := &Verdict{}
	v.note("beside %.0f requests/s: p50 %.2f, p99 %.2f ms, codes %v", r.Offered, r.All.P50, r.All.P99, r.Codes)
	for _, k := range kinds {
		v.ask(k.took.count() > 0 && k.took.at(99) <= float64(within.Milliseconds()), "event to changed answer, "+k.name+" shoppers", fmt.Sprintf("%v at p99", within),
			"p50 %.2f, p99 %.2f, most %.2f ms (%d probes); acknowledged after p50 %.2f, p99 %.2f ms", k.took.at(50), k.took.at(99), k.took.at(100), k.took.count(), k.ack.at(50), k.ack.at(99))
		v.ask(k.same.Load() == 0 && k.failed.Load() == 0, "first answer after the event, "+k.name+" shoppers", "changed, always", "%d unchanged, %d calls failed%s", k.same.Load(), k.failed.Load(), k.why())
		wrong, first := 0, ""
		for _, a := range k.answers {
			if err := f.Judge.Wrong(a.user, true, a.resp); err != nil {
				if wrong++; wrong == 1 {
					first = ": " + err.Error()
				}
			}
		}
		v.ask(wrong == 0 && len(k.answers) > 0, "scores after the event, "+k.name+" shoppers", "the release's own fold-in of the full log, to 1e-5", "%d of %d answers wrong%s", wrong, len(k.answers), first)
	}
	return v, nil
}

// probed is what became of one kind of shoppers.
type probed struct {
	name         string
	took, ack    *times
	same, failed atomic.Int64
	mu           sync.Mutex
	first        error
	answers      []answered // to who had the event
}

type answered struct {
	user string
	resp *attunev1.RecommendResponse
}

func (p *probed) fail(err error) {
	p.failed.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = err
	}
}

func (p *probed) why() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		return ""
	}
	return ": " + p.first.Error()
}

func (f *Fresh) probe(ctx context.Context, k *probed, user string, n int, had map[string]bool, conn *grpc.ClientConn) {
	ask := func() (*attunev1.RecommendResponse, error) {
		for {
			resp, err := attunev1.NewRecommendationServiceClient(conn).Recommend(ctx, &attunev1.RecommendRequest{
				Shop: f.Shop, User: user, Surface: f.Surface, Limit: f.Limit, Context: &attunev1.Context{Market: f.Market},
			})
			if status.Code(err) == codes.ResourceExhausted { // as it says: later
				time.Sleep(20 * time.Millisecond)
				continue
			}
			return resp, err
		}
	}
	before, err := ask()
	if err != nil {
		k.fail(err)
		return
	}
	item := f.Items[n*7919%len(f.Items)] // neither in the answer nor in what is known of the shopper
	for i := 1; had[item] || slices.ContainsFunc(before.GetItems(), func(it *attunev1.RecommendedItem) bool { return it.GetItem() == item }); i++ {
		item = f.Items[(n*7919+i)%len(f.Items)]
	}
	began := time.Now()
	_, err = attunev1.NewEventServiceClient(conn).Collect(ctx, &attunev1.CollectRequest{Shop: f.Shop, Event: &attunev1.Event{
		Id: fmt.Sprintf("%s-%d", f.Run, n), Type: attunev1.EventType_EVENT_TYPE_VIEW, User: user, Item: item, Context: &attunev1.Context{Market: f.Market}, Surface: f.Surface,
	}})
	if err != nil {
		k.fail(err)
		return
	}
	k.ack.add(time.Since(began))
	after, err := ask()
	if err != nil {
		k.fail(err)
		return
	}
	k.took.add(time.Since(began))
	if equal(before, after) {
		k.same.Add(1)
	}
	k.mu.Lock()
	k.answers = append(k.answers, answered{user, after})
	k.mu.Unlock()
}

// equal reports the same items with the same scores.
func equal(a, b *attunev1.RecommendResponse) bool {
	return slices.EqualFunc(a.GetItems(), b.GetItems(), func(x, y *attunev1.RecommendedItem) bool {
		return x.GetItem() == y.GetItem() && x.GetScore() == y.GetScore()
	})
}
