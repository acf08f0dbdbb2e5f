package live

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

func TestSwapsUnderRequests(t *testing.T) {
	swaps := 1000
	if testing.Short() {
		swaps = 100
	}
	st := release.NewFolder(t.TempDir())
	versions := []string{publish(t, st, "mugs", 1), publish(t, st, "mugs", 2), publish(t, st, "mugs", 3)}
	value := map[string]float32{versions[0]: 1, versions[1]: 2, versions[2]: 3}
	promote(t, st, "mugs", versions[0])
	var j journal
	o := options(st, &j)
	o.Probe = func(_ context.Context, l *Loaded[*engine]) error {
		out := []float32{0}
		l.Value.model.Score(nil, []features.Row{0}, out)
		if out[0] != value[l.Version()] {
			return fmt.Errorf("got score %v", out[0])
		}
		return nil
	}
	s := newSet(t, o)
	ctx := context.Background()
	if err := s.Load(ctx, "mugs"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var answers atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 1; !stop.Load(); n++ {
				if n%50 == 0 {
					time.Sleep(100 * time.Microsecond) // leave the cores to the swaps
				}
				v, got, err := answer(s, "mugs", nil)
				if err != nil || got != value[v] {
					t.Errorf("got %v of release %s, %v, want %v", got, v, err, value[v])
					return
				}
				answers.Add(1)
			}
		}()
	}
	for i := 1; i <= swaps; i++ {
		promote(t, st, "mugs", versions[i%3])
		if err := s.Load(ctx, "mugs"); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			wants(t, s, "mugs", versions[i%3])
		}
	}
	stop.Store(true)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if loaded, freed := j.count(EventLoaded), j.count(EventFreed); loaded != freed || loaded < swaps {
		t.Errorf("got %d releases loaded and %d freed over %d swaps, want as many, at least one a swap", loaded, freed, swaps)
	}
	if n := j.count(EventRefused); n != 0 {
		t.Errorf("got %d refusals, want none", n)
	}
	t.Logf("%d swaps, %d answers, %d loads", swaps, answers.Load(), j.count(EventLoaded))
}

func TestWatchFollowsTheState(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	a, b := publish(t, st, "mugs", 1), publish(t, st, "mugs", 2)
	promote(t, st, "mugs", a)
	var j journal
	o := options(st, &j)
	o.Every = time.Millisecond
	swapped := make(chan string, 8)
	o.Observe = func(e Event) {
		if j.add(e); e.What == EventSwapped {
			swapped <- e.Version
		}
	}
	s := newSet(t, o)
	wants(t, s, "mugs", a) // loaded when first asked for
	if got := <-swapped; got != a {
		t.Fatalf("got %s, want %s", got, a)
	}
	promote(t, st, "mugs", b)
	if got := <-swapped; got != b {
		t.Fatalf("got %s, want %s", got, b)
	}
	wants(t, s, "mugs", b)
	if got, _ := s.Status("mugs"); got.Stable != b || got.Previous != a || got.Err != nil || got.State.Number != 2 {
		t.Fatalf("got status %+v, want %s with %s before it", got, b, a)
	}
	if _, err := release.Rollback(context.Background(), st, "mugs", "", release.Change{}); err != nil {
		t.Fatal(err)
	}
	if got := <-swapped; got != a {
		t.Fatalf("got %s after the rollback, want %s", got, a)
	}
	if n := j.count(EventLoaded); n != 2 {
		t.Errorf("got %d loads, want 2: the previous release stays loaded", n)
	}
}

func TestShopsAreApart(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	want := map[features.ShopID]string{}
	for i := range 5 {
		shop := features.ShopID(fmt.Sprintf("shop-%d", i))
		want[shop] = publish(t, st, shop, float32(i+1))
		promote(t, st, shop, want[shop])
	}
	var j journal
	s := newSet(t, options(st, &j))
	for shop, v := range want {
		wants(t, s, shop, v)
	}
	if got := s.Shops(); len(got) != 5 {
		t.Errorf("got shops %v, want 5", got)
	}
	for _, id := range []features.ShopID{"nowhere", "", "../x"} {
		if _, err := s.Acquire(context.Background(), id, nil); err == nil {
			t.Errorf("shop %q: got a release, want an error", id)
		}
		if _, ok := s.Status(id); ok {
			t.Errorf("shop %q: got a status", id)
		}
	}
	if _, err := s.Acquire(context.Background(), "nowhere", nil); !errors.Is(err, ErrNotServed) {
		t.Errorf("got error %v, want ErrNotServed", err)
	}
}
