package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/server/recommend"
)

// BenchmarkFull is the full recipe of the home page in the domain, over the
// shop that 'loadtest shop' made in the folder that ATTUNE_B names. cpu-us/op
// is the processor time of the process, which a busy machine falsifies less than
// the clock. Histories are in memory.
func BenchmarkFull(b *testing.B) {
	dir := os.Getenv("ATTUNE_B")
	if dir == "" {
		b.Skip("ATTUNE_B names no folder that 'loadtest shop --data' made")
	}
	ctx := context.Background()
	s := serve(b, dir)
	names, err := s.store.Pseudonyms(ctx, features.DefaultShop)
	if err != nil {
		b.Fatal(err)
	}
	const users = 1000
	var keys [users]features.UserKey
	var ans recommend.Answer
	ask := func(i int) {
		q := recommend.Query{Shop: features.DefaultShop, User: keys[i%users], Surface: pipeline.SurfaceFull, Market: "DE", Limit: 10}
		if err := s.recommendation.Recommender.Recommend(ctx, &q, &ans); err != nil {
			b.Fatal(err)
		}
	}
	for i := range keys {
		keys[i] = names.User(fmt.Sprint("u", i))
		ask(i)
	}
	b.Run("domain", func(b *testing.B) {
		b.ReportAllocs()
		began := processorTime(b)
		for i := 0; b.Loop(); i++ {
			ask(i * 7)
		}
		b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
	})
}

// serve runs a server over a shop's folder until the test ends.
func serve(t testing.TB, dir string) *Server {
	t.Helper()
	ctx := context.Background()
	s, err := Build(ctx, Config{
		Data: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Follow: time.Minute, Shoppers: 10_000, StoreWait: time.Minute, Queue: 1 << 16,
		EventAge: 1e18, ClockAhead: time.Minute, MaxMessage: 1 << 20, Grace: time.Minute,
	}, slog.New(slog.DiscardHandler), "bench")
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(run, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
