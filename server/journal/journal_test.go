package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// paper is a store that remembers, may be held, and may fail.
type paper struct {
	store.Journal
	mu      sync.Mutex
	got     map[features.ShopID][]string
	refuse  int           // so many writes fail
	entered chan struct{} // told of each write, where given
	hold    chan struct{} // writes wait for it, where given
}

func (p *paper) PutServed(_ context.Context, shop features.ShopID, records []store.Served) error {
	if p.entered != nil {
		p.entered <- struct{}{}
	}
	if p.hold != nil {
		<-p.hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse > 0 {
		p.refuse--
		return errors.New("disk on fire")
	}
	for _, r := range records {
		p.got[shop] = append(p.got[shop], r.Recommendation)
	}
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestCloseWritesEverythingInOrder(t *testing.T) {
	p := &paper{got: map[features.ShopID][]string{}}
	j := New(p, Options{Batch: 7, Linger: time.Hour, Logger: quiet()})
	for i := range 100 {
		shop := features.ShopID([]string{"a", "b"}[i%2])
		j.Put(shop, store.Served{Recommendation: fmt.Sprint(i)})
	}
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for k, shop := range []features.ShopID{"a", "b"} {
		if len(p.got[shop]) != 50 {
			t.Fatalf("shop %s: got %d records, want 50", shop, len(p.got[shop]))
		}
		for i, id := range p.got[shop] {
			if want := fmt.Sprint(2*i + k); id != want {
				t.Fatalf("shop %s, record %d: got %s, want %s", shop, i, id, want)
			}
		}
	}
	if got := value(j.records.WithLabelValues(written)); got != 100 {
		t.Fatalf("got %v counted as written, want 100", got)
	}
}

func TestFullQueueDropsAndCounts(t *testing.T) {
	p := &paper{got: map[features.ShopID][]string{}, entered: make(chan struct{}, 100), hold: make(chan struct{})}
	j := New(p, Options{Queue: 3, Batch: 1, Logger: quiet()})
	j.Put("a", store.Served{Recommendation: "first"})
	<-p.entered // the writer is busy with the first
	for i := range 10 {
		j.Put("a", store.Served{Recommendation: fmt.Sprint(i)})
	}
	close(p.hold)
	if err := j.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := value(j.records.WithLabelValues(dropped)); got != 7 {
		t.Fatalf("got %v dropped, want 7", got)
	}
	if got := len(p.got["a"]); got != 4 {
		t.Fatalf("got %d written, want 4", got)
	}
}

func TestWriteIsTriedAgainThenCounted(t *testing.T) {
	for _, c := range []struct {
		refuse          int
		written, failed float64
	}{{1, 1, 0}, {2, 0, 1}} {
		p := &paper{got: map[features.ShopID][]string{}, refuse: c.refuse}
		j := New(p, Options{Attempts: 2, Logger: quiet()})
		j.Put("a", store.Served{})
		if err := j.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if w, f := value(j.records.WithLabelValues(written)), value(j.records.WithLabelValues(failed)); w != c.written || f != c.failed {
			t.Errorf("%d refusals: got %v written and %v failed, want %v and %v", c.refuse, w, f, c.written, c.failed)
		}
	}
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	p := &paper{got: map[features.ShopID][]string{}, hold: make(chan struct{})}
	j := New(p, Options{Logger: quiet()})
	j.Put("a", store.Served{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	close(p.hold)
	<-j.done
}
