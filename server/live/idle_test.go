package live

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

func TestIdleShopsUnload(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	v := publish(t, st, "mugs", 1)
	promote(t, st, "mugs", v)
	var j journal
	var clock atomic.Int64
	o := options(st, &j)
	o.Idle = 40 * time.Millisecond // looked at every 11 ms of real time, by a clock of ours
	o.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	unloaded := make(chan struct{}, 8)
	o.Observe = func(e Event) {
		if j.add(e); e.What == EventUnloaded {
			unloaded <- struct{}{}
		}
	}
	s := newSet(t, o)
	for range 3 {
		l, err := s.Acquire(context.Background(), "mugs", nil)
		if err != nil {
			t.Fatal(err)
		}
		clock.Add(int64(time.Hour))
		<-unloaded
		if l.Value.freed.Load() {
			t.Fatal("was freed while a request held it")
		}
		l.Done()
		soon(t, "freed after the last request", l.Value.freed.Load)
	}
	if got := j.count(EventLoaded); got != 3 {
		t.Errorf("got %d loads, want one after each idle time", got)
	}
}

func TestIdleUnderRequests(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	promote(t, st, "mugs", publish(t, st, "mugs", 1))
	var j journal
	var clock atomic.Int64
	o := options(st, &j)
	o.Idle = 4 * time.Millisecond
	o.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	s := newSet(t, o)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 200 {
				if _, _, err := answer(s, "mugs", nil); err != nil {
					t.Errorf("answer: %v", err)
					return
				}
				clock.Add(int64(time.Second))
				time.Sleep(100 * time.Microsecond)
			}
		}()
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if loaded, freed := j.count(EventLoaded), j.count(EventFreed); loaded != freed {
		t.Errorf("got %d loaded and %d freed, want as many", loaded, freed)
	}
}

func TestClosed(t *testing.T) {
	st := release.NewFolder(t.TempDir())
	promote(t, st, "mugs", publish(t, st, "mugs", 1))
	var j journal
	s := newSet(t, options(st, &j))
	l, err := s.Acquire(context.Background(), "mugs", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, shop := range []features.ShopID{"mugs", "plates"} {
		if _, err := s.Acquire(context.Background(), shop, nil); err == nil {
			t.Errorf("shop %s: got a release of a closed set", shop)
		}
	}
	if l.Value.freed.Load() {
		t.Fatal("Close freed a release that a request holds")
	}
	l.Done()
	if j.count(EventFreed) != 1 {
		t.Fatal("was not freed after the last request")
	}
}
