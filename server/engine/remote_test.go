package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/vector"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/server/breaker"
)

// far is a cluster's index that does what a test says.
type far struct {
	models.Index
	mu    sync.Mutex
	do    func(ctx context.Context) error // before each search; nil: all is well
	asked int
}

func (f *far) set(do func(ctx context.Context) error) {
	f.mu.Lock()
	f.do = do
	f.mu.Unlock()
}

func (f *far) before(ctx context.Context) error {
	f.mu.Lock()
	f.asked++
	do := f.do
	f.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(ctx)
}

func (f *far) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	dst, err := f.Index.Search(ctx, vec, k, w, dst)
	if err := f.before(ctx); err != nil {
		return nil, err
	}
	return dst, err
}

func (f *far) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	err := f.Index.SearchMany(ctx, vecs, k, w, dst)
	if err := f.before(ctx); err != nil {
		return err
	}
	return err
}

func exact(t *testing.T) models.Index {
	t.Helper()
	x, err := vector.NewExact([]float32{1, 2, 3, 4, 5}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// newRemote is a remote index with a clock that the test moves.
func newRemote(t *testing.T, local models.Index) (*remote, *far, func(time.Duration)) {
	t.Helper()
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	set := breaker.NewSet(breaker.Options{Clock: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	f := &far{Index: exact(t)}
	x := &remote{local: local, rows: 5, stop: func() {}}
	x.breaker, x.drop = set.New(breaker.Key{Dependency: Milvus})
	cluster := models.Index(f)
	x.cluster.Store(&cluster)
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x, f, func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }
}

var errReset = errors.New("connection reset by peer")

func TestLocalIndexAnswersForTheCluster(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for what, c := range map[string]struct {
		do   func(ctx context.Context) error
		why  string
		time time.Duration
	}{
		"reset":                {func(context.Context) error { return errReset }, "error", time.Hour},
		"hung":                 {hang, "timeout", 50 * time.Millisecond},
		"hung, said otherwise": {func(ctx context.Context) error { <-ctx.Done(); return errReset }, "timeout", 50 * time.Millisecond},
	} {
		x, f, _ := newRemote(t, exact(t))
		f.set(c.do)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		if c.why == "timeout" {
			// Far less than the caller's time is what the cluster gets; the rest of
			// an hour cannot run out on a busy machine.
			ctx = near{ctx, c.time}
		}
		before := []models.Hit{{Row: 9}}
		hits, err := x.Search(ctx, []float32{1}, 2, models.Where{}, before)
		var d *models.Degraded
		if !errors.As(err, &d) || d.Component != "milvus" || d.Why != c.why || len(hits) != 3 || hits[0].Row != 9 || hits[1].Row != 4 {
			t.Errorf("%s: got %v, %v, want the local hits, degraded by milvus for %s", what, hits, err, c.why)
		}
		many := [][]models.Hit{nil, {{Row: 9}}}
		err = x.SearchMany(ctx, []float32{1, 1}, 2, models.Where{}, many)
		if !errors.As(err, &d) || len(many[0]) != 2 || len(many[1]) != 3 || many[1][1].Row != 4 {
			t.Errorf("%s: got %v, %v, want the local hits", what, many, err)
		}
		cancel()
	}
}

// near is a context that always has so much time left, whatever the clock says,
// and ends when the one in it does: the cluster's share of the time is short, and
// the local search is not cut off by a busy machine.
type near struct {
	context.Context
	left time.Duration
}

func (n near) Deadline() (time.Time, bool) { return time.Now().Add(n.left), true }

// The breaker opens within two seconds of failures and closes within ten of the
// recovery, and while it is open the cluster is left alone.
func TestBreakerRoundTheCluster(t *testing.T) {
	x, f, pass := newRemote(t, exact(t))
	search := func() string {
		hits, err := x.Search(context.Background(), []float32{1}, 2, models.Where{}, nil)
		if len(hits) != 2 {
			t.Fatalf("got %v, %v, want 2 hits", hits, err)
		}
		var d *models.Degraded
		if errors.As(err, &d) {
			return d.Why
		}
		return ""
	}
	if got := search(); got != "" {
		t.Fatalf("got %q while all is well", got)
	}
	f.set(func(context.Context) error { return errReset })
	opened := time.Duration(-1)
	for at := time.Duration(0); at <= 2*time.Second; at += 250 * time.Millisecond {
		if search() == "open" && opened < 0 {
			opened = at
		}
		pass(250 * time.Millisecond)
	}
	if opened < 0 {
		t.Fatal("the breaker is not open two seconds after failures began")
	}
	for range 600 { // down for a minute
		search()
		pass(100 * time.Millisecond)
	}
	if f.asked > 40 {
		t.Errorf("got %d searches in a minute of an open breaker, want a few", f.asked)
	}
	f.set(nil)
	for at := time.Duration(0); ; at += 100 * time.Millisecond {
		if search() == "" {
			break
		}
		if at > 10*time.Second {
			t.Fatal("the breaker is not closed ten seconds after the recovery")
		}
		pass(100 * time.Millisecond)
	}
}

// Without a local index the answer is what the tail has; a bad query is the
// caller's and opens nothing; a caller who left gets their own end.
func TestRemoteErrors(t *testing.T) {
	x, f, _ := newRemote(t, nil)
	f.set(func(context.Context) error { return errReset })
	hits, err := x.Search(context.Background(), []float32{1}, 2, models.Where{}, nil)
	var d *models.Degraded
	if !errors.As(err, &d) || len(hits) != 0 {
		t.Errorf("no local index: got %v, %v, want nothing, degraded", hits, err)
	}
	x, f, _ = newRemote(t, exact(t))
	f.set(func(context.Context) error { return milvus.ErrQuery })
	for range 20 {
		if _, err := x.Search(context.Background(), []float32{1}, 2, models.Where{}, nil); !errors.Is(err, milvus.ErrQuery) {
			t.Fatalf("bad query: got %v, want ErrQuery", err)
		}
	}
	if x.breaker.State() != breaker.Closed {
		t.Error("bad queries opened the breaker")
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.set(func(context.Context) error { cancel(); return errReset })
	if _, err := x.Search(ctx, []float32{1}, 2, models.Where{}, nil); !errors.Is(err, context.Canceled) || errors.As(err, &d) {
		t.Errorf("a caller who left: got %v, want context.Canceled alone", err)
	}
}

// What could not be opened at first is opened later, and not after Close.
func TestOpenLater(t *testing.T) {
	x, f, _ := newRemote(t, exact(t))
	x.cluster.Store(nil)
	tries := 0
	found := make(chan struct{})
	x.openLater(func(context.Context) (models.Index, error) {
		if tries++; tries < 3 {
			return nil, errReset
		}
		close(found)
		return f, nil
	}, time.Millisecond, slog.New(slog.DiscardHandler))
	<-found
	x.opening.Wait()
	if _, err := x.Search(context.Background(), []float32{1}, 2, models.Where{}, nil); err != nil || f.asked != 1 {
		t.Errorf("got %v after %d searches, want the cluster asked", err, f.asked)
	}
}
