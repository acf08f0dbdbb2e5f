package store

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// held is how many events the store of a benchmark holds before it begins:
// ATTUNE_STORE_HELD, 0 by default.
func held(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("ATTUNE_STORE_HELD"))
	if err != nil && os.Getenv("ATTUNE_STORE_HELD") != "" {
		b.Fatal(err)
	}
	return n
}

// shopper is an event like those a shop sends: a known user among many, a
// session, an id, no text.
func shopperEvent(n int) features.Event {
	h := uint64(n) * 0x9E3779B97F4A7C15
	u := int(h>>40) % 300_000
	return features.Event{
		ID: fmt.Sprintf("%016x%016x", h, uint64(n)), Type: features.View,
		User: features.UserKey{0: 7, 10: byte(u >> 16), 11: byte(u >> 8), 12: byte(u)}, Session: features.UserKey{0: 9, 8: byte(h >> 24), 9: byte(h >> 16), 10: byte(h >> 8), 11: byte(h)},
		Item: strconv.Itoa(10_000 + int(h>>20)%20_000), Time: noon.Add(time.Duration(n) * time.Millisecond),
		Surface: features.SurfaceHome, Channel: "web", Device: "phone", Market: "DE", Locale: "de-DE", Quantity: 1,
		Price: features.Money{Micros: int64(h % 1e8), Currency: "EUR"}, Recommendation: fmt.Sprintf("%08x", h>>8), Position: int32(h % 10),
	}
}

func fill(b *testing.B, s *Store, from, n int) {
	b.Helper()
	batch := make([]features.Event, 0, MaxBatch)
	for i := range n {
		batch = append(batch, shopperEvent(from+i))
		if len(batch) == cap(batch) || i == n-1 {
			if _, err := s.Append(context.Background(), shop, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	s := open(b, Options{})
	fill(b, s, 0, held(b))
	var next atomic.Int64
	next.Store(int64(held(b)))
	for _, c := range []struct{ callers, batch int }{{1, 1}, {64, 1}, {16, 100}} {
		b.Run(fmt.Sprintf("%dx%d", c.callers, c.batch), func(b *testing.B) {
			left := atomic.Int64{}
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range c.callers {
				wg.Go(func() {
					events := make([]features.Event, c.batch)
					for left.Add(-1) >= 0 {
						at := int(next.Add(int64(c.batch))) - c.batch
						for i := range events {
							events[i] = shopperEvent(at + i)
						}
						if _, err := s.Append(context.Background(), shop, events); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N*c.batch)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkOpen is the start of a program on a store that holds events.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s := open(b, Options{Dir: dir})
	fill(b, s, 0, max(held(b), 200_000))
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		s = open(b, Options{Dir: dir})
	}
	b.ReportMetric(float64(size(b, dir))/float64(max(held(b), 200_000)), "bytes/event")
}

func size(b *testing.B, dir string) (n int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func BenchmarkScan(b *testing.B) {
	s := open(b, Options{})
	n := max(held(b), 200_000)
	fill(b, s, 0, n)
	b.ResetTimer()
	for b.Loop() {
		got := 0
		if err := s.Scan(context.Background(), shop, 0, 0, func(*features.Event) error { got++; return nil }); err != nil || got != n {
			b.Fatalf("got %d events, %v, want %d", got, err, n)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkHistory(b *testing.B) {
	s := open(b, Options{})
	n := max(held(b), 200_000)
	fill(b, s, 0, n)
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		e := shopperEvent(i * 31 % n)
		if got, err := s.History(context.Background(), shop, e.User, features.HistoryCap); err != nil || len(got) == 0 {
			b.Fatalf("got %d events, %v", len(got), err)
		}
	}
}

// BenchmarkColdHistory reads shoppers of 128 events each, spread over the log:
// what the first answer to a shopper costs.
func BenchmarkColdHistory(b *testing.B) {
	const events = 1 << 18
	s := open(b, Options{SealAt: -1})
	batch := make([]features.Event, 0, MaxBatch)
	who := func(n int) features.UserKey {
		u := n * 7919 % (events / 128)
		return features.UserKey{0: 7, 11: byte(u >> 8), 12: byte(u)}
	}
	for i := range events {
		e := shopperEvent(i)
		e.User = who(i)
		if batch = append(batch, e); len(batch) == cap(batch) || i == events-1 {
			if _, err := s.Append(context.Background(), shop, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	read := func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			got, err := s.History(context.Background(), shop, who(i), features.HistoryCap)
			if err != nil || len(got) != 128 {
				b.Fatalf("got %d events, %v, want 128", len(got), err)
			}
		}
	}
	b.Run("pages", read)
	if _, err := s.Seal(context.Background(), shop, 0); err != nil {
		b.Fatal(err)
	}
	b.Run("sealed", read)
}
