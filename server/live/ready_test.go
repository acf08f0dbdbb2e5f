package live

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/attune-rec/attune/models/release"
)

// A release made ready is opened once, and the next state decides whether it stays.
func TestReady(t *testing.T) {
	ctx, st, j := context.Background(), release.NewFolder(t.TempDir()), &journal{}
	s := newSet(t, options(st, j))
	one, two, three := publish(t, st, "default", 1), publish(t, st, "default", 2), publish(t, st, "default", 3)
	if err := s.Ready(ctx, "default", one); !errors.Is(err, ErrNotServed) {
		t.Fatalf("before anything is served: got %v, want %v", err, ErrNotServed)
	}
	promote(t, st, "default", one)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.Load(ctx, "default"))
	if err := s.Ready(ctx, "default", "20260101T000000.000Z-00000000"); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("not published: got %v, want %v", err, release.ErrNotFound)
	}
	must(s.Ready(ctx, "default", two))
	must(s.Ready(ctx, "default", two))
	must(s.Ready(ctx, "default", three))
	wants(t, s, "default", one)
	if got := j.count(EventLoaded); got != 3 {
		t.Errorf("loaded %d, want 3", got)
	}
	promote(t, st, "default", two)
	must(s.Load(ctx, "default"))
	wants(t, s, "default", two)
	soon(t, "one freed after the state that names another", func() bool { return j.count(EventFreed) == 1 })
	if got := j.count(EventLoaded); got != 3 {
		t.Errorf("after the state that names another: loaded %d, want 3", got)
	}
}

// soon waits for what happens on another goroutine; the test's own end is the
// limit.
func soon(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for range 30_000 {
		if happened() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("not %s", what)
}

// A state that cannot be carried out does not keep a good release out.
func TestReadyBesideARefusedState(t *testing.T) {
	ctx, st, j := context.Background(), release.NewFolder(t.TempDir()), &journal{}
	o := options(st, j)
	o.DropPrevious = true
	build := o.Build
	bad := ""
	o.Build = func(ctx context.Context, r *release.Release) (*engine, error) {
		if r.Version() == bad {
			return nil, errors.New("no good")
		}
		return build(ctx, r)
	}
	s := newSet(t, o)
	bad = publish(t, st, "default", 1)
	good := publish(t, st, "default", 2)
	promote(t, st, "default", bad)
	if err := s.Load(ctx, "default"); err == nil {
		t.Fatal("the bad one was taken")
	}
	if err := s.Ready(ctx, "default", bad); err == nil {
		t.Error("the bad one is ready")
	}
	if err := s.Ready(ctx, "default", good); err != nil {
		t.Fatal(err)
	}
	promote(t, st, "default", good)
	if err := s.Load(ctx, "default"); err != nil {
		t.Fatal(err)
	}
	wants(t, s, "default", good)
}
