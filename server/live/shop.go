package live

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/assign"
	"github.com/attune-rec/attune/models/release"
)

// shop is one shop's releases.
type shop[T any] struct {
	id    features.ShopID
	table atomic.Pointer[table[T]] // nil: not loaded
	used  atomic.Int64             // Unix nanoseconds of a request, the last one to within grain
	grain time.Duration

	lock chan struct{}         // held while a state is applied
	open map[string]*Loaded[T] // by version; each with the shop's own reference
	gone bool                  // idle, and no longer in the set

	mu     sync.Mutex // of what follows
	err    error      // of the last attempt
	failed time.Time
	tried  int64 // the state it was made for
}

// table is a serving state carried out: one pointer, one store.
type table[T any] struct {
	state    release.Serving
	stable   *Loaded[T]
	canary   *Loaded[T] // nil: none
	shadow   *Loaded[T] // nil: none
	previous *Loaded[T] // nil: none
	salt     []byte
	since    time.Time
}

func (t *table[T]) pick(key []byte) *Loaded[T] {
	if t.canary != nil && len(key) > 0 && assign.Share(t.salt, key) < t.state.Canary.Share {
		return t.canary
	}
	return t.stable
}

// apply loads what the state names, swaps, and lets go of what is not needed
// any more. A canary, shadow or previous release that cannot be loaded is
// reported and left out; a stable one that cannot leaves everything as it was,
// or, where nothing is served yet, gives way to the release before it.
func (s *Set[T]) apply(sh *shop[T], state release.Serving) error {
	select {
	case sh.lock <- struct{}{}:
		defer func() { <-sh.lock }()
	case <-s.ctx.Done():
		return ErrClosed
	}
	old := sh.table.Load()
	switch {
	case sh.gone:
		return errGone
	case old != nil && old.state.Number > state.Number:
		return nil // another caller was faster
	}
	if tried, err := sh.last(); tried == state.Number && (err == nil && old != nil || err != nil && sh.refusal(s.o.Now(), s.o.Every) != nil) {
		return err // the same, just now
	}
	start := s.o.Now()
	next, problems := s.build(sh, state, old)
	sh.note(problems, state.Number, s.o.Now())
	if next == nil {
		sh.drop(old)
		return problems
	}
	sh.table.Store(next)
	sh.drop(next)
	s.tell(Event{Shop: sh.id, What: EventSwapped, Version: next.stable.Version(), State: state.Number, Took: s.o.Now().Sub(start)})
	return problems
}

// build is the table of a state; nil when there is nothing to serve. Problems
// may come with a table.
func (s *Set[T]) build(sh *shop[T], state release.Serving, old *table[T]) (*table[T], error) {
	past, perr := release.History(s.ctx, s.o.Store, sh.id, release.Remembered)
	previous := release.Previous(past)
	sh.makeRoom(old, state, previous)
	stable, err := s.get(sh, state.Stable)
	problems := errors.Join(perr, err)
	if stable == nil && (old != nil || previous == "") {
		return nil, problems
	}
	t := &table[T]{state: state, stable: stable, since: s.o.Now()}
	if stable == nil {
		if t.stable, err = s.get(sh, previous); err != nil {
			return nil, errors.Join(problems, err)
		}
	}
	optional := func(version string) *Loaded[T] {
		if version == "" {
			return nil
		}
		l, err := s.get(sh, version)
		problems = errors.Join(problems, err)
		return l
	}
	if state.Canary != nil {
		t.canary, t.salt = optional(state.Canary.Version), []byte(state.Canary.Salt)
	}
	t.shadow = optional(state.Shadow)
	if !s.o.DropPrevious {
		t.previous = optional(previous)
	}
	return t, problems
}

// get is an open release of the shop, opened when it is not.
func (s *Set[T]) get(sh *shop[T], version string) (*Loaded[T], error) {
	if l, ok := sh.open[version]; ok {
		return l, nil
	}
	l, err := s.load(s.ctx, sh.id, version)
	if err != nil {
		return nil, err
	}
	sh.open[version] = l
	return l, nil
}

// makeRoom lets go of an old release that only waited for a rollback and that
// the new state has no use for, so that three are not in memory at once.
func (sh *shop[T]) makeRoom(old *table[T], state release.Serving, previous string) {
	for v, l := range sh.open {
		served := old != nil && (l == old.stable || l == old.canary || l == old.shadow)
		named := v == state.Stable || v == previous || v == state.Shadow || state.Canary != nil && v == state.Canary.Version
		if !served && !named {
			delete(sh.open, v)
			l.Done()
		}
	}
}

// drop gives back the shop's reference to every release that t does not use.
func (sh *shop[T]) drop(t *table[T]) {
	for v, l := range sh.open {
		if t != nil && (l == t.stable || l == t.canary || l == t.shadow || l == t.previous) {
			continue
		}
		delete(sh.open, v)
		l.Done()
	}
}

// unload takes the shop out of service; the caller holds its lock or is alone.
func (sh *shop[T]) unload() {
	sh.table.Store(nil)
	sh.drop(nil)
}

func (sh *shop[T]) touch(now time.Time) {
	if n := now.UnixNano(); n-sh.used.Load() > int64(sh.grain) {
		sh.used.Store(n)
	}
}

func (sh *shop[T]) idle(now time.Time) time.Duration {
	return time.Duration(now.UnixNano() - sh.used.Load())
}

// note keeps what came of an attempt at a state.
func (sh *shop[T]) note(err error, state int64, at time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.err, sh.tried, sh.failed = err, state, at
}

// last is what came of the last attempt, and the state it was made for.
func (sh *shop[T]) last() (state int64, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.tried, sh.err
}

// refusal is why the last attempt failed, when that was less than every ago:
// requests do not each try a refused release again.
func (sh *shop[T]) refusal(now time.Time, every time.Duration) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.err != nil && now.Sub(sh.failed) < every {
		return sh.err
	}
	return nil
}

func (sh *shop[T]) status() Status {
	st := Status{Shop: sh.id}
	sh.mu.Lock()
	st.Err = sh.err
	sh.mu.Unlock()
	t := sh.table.Load()
	if t == nil {
		return st
	}
	version := func(l *Loaded[T]) string {
		if l == nil {
			return ""
		}
		return l.Version()
	}
	st.State, st.Since = t.state, t.since
	st.Stable, st.Canary, st.Shadow, st.Previous = version(t.stable), version(t.canary), version(t.shadow), version(t.previous)
	return st
}
