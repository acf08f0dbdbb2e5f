package api

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/collect"
	"github.com/attune-rec/attune/server/profile"
	"github.com/attune-rec/attune/server/shopper"
)

// visits draws events as a shop's: ten make a visit of one shopper, in a
// session of its own.
type visits struct {
	rng  *rand.Rand
	run  int64
	left int
	user string
	name string
}

func (v *visits) next(n int64) *attunev1.Event {
	if v.left == 0 {
		v.left, v.user, v.name = 10, fmt.Sprintf("shopper-%06d", v.rng.IntN(200_000)), fmt.Sprintf("visit-%d-%d", v.run, n)
	}
	v.left--
	return &attunev1.Event{
		Id: fmt.Sprintf("%d-%d", v.run, n), Type: attunev1.EventType_EVENT_TYPE_VIEW, User: v.user, Session: v.name,
		Item: fmt.Sprintf("item-%05d", v.rng.IntN(20_000)), Surface: "home", Time: timestamppb.Now(),
		Context: &attunev1.Context{Device: "phone", Market: "DE", Channel: "web"},
	}
}

// processor is the time that the process has used of the processor.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCollect takes events from the bytes of a call until they are durable
// and in the profiles, without the network: an operation is a call. Its figure
// is cpu-µs/event, which a busy machine changes least.
func BenchmarkCollect(b *testing.B) {
	ctx := context.Background()
	logger := slog.New(slog.DiscardHandler)
	s, err := store.Open(ctx, store.Options{Dir: b.TempDir(), Logger: logger})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	keeper, err := profile.New(profile.Options{Store: s, Logger: logger})
	if err != nil {
		b.Fatal(err)
	}
	defer keeper.Close()
	collector, err := collect.New(collect.Options{Log: s, Morgue: s, Listener: keeper, Logger: logger})
	if err != nil {
		b.Fatal(err)
	}
	validate, err := protovalidate.New(protovalidate.WithMessages(&attunev1.Event{}))
	if err != nil {
		b.Fatal(err)
	}
	events := &Events{Collector: collector, Names: shopper.NewNames(s), Validate: Quick(validate), Dead: s}
	var runs int64
	for _, c := range []struct{ callers, batch int }{{16, 100}, {64, 1}} {
		b.Run(fmt.Sprintf("%dx%d", c.callers, c.batch), func(b *testing.B) {
			runs++
			calls := make([][]byte, b.N)
			v := visits{rng: rand.New(rand.NewPCG(uint64(runs), 1)), run: runs}
			for i := range calls {
				r := &attunev1.CollectBatchRequest{}
				for k := range c.batch {
					r.Events = append(r.Events, v.next(int64(i*c.batch+k)))
				}
				if calls[i], err = proto.Marshal(r); err != nil {
					b.Fatal(err)
				}
			}
			var at atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			before := processor(b)
			for range c.callers {
				wg.Go(func() {
					for i := at.Add(1) - 1; i < int64(len(calls)); i = at.Add(1) - 1 {
						var r attunev1.CollectBatchRequest
						if err := proto.Unmarshal(calls[i], &r); err != nil {
							b.Error(err)
							return
						}
						resp, err := events.CollectBatch(ctx, &r)
						if err != nil || resp.GetAccepted() != int64(c.batch) {
							b.Errorf("got %v, %v, want %d accepted", resp, err, c.batch)
							return
						}
					}
				})
			}
			wg.Wait()
			followed(b, s, keeper)
			b.ReportMetric(float64(processor(b)-before)/1e3/float64(b.N*c.batch), "cpu-µs/event")
		})
	}
}

// followed waits until the newest event is in a profile.
func followed(b *testing.B, s *store.Store, keeper *profile.Keeper) {
	ctx := context.Background()
	names, err := s.Pseudonyms(ctx, features.DefaultShop)
	if err != nil {
		b.Fatal(err)
	}
	out, err := s.Append(ctx, features.DefaultShop, []features.Event{{Type: features.View, User: names.User("last"), Item: "item"}})
	if err != nil {
		b.Fatal(err)
	}
	keeper.Stored(features.DefaultShop, nil)
	for {
		if f, err := keeper.Get(ctx, features.DefaultShop, names.User("last")); err == nil && f.Seq >= out[0].Seq {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
