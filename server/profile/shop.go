package profile

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
)

const (
	linksKept   = 200_000
	mostEvents  = 1 << 17          // of one shopper that a state is made anew from, the newest
	latest      = 64               // events in which a person's market is looked for
	freshEnough = 10 * time.Minute // a profile is not made anew for the clock alone
)

// shop is the profiles of one shop.
type shop struct {
	k       *Keeper
	id      features.ShopID
	entries *kept
	links   *lru.Cache[features.UserKey, features.UserKey] // whom a key was found to be
	linking atomic.Int64                                   // grows with every link
	roster  roster
	wake    chan struct{}
	goods   chan struct{}      // the catalogue changed
	hits    prometheus.Counter // reads from memory

	seq      atomic.Int64 // the newest event the follower read
	reading  atomic.Bool  // the follower has read the log to its end and goes on reading it
	ref      atomic.Pointer[profile.Reference]
	recalls  atomic.Int64 // times that what was sold before is not in the prices yet
	counting atomic.Bool  // segments are being counted, beside the follower
	settled  atomic.Bool  // what a start does is done
	segments atomic.Pointer[profile.Segments]
	deciding sync.Mutex // segments are read and changed

	listing atomic.Int64 // grows with every change of partners' lists; 0: there are none
	uniform atomic.Bool  // no market has a default consent of its own
	recount atomic.Bool  // other events are in quarantine since the goods were measured

	begun  bool // of the follower: it has read the log once
	mu     sync.Mutex
	linked [][2]features.UserKey // that nobody has looked at

	joining sync.Mutex // held while somebody looks at them

	file fileState
	sold profile.Ledger

	measuring   sync.Mutex  // held while goods are measured
	measureNext atomic.Bool // somebody waits to
	shelves     shelves     // of who measures
}

// entry is what is kept of one user or session.
type entry struct {
	mu      sync.Mutex
	seen    atomic.Bool // of kept
	loaded  bool
	agreed  bool // to personalisation: without, the state is empty
	consent features.Purposes
	market  string // that consent was looked up for
	state   profile.State

	lists  []features.Membership // of partners that the shopper is on
	listed int64                 // the shop's listing that lists were read at; 0: they were not

	made *made // nil: not made since the state changed
}

// has reports whether there is anything to say of the shopper; e's lock is held.
func (e *entry) has() bool { return e.loaded && e.agreed && e.state.Seq() > 0 }

// made is a profile and what it was made with, beside the state.
type made struct {
	profile *features.Profile
	from    madeFrom
}

type madeFrom struct {
	ref      *profile.Reference
	segments *profile.Segments
	listing  int64
	at       time.Time
}

// holds reports whether a profile made so is as one made now.
func (f *madeFrom) holds(now madeFrom) bool {
	return f.ref == now.ref && f.segments == now.segments && f.listing == now.listing && now.at.Sub(f.at) <= freshEnough && !now.at.Before(f.at)
}

func newShop(k *Keeper, id features.ShopID) *shop {
	s := &shop{k: k, id: id, wake: make(chan struct{}, 1), goods: make(chan struct{}, 1), hits: k.reads.WithLabelValues("memory")}
	s.entries = newKept(k.o.Size)
	s.links, _ = lru.New[features.UserKey, features.UserKey](linksKept) // the size is above 0
	s.roster.all = map[features.UserKey]struct{}{}
	return s
}

func (s *shop) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stale makes the next read of key read the store, and reports whether there
// was a state.
func (s *shop) stale(key features.UserKey) bool {
	e, ok := s.entries.Peek(key)
	if !ok {
		return s.roster.has(key)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	had := e.agreed
	e.loaded, e.agreed, e.state, e.made, e.lists, e.listed = false, false, profile.State{}, nil, nil, 0
	return had
}

// resolve is the person that a key was found to be.
func (s *shop) resolve(ctx context.Context, key features.UserKey) (features.UserKey, error) {
	for range 16 { // what a key leads to may have been linked since
		to, ok := s.links.Get(key)
		if !ok {
			before := s.linking.Load()
			var err error
			if to, err = s.k.o.Store.Resolve(ctx, s.id, key); err != nil {
				return key, err
			}
			if s.linking.Load() == before {
				s.links.Add(key, to)
			}
		}
		if to == key {
			break
		}
		key = to
	}
	return key, nil
}

// get is the profile of a resolved key; none when there is nothing to say.
func (s *shop) get(ctx context.Context, key features.UserKey) (Found, error) {
	e, ok := s.entries.Get(key)
	if !ok {
		if nobody, err := s.nobody(ctx, key); nobody || err != nil {
			return Found{Key: key}, err
		}
		e = s.entries.PeekOrAdd(key, new(entry))
	}
	return s.read(ctx, key, e, true)
}

// nobody reports a key under which nothing was ever done: it takes no place
// among those that are kept, and next to nothing is read to know it.
func (s *shop) nobody(ctx context.Context, key features.UserKey) (bool, error) {
	if s.roster.has(key) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.k.o.Load)
	defer cancel()
	met, err := s.k.o.Store.Anonymous(ctx, s.id, key)
	if met {
		return false, nil
	}
	var own []features.UserKey
	if err == nil {
		own, err = s.k.o.Store.Aliases(ctx, s.id, key)
	}
	if err != nil {
		return false, fmt.Errorf("read profile: %w", err)
	}
	return len(own) == 0, nil
}

// peek is get for who reads many: what is not kept is made and not kept, nor is
// the profile.
func (s *shop) peek(ctx context.Context, key features.UserKey) (Found, error) {
	e, ok := s.entries.Peek(key)
	if !ok {
		e = new(entry)
	}
	return s.read(ctx, key, e, false)
}

// ready is the profile of an entry that has a state.
func (s *shop) ready(key features.UserKey, e *entry) (Found, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.has() || e.listed != s.listing.Load() {
		return Found{}, false
	}
	s.hits.Inc()
	return s.conclude(key, e, true), true
}

// glance is ready, with the profile in room where none is kept.
func (s *shop) glance(key features.UserKey, e *entry, room *features.Profile) (Found, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.has() || e.listed != s.listing.Load() {
		return Found{}, false
	}
	s.hits.Inc()
	from := s.from(e)
	if e.made != nil && e.made.from.holds(from) {
		room = e.made.profile
	} else {
		from.make(e, room)
	}
	return Found{Key: key, Consent: e.consent, Profile: room, Seq: e.state.Seq()}, true
}

// read is the profile of an entry, which is kept where it is to be.
func (s *shop) read(ctx context.Context, key features.UserKey, e *entry, keep bool) (Found, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.loaded {
		s.k.reads.WithLabelValues("store").Inc()
		if err := s.load(ctx, key, e); err != nil {
			return Found{}, fmt.Errorf("read profile: %w", err)
		}
	} else {
		s.hits.Inc()
	}
	if !e.has() {
		return Found{Key: key, Consent: e.consent}, nil
	}
	if err := s.list(ctx, key, e); err != nil {
		return Found{}, fmt.Errorf("read profile: %w", err)
	}
	return s.conclude(key, e, keep), nil
}

// conclude is the profile of an entry with a state; its lock is held.
func (s *shop) conclude(key features.UserKey, e *entry, keep bool) Found {
	m := e.made
	if from := s.from(e); m == nil || !m.from.holds(from) {
		m = &made{new(features.Profile), from}
		from.make(e, m.profile)
		if keep {
			e.made = m
		}
	}
	return Found{Key: key, Consent: e.consent, Profile: m.profile, Seq: e.state.Seq()}
}

// from is what a profile of e is made with now.
func (s *shop) from(e *entry) madeFrom {
	return madeFrom{s.ref.Load(), s.segments.Load(), e.listed, s.k.o.Clock()}
}

// make concludes into p.
func (f *madeFrom) make(e *entry, p *features.Profile) {
	e.state.ProfileInto(p, f.ref, f.at)
	p.Audiences = e.on(f.at)
	if f.segments != nil {
		p.Segments = f.segments.Of(p, f.at)
	}
}

// counts reports whether an event says anything of its shopper and of goods.
func (s *shop) counts(ctx context.Context, e *features.Event) bool {
	return tells(e) && (s.k.o.Quarantined == nil || !s.k.o.Quarantined(ctx, s.id, e))
}

// load makes the state of key from the shopper's events.
func (s *shop) load(ctx context.Context, key features.UserKey, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, s.k.o.Load)
	defer cancel()
	own, err := s.k.o.Store.Aliases(ctx, s.id, key)
	if err != nil {
		return err
	}
	consent, market, err := s.consent(ctx, key, own)
	if err != nil {
		return err
	}
	if !consent.Has(features.Personalisation) {
		e.loaded, e.agreed, e.consent, e.market, e.state, e.made = true, false, consent, market, profile.State{}, nil // nothing of them is kept
		return nil
	}
	events, err := s.k.o.Store.HistoryOf(ctx, s.id, key, own, mostEvents)
	if err != nil {
		return err
	}
	own = append(own, key)
	var state profile.State
	known := len(own) > 1
	for i := range events {
		ev := &events[i]
		if s.counts(ctx, ev) && (ev.User.IsZero() || slices.Contains(own, ev.User)) {
			state.Update(ev)
			known = known || !ev.User.IsZero()
		}
	}
	if known && state.Seq() > 0 {
		s.roster.add(key) // who is found is listed, even before the follower comes to it
	}
	e.loaded, e.agreed, e.consent, e.market, e.state, e.made = true, true, consent, market, state, nil
	return nil
}

// consent is what a person agreed to; of who said nothing and has no home, the
// default of the market they were last in, which is given.
func (s *shop) consent(ctx context.Context, key features.UserKey, aliases []features.UserKey) (features.Purposes, string, error) {
	market := ""
	if !s.uniform.Load() {
		newest, err := s.k.o.Store.HistoryOf(ctx, s.id, key, aliases, latest)
		if err != nil {
			return 0, "", err
		}
		for i := range newest {
			if m := newest[i].Market; tells(&newest[i]) && m != "" {
				market = m
			}
		}
	}
	consent, err := s.k.o.Store.ConsentIn(ctx, s.id, key, market)
	return consent, market, err
}

// tells reports whether an event says anything of its shopper.
func tells(e *features.Event) bool {
	return e.Type != features.Impression && e.Type != features.EventUnknown
}

// roster is the users who did something, by key, whether they are kept or not.
type roster struct {
	mu     sync.RWMutex
	all    map[features.UserKey]struct{}
	sorted []features.UserKey // without fresh and with what was removed
	fresh  []features.UserKey
}

func (r *roster) has(k features.UserKey) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.all[k]
	return ok
}

// add reports whether k is new.
func (r *roster) add(k features.UserKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.all[k]; ok {
		return false
	}
	r.all[k] = struct{}{}
	r.fresh = append(r.fresh, k)
	return true
}

func (r *roster) remove(k features.UserKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, k)
}

func (r *roster) len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.all)
}

// after is at most n keys above the given one, ascending.
func (r *roster) after(k features.UserKey, n int) []features.UserKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.fresh) > 0 {
		r.sorted = append(r.sorted, r.fresh...)
		r.fresh = nil
		slices.SortFunc(r.sorted, compare)
		r.sorted = slices.Compact(r.sorted)
	}
	at, found := slices.BinarySearchFunc(r.sorted, k, compare)
	if found {
		at++
	}
	var keys []features.UserKey
	for ; at < len(r.sorted) && len(keys) < n; at++ {
		if _, ok := r.all[r.sorted[at]]; ok {
			keys = append(keys, r.sorted[at])
		}
	}
	return keys
}

func compare(a, b features.UserKey) int { return bytes.Compare(a[:], b[:]) }
