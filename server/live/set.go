package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

// Set is the shops of one server with the releases they serve. It is safe for
// concurrent use; a request takes no lock.
type Set[T any] struct {
	o      Options[T]
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // of closed and of adding to shops
	closed bool
	shops  sync.Map // features.ShopID -> *shop[T]
}

// New is an empty set; shops are loaded by Load, or when first asked for. The
// caller must Close it.
func New[T any](o Options[T]) (*Set[T], error) {
	if o.Store == nil || o.Kinds == nil || o.Build == nil {
		return nil, fmt.Errorf("live set: expected a store, kinds and a build function")
	}
	if o.Every <= 0 {
		o.Every = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background()) // #nosec G118 -- Close cancels
	return &Set[T]{o: o, ctx: ctx, cancel: cancel}, nil
}

// Acquire is the release that the shopper with this key receives: the canary's
// when the key falls into its share, else the stable one. A nil key is nobody
// and receives the stable one. A shop that is not loaded is loaded, ErrNotServed
// when it has nothing to serve. The caller must call Done on it when the answer
// is written, and takes everything for the answer from it.
func (s *Set[T]) Acquire(ctx context.Context, id features.ShopID, key []byte) (*Loaded[T], error) {
	for {
		sh, err := s.shop(ctx, id)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t := sh.table.Load()
		if t == nil {
			continue // unloaded just now
		}
		sh.touch(s.o.Now())
		if l := t.pick(key); l.acquire() {
			return l, nil
		}
	}
}

// Shadow is the release that scores beside the served one, to be given back by
// Done; false when the shop has none, or is not loaded.
func (s *Set[T]) Shadow(id features.ShopID) (*Loaded[T], bool) {
	v, ok := s.shops.Load(id)
	if !ok {
		return nil, false
	}
	for {
		t := v.(*shop[T]).table.Load()
		if t == nil || t.shadow == nil {
			return nil, false
		}
		if t.shadow.acquire() {
			return t.shadow, true
		}
	}
}

// Load takes the shop's serving state into service, as the state stands now,
// and follows it from then on. An error leaves what was served before.
func (s *Set[T]) Load(ctx context.Context, id features.ShopID) error {
	for {
		sh, err := s.add(ctx, id)
		if err != nil {
			return err
		}
		if err := s.refresh(ctx, sh); !errors.Is(err, errGone) {
			return err
		}
	}
}

// Ready loads a release beside what the shop serves, so that a state which names
// it is carried out at once. The next state that does not name it lets go of it.
// It returns ErrNotServed where nothing is served yet, and else why the release
// cannot be; nothing changes then.
func (s *Set[T]) Ready(ctx context.Context, id features.ShopID, version string) error {
	for {
		sh, err := s.add(ctx, id)
		if err == nil {
			err = s.ready(ctx, sh, version)
		}
		if !errors.Is(err, errGone) {
			return err
		}
	}
}

// ready is Ready. The work is the set's own, as in refresh.
func (s *Set[T]) ready(ctx context.Context, sh *shop[T], version string) error {
	return s.work(ctx, func() error {
		select {
		case sh.lock <- struct{}{}:
			defer func() { <-sh.lock }()
		case <-s.ctx.Done():
			return ErrClosed
		}
		if sh.gone {
			return errGone
		}
		_, err := s.get(sh, version)
		return err
	})
}

// Status is what the shop serves; false when it is not loaded and never was.
func (s *Set[T]) Status(id features.ShopID) (Status, bool) {
	v, ok := s.shops.Load(id)
	if !ok {
		return Status{}, false
	}
	return v.(*shop[T]).status(), true
}

// Shops lists the shops that are loaded, or were asked for and refused.
func (s *Set[T]) Shops() []features.ShopID {
	var ids []features.ShopID
	s.shops.Range(func(id, _ any) bool {
		ids = append(ids, id.(features.ShopID))
		return true
	})
	slices.Sort(ids)
	return ids
}

// Close stops following, and gives back all releases; those that a request
// still holds are freed by its Done.
func (s *Set[T]) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.shops.Range(func(_, v any) bool {
		v.(*shop[T]).unload()
		return true
	})
	return nil
}

// shop is the loaded shop, loading it when it is not.
func (s *Set[T]) shop(ctx context.Context, id features.ShopID) (*shop[T], error) {
	if v, ok := s.shops.Load(id); ok {
		if sh := v.(*shop[T]); sh.table.Load() != nil {
			return sh, nil
		}
	}
	sh, err := s.add(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := sh.refusal(s.o.Now(), s.o.Every); err != nil {
		return nil, err // tried just now; its follower goes on trying
	}
	if err := s.refresh(ctx, sh); err != nil && sh.table.Load() == nil {
		return nil, err
	}
	return sh, nil
}

// add makes an entry for a shop that has something to serve, and follows it.
func (s *Set[T]) add(ctx context.Context, id features.ShopID) (*shop[T], error) {
	if v, ok := s.shops.Load(id); ok {
		return v.(*shop[T]), nil
	}
	if _, err := release.Current(ctx, s.o.Store, id); err != nil {
		if errors.Is(err, release.ErrNotFound) {
			return nil, fmt.Errorf("%w: %w", ErrNotServed, err)
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	sh := &shop[T]{id: id, grain: time.Second, lock: make(chan struct{}, 1), open: map[string]*Loaded[T]{}}
	if s.o.Idle > 0 {
		sh.grain = min(sh.grain, s.o.Idle/8)
	}
	sh.touch(s.o.Now())
	v, was := s.shops.LoadOrStore(id, sh)
	if !was {
		s.wg.Add(1)
		go s.follow(sh)
	}
	return v.(*shop[T]), nil
}

// refresh takes the current state of the shop into service.
func (s *Set[T]) refresh(ctx context.Context, sh *shop[T]) error {
	return s.work(ctx, func() error {
		state, err := release.Current(s.ctx, s.o.Store, sh.id)
		if err != nil {
			return err
		}
		return s.apply(sh, state)
	})
}

// work does what is the set's own: a caller that gives up does not stop it for
// the others.
func (s *Set[T]) work(ctx context.Context, f func() error) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.wg.Add(1)
	s.mu.Unlock()
	result := make(chan error, 1)
	go func() {
		defer s.wg.Done()
		result <- f()
	}()
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follow applies each newer state until the set is closed or the shop idle.
func (s *Set[T]) follow(sh *shop[T]) {
	defer s.wg.Done()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	if s.o.Idle > 0 {
		s.wg.Add(1)
		go s.reap(ctx, cancel, sh)
	}
	release.Watch(ctx, s.o.Store, sh.id, s.o.Every, func(state release.Serving, err error) error {
		if err != nil {
			s.tell(Event{Shop: sh.id, What: EventRefused, Err: err})
			sh.note(err, 0, s.o.Now())
			return err
		}
		return s.apply(sh, state)
	})
}

// reap unloads the shop when it has been idle, and ends its follower.
func (s *Set[T]) reap(ctx context.Context, cancel context.CancelFunc, sh *shop[T]) {
	defer s.wg.Done()
	tick := time.NewTicker(min(s.o.Idle/4+time.Millisecond, time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if sh.idle(s.o.Now()) < s.o.Idle {
			continue
		}
		cancel()
		s.shops.CompareAndDelete(sh.id, sh)
		sh.lock <- struct{}{} // after a load under way
		sh.gone = true
		sh.unload()
		<-sh.lock
		s.tell(Event{Shop: sh.id, What: EventUnloaded})
		return
	}
}
