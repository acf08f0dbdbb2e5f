// Package profile keeps shoppers' profiles live: one follower a shop reads the
// log in its order and folds every event into the state of its shopper, so that
// a profile reflects an event moments after it is durable and is the same to
// the bit as one made anew from the log.
//
// States are kept of as many shoppers as memory is given for, the latest seen;
// the state of another is made from the shopper's events when it is asked for.
// What is kept is written to a file now and then, so that a start reads that
// and the log's tail. Nothing is kept of who did not agree to personalisation.
//
// It imports features and what is below it, and no other package of the server.
// Start reading at Keeper; follow.go has the follower, figures.go what is said
// of many shoppers.
package profile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
)

// Store is where shoppers' events, links, consents and segments are read from;
// *store.Store is one.
type Store interface {
	store.Log
	store.Groups
	Shops(ctx context.Context) ([]features.ShopID, error)
	HistoryOf(ctx context.Context, shop features.ShopID, key features.UserKey, aliases []features.UserKey, limit int) ([]features.Event, error)
	Aliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error)
	Anonymous(ctx context.Context, shop features.ShopID, session features.UserKey) (bool, error)
	Resolve(ctx context.Context, shop features.ShopID, key features.UserKey) (features.UserKey, error)
	Consent(ctx context.Context, shop features.ShopID, key features.UserKey) (features.Purposes, error)
	ConsentIn(ctx context.Context, shop features.ShopID, key features.UserKey, market string) (features.Purposes, error)
	Choices(ctx context.Context, shop features.ShopID) (*store.Choices, error)
	Links(ctx context.Context, shop features.ShopID) (map[features.UserKey]features.UserKey, error)
	Touched(ctx context.Context, shop features.ShopID, since time.Time) ([]features.UserKey, error)
	Changes(ctx context.Context, shop features.ShopID, from int64, f func(store.Change) error) (int64, error)
	MarketConsents(ctx context.Context, shop features.ShopID) (map[string]features.Purposes, error)
	Memberships(ctx context.Context, shop features.ShopID, keys []features.UserKey) ([]features.Membership, error)
	AnyAudience(ctx context.Context, shop features.ShopID) (bool, error)
	Suspects(ctx context.Context, shop features.ShopID, since time.Time) ([]features.UserKey, error)
}

// Options are what a Keeper works with. Only Store is needed.
type Options struct {
	Store   Store
	Dir     string           // of the files that a start reads; "": none are written
	Size    int              // shoppers of a shop whose state is kept; 0: 200,000
	Load    time.Duration    // a read of the store may take so long; 0: 500 ms
	Save    time.Duration    // between two writes of the file; 0: 5 minutes
	Wait    time.Duration    // a sender waits at most so long for the follower; 0: 250 ms
	Refresh time.Duration    // between two looks at the catalogue and counts of segments; 0: 10 minutes
	Clock   func() time.Time // nil: time.Now
	// Quarantined tells the events that do not count; nil: there are none. After
	// it changed its mind, Recount.
	Quarantined func(context.Context, features.ShopID, *features.Event) bool
	Pace        *pace.Pacer  // of what nobody waits for; nil: at full speed
	Logger      *slog.Logger // nil: slog.Default
	Registerer  prometheus.Registerer
}

// Keeper is the profiles of all shops. It is safe for concurrent use.
type Keeper struct {
	o      Options
	engine *expr.Engine
	folded prometheus.Counter
	reads  *prometheus.CounterVec

	ctx  context.Context // of the followers
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	shops map[features.ShopID]*shop
}

// New returns a keeper whose followers begin at once. Close ends them.
func New(o Options) (*Keeper, error) {
	if o.Store == nil {
		return nil, errors.New("profiles: a store is needed")
	}
	for _, d := range []struct {
		of  *time.Duration
		def time.Duration
	}{{&o.Load, 500 * time.Millisecond}, {&o.Wait, 250 * time.Millisecond}, {&o.Save, 5 * time.Minute}, {&o.Refresh, 10 * time.Minute}} {
		if *d.of <= 0 {
			*d.of = d.def
		}
	}
	if o.Size <= 0 {
		o.Size = 200_000
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	engine, err := expr.New()
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	k := &Keeper{o: o, engine: engine, shops: map[features.ShopID]*shop{}}
	k.ctx, k.stop = context.WithCancel(context.Background())
	k.folded = prometheus.NewCounter(prometheus.CounterOpts{Name: "attune_profile_events_total", Help: "Events that the profiles' followers read."})
	k.reads = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "attune_profile_reads_total", Help: "Reads of profiles by where the state was found."}, []string{"from"})
	if o.Registerer != nil {
		o.Registerer.MustRegister(k.folded, k.reads, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "attune_profiles_kept", Help: "Shoppers whose profile state is in memory.",
		}, k.kept), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "attune_profile_lag_events", Help: "Durable events that the profiles' followers have not read yet.",
		}, k.lag))
	}
	shops, err := o.Store.Shops(k.ctx)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	for _, id := range shops {
		k.shop(id)
	}
	return k, nil
}

// Close ends the followers, which write what they keep first.
func (k *Keeper) Close() error {
	k.stop()
	k.wg.Wait()
	return nil
}

// Settled reports whether every shop's follower has read the log to its end and
// goods are measured by all that was sold before the start.
func (k *Keeper) Settled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.shops {
		if !s.settled.Load() {
			return false
		}
	}
	return true
}

func (k *Keeper) kept() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := 0
	for _, s := range k.shops {
		n += s.entries.Len()
	}
	return float64(n)
}

// lag is how many events the followers are behind.
func (k *Keeper) lag() float64 {
	k.mu.Lock()
	shops := slices.Collect(maps.Values(k.shops))
	k.mu.Unlock()
	n := int64(0)
	for _, s := range shops {
		if end, err := k.o.Store.End(k.ctx, s.id); err == nil {
			n += max(0, end-1-s.seq.Load())
		}
	}
	return float64(n)
}

// shop is the shop's profiles, with a follower.
func (k *Keeper) shop(id features.ShopID) *shop {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.shops[id]
	if s == nil {
		s = newShop(k, id)
		k.shops[id] = s
		if k.ctx.Err() == nil {
			k.wg.Go(s.follow)
		}
	}
	return s
}

// Now is the time that profiles are made for.
func (k *Keeper) Now() time.Time { return k.o.Clock() }

// Engine compiles the expressions that are asked of profiles.
func (k *Keeper) Engine() *expr.Engine { return k.engine }

// Found is a profile and what it is made of. All of it is read-only.
type Found struct {
	Key     features.UserKey // of the person, through every link
	Profile *features.Profile
	Seq     int64 // the newest event taken in
	Consent features.Purposes
}

// Get is the profile of a user or session: store.ErrNotFound without events or
// without consent to personalisation. A profile may be ten minutes old as far as
// it follows the clock, and is never older than the events the follower read.
func (k *Keeper) Get(ctx context.Context, id features.ShopID, key features.UserKey) (Found, error) {
	if key.IsZero() {
		return Found{}, store.ErrNotFound
	}
	s := k.shop(id)
	if e, ok := s.entries.Get(key); ok { // who has a state is nobody else
		if f, ok := s.ready(key, e); ok {
			return f, nil
		}
	}
	key, err := s.resolve(ctx, key)
	if err != nil {
		return Found{}, err
	}
	f, err := s.get(ctx, key)
	if err == nil && f.Profile == nil {
		err = store.ErrNotFound
	}
	return f, err
}

// Known are those of keys whose profiles Each will tell of: the ones in memory.
// Others may have one too.
func (k *Keeper) Known(id features.ShopID, keys []features.UserKey) []features.UserKey {
	s := k.shop(id)
	out := make([]features.UserKey, 0, len(keys))
	for _, key := range keys {
		e, ok := s.entries.Peek(key)
		if !ok {
			continue
		}
		e.mu.Lock()
		if e.has() {
			out = append(out, key)
		}
		e.mu.Unlock()
	}
	return out
}

// Each calls f with the profiles of those keys that have one, as Get does, with
// their places among the keys. A profile is valid within f alone: none is kept
// that nobody kept before.
func (k *Keeper) Each(ctx context.Context, id features.ShopID, keys []features.UserKey, f func(at int, found *Found)) error {
	s := k.shop(id)
	var room features.Profile
	for i, key := range keys {
		if e, ok := s.entries.Get(key); ok {
			if found, ok := s.glance(key, e, &room); ok {
				f(i, &found)
				continue
			}
		}
		found, err := k.Get(ctx, id, key)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		f(i, &found)
	}
	return nil
}

// Kept is the profile of a user or session as it was last made, without reading
// or making anything; nil where none is in memory.
func (k *Keeper) Kept(id features.ShopID, key features.UserKey) *features.Profile {
	s := k.shop(id)
	if to, ok := s.links.Peek(key); ok {
		key = to
	}
	e, ok := s.entries.Peek(key)
	if !ok {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.made == nil {
		return nil
	}
	return e.made.profile
}

// Stored implements collect.Listener: there is something to read. Where events
// come faster than the follower reads them it returns a little later, so that
// senders, who wait for it, do not run ahead of the profiles.
func (k *Keeper) Stored(id features.ShopID, events []features.Event) {
	s := k.shop(id)
	s.wakeUp()
	if len(events) > 0 {
		s.await(events[len(events)-1].Seq)
	}
}

// Linked implements collect.Listener: what was concluded of the two apart no
// longer holds.
func (k *Keeper) Linked(id features.ShopID, alias, user features.UserKey) {
	s := k.shop(id)
	s.linking.Add(1)
	s.links.Remove(alias)
	s.stale(alias)
	s.mu.Lock()
	s.linked = append(s.linked, [2]features.UserKey{alias, user})
	s.mu.Unlock()
	s.wakeUp()
}

// Unlinked says that a link was taken back: what was concluded of the two
// together no longer holds.
func (k *Keeper) Unlinked(id features.ShopID, alias, person features.UserKey) {
	s := k.shop(id)
	s.linking.Add(1)
	s.links.Purge() // others may lead through the alias
	s.stale(alias)
	s.stale(person)
	s.unwrite()
	s.roster.add(person)
	ctx, cancel := context.WithTimeout(k.ctx, k.o.Load)
	defer cancel()
	if own, err := k.o.Store.HistoryOf(ctx, id, alias, nil, 1); err == nil && len(own) > 0 && own[0].User == alias {
		s.roster.add(alias) // a user again
	}
}

// Forget says that a user was changed: consent may have been given or taken.
// What was written of one who took it is taken away at once.
func (k *Keeper) Forget(id features.ShopID, key features.UserKey) {
	s := k.shop(id)
	ctx, cancel := context.WithTimeout(k.ctx, k.o.Load)
	defer cancel()
	consent, err := k.o.Store.Consent(ctx, id, key)
	if kept := s.stale(key); kept && (err != nil || !consent.Has(features.Personalisation)) {
		s.unwrite()
	}
}

// Erased forgets a person for good, in memory and on disk.
func (k *Keeper) Erased(id features.ShopID, key features.UserKey) {
	s := k.shop(id)
	s.linking.Add(1)
	s.links.Purge()
	s.entries.Remove(key)
	s.roster.remove(key)
	s.unwrite()
}

// Recount says that other events are in quarantine now. Who was ever flagged is
// read anew when asked for, and the follower measures the goods again.
func (k *Keeper) Recount(ctx context.Context, id features.ShopID) error {
	s := k.shop(id)
	suspects, err := k.o.Store.Suspects(ctx, id, time.Time{})
	if err != nil {
		return fmt.Errorf("recount profiles of shop %s: %w", id, err)
	}
	for _, key := range suspects {
		person, err := s.resolve(ctx, key)
		if err != nil {
			return fmt.Errorf("recount profiles of shop %s: %w", id, err)
		}
		s.stale(key)
		s.stale(person)
	}
	s.unwrite()
	s.recount.Store(true)
	s.wakeUp()
	return nil
}

// Changed says that the shop's catalogue changed.
func (k *Keeper) Changed(id features.ShopID) {
	s := k.shop(id)
	select {
	case s.goods <- struct{}{}:
	default:
	}
}
