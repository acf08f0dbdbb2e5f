// Package live keeps the releases of shops in service: it follows each shop's
// serving state, opens a new release beside the old one, warms it, probes it,
// swaps one pointer, and frees the old one after its last request. Whatever
// fails, the old one stays.
//
// It imports features and models. What a program builds from a release
// (indexes, pipelines) is its type parameter. Start reading at Set.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models/release"
)

// The reasons why nothing can be served.
var (
	ErrNotServed = errors.New("shop serves no release")
	ErrClosed    = errors.New("live set is closed")
	errGone      = errors.New("shop was unloaded meanwhile")
)

// Options says how releases are taken into service. Store, Kinds and Build are
// needed.
type Options[T any] struct {
	Store release.Store
	Kinds release.Kinds
	// Build makes what requests use from an opened release.
	Build func(ctx context.Context, r *release.Release) (T, error)
	// Free gives back what Build made, after the last request; nil: nothing to do.
	Free func(T) error
	// Warm touches what the first requests would wait for; nil: nothing. Build,
	// Warm and Probe keep their own deadlines; a panic in them is an error.
	Warm func(ctx context.Context, l *Loaded[T]) error
	// Pace is how a release is loaded; nil: at full speed.
	Pace *pace.Pacer
	// Probe answers sample requests with the new release; an error keeps the
	// old one. Nil: no probe.
	Probe func(ctx context.Context, l *Loaded[T]) error
	// Every is the time between two looks at the serving state; 0: 2 s.
	Every time.Duration
	// Idle unloads a shop that nobody asked for so long; 0: never.
	Idle time.Duration
	// DropPrevious does not keep the release loaded that a rollback would go
	// back to. Rolling back then takes as long as loading.
	DropPrevious bool
	// Observe is told of everything that happens; nil: nobody.
	Observe func(Event)
	Log     *slog.Logger     // nil: slog.Default
	Now     func() time.Time // nil: time.Now
}

// Event is something that happened to a shop's releases.
type Event struct {
	Shop    features.ShopID
	What    string // one of the constants below
	Version string
	State   int64 // the serving state's number; 0 where none is meant
	Took    time.Duration
	Err     error
}

// What can happen.
const (
	EventLoaded   = "loaded"   // Version was opened, built, warmed and probed
	EventRefused  = "refused"  // Version, or the state, could not be taken; the old one stays
	EventSwapped  = "swapped"  // State is served, Version to most
	EventFreed    = "freed"    // Version was unmapped after its last request
	EventUnloaded = "unloaded" // the shop was idle
)

// Loaded is a release in service and what was built from it.
type Loaded[T any] struct {
	Release *release.Release
	Value   T

	refs  atomic.Int64
	freed func(*Loaded[T])
}

// Version is the release's version.
func (l *Loaded[T]) Version() string { return l.Release.Version() }

func (l *Loaded[T]) acquire() bool {
	for {
		n := l.refs.Load()
		if n <= 0 {
			return false
		}
		if l.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Done gives the release back after a request; exactly once for each Acquire.
func (l *Loaded[T]) Done() {
	if l.refs.Add(-1) == 0 {
		l.freed(l)
	}
}

// Status is what a shop serves, for people and for the release service.
type Status struct {
	Shop     features.ShopID
	State    release.Serving // what is carried out
	Stable   string          // versions that are loaded; "" where none is
	Canary   string
	Shadow   string
	Previous string
	Since    time.Time
	Err      error // why the newest state, or a part of it, is not carried out; nil: it is
}

// load opens, builds, warms and probes one release.
func (s *Set[T]) load(ctx context.Context, shop features.ShopID, version string) (l *Loaded[T], err error) {
	start := s.o.Now()
	ctx = pace.With(ctx, s.o.Pace)
	defer func() {
		e := Event{Shop: shop, What: EventLoaded, Version: version, Took: s.o.Now().Sub(start), Err: err}
		if err != nil {
			e.What = EventRefused
		}
		s.tell(e)
	}()
	r, err := release.Open(ctx, s.o.Store, shop, version, s.o.Kinds)
	if err != nil {
		return nil, err
	}
	value, err := guard(func() (T, error) { return s.o.Build(ctx, r) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("build from release %s: %w", version, err), r.Close())
	}
	l = &Loaded[T]{Release: r, Value: value, freed: s.freeBeside}
	l.refs.Store(1)
	for _, step := range []struct {
		name string
		run  func(context.Context, *Loaded[T]) error
	}{{"warm", s.o.Warm}, {"probe", s.o.Probe}} {
		if step.run == nil {
			continue
		}
		if _, err := guard(func() (struct{}, error) { return struct{}{}, step.run(ctx, l) }); err != nil {
			l.Done()
			return nil, fmt.Errorf("%s release %s: %w", step.name, version, err)
		}
	}
	return l, nil
}

// guard turns a panic of a new release's first use into its refusal: the old
// one must go on serving.
func guard[R any](f func() (R, error)) (r R, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}

// freeBeside is free on a goroutine of its own, so that neither the last request
// nor a swap waits for it; of a closed set it is free.
func (s *Set[T]) freeBeside(l *Loaded[T]) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.free(l)
		return
	}
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		s.free(l)
	}()
}

// free runs after the last request of a release that is no longer served.
func (s *Set[T]) free(l *Loaded[T]) {
	e := Event{Shop: l.Release.Manifest.Shop, What: EventFreed, Version: l.Version()}
	if s.o.Free != nil {
		e.Err = s.o.Free(l.Value)
	}
	e.Err = errors.Join(e.Err, l.Release.Close())
	s.tell(e)
}

func (s *Set[T]) tell(e Event) {
	if e.What == EventRefused && s.ctx.Err() != nil { // nothing is wrong with the release
		s.o.Log.Info("release is not loaded: the server stops", "shop", e.Shop, "version", e.Version)
		return
	}
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("shop", string(e.Shop)), slog.String("version", e.Version)}
	if e.State != 0 {
		attrs = append(attrs, slog.Int64("state", e.State))
	}
	if e.Took > 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	s.o.Log.LogAttrs(context.Background(), level, "release "+e.What, attrs...)
	if s.o.Observe != nil {
		s.o.Observe(e)
	}
}
