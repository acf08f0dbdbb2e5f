// Package shopper keeps the live state of shoppers: what each did lately and
// agreed to, in a cache filled from the store and kept fresh by the events just
// collected, so that a shopper's next answer reflects what they just did.
//
// Histories are kept in the shop's own ids, so that a swap of releases costs a
// new view of them and not a new read. It imports features, features/history
// and features/store.
// Start reading at Cache.Get.
package shopper

import (
	"context"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// History is where the past is read from.
type History interface {
	History(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error)
	Aliases(ctx context.Context, shop features.ShopID, user features.UserKey) ([]features.UserKey, error)
	// Opinions is the newest events Hide, Dislike and Like, oldest first.
	Opinions(ctx context.Context, shop features.ShopID, key features.UserKey, limit int) ([]features.Event, error)
}

// Consents is what persons agreed to.
type Consents interface {
	// ConsentIn is what they said, or the default of the market.
	ConsentIn(ctx context.Context, shop features.ShopID, key features.UserKey, market string) (features.Purposes, error)
}

// Options are what a Cache works with. History and Consents are needed.
type Options struct {
	History    History
	Consents   Consents
	Size       int           // shoppers kept; 0: 100,000
	Load       time.Duration // a read of the store may take so long; 0: 500 ms
	Memory     int           // bytes that models may keep of all shoppers between answers; 0: 256 MB
	Registerer prometheus.Registerer
}

// Cache is the live state of the shoppers of all shops. It is safe for
// concurrent use.
type Cache struct {
	o       Options
	entries *lru.Cache[id, *entry]
	kept    *features.Memories
	reads   *prometheus.CounterVec
}

type id struct {
	shop features.ShopID
	key  features.UserKey
}

// New returns an empty cache.
func New(o Options) (*Cache, error) {
	if o.History == nil || o.Consents == nil {
		return nil, errors.New("shopper cache: history and consents are needed")
	}
	if o.Size <= 0 {
		o.Size = 100_000
	}
	if o.Load <= 0 {
		o.Load = 500 * time.Millisecond
	}
	if o.Memory <= 0 {
		o.Memory = 256 << 20
	}
	entries, err := lru.NewWithEvict(o.Size, func(_ id, e *entry) { e.forget() })
	if err != nil {
		return nil, fmt.Errorf("shopper cache: %w", err)
	}
	c := &Cache{o: o, entries: entries, kept: features.NewMemories(o.Memory), reads: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "attune_shopper_reads_total", Help: "Reads of shoppers' state by where it was found.",
	}, []string{"from"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(c.reads, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "attune_shoppers_cached", Help: "Shoppers whose state is in memory.",
		}, func() float64 { return float64(entries.Len()) }), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "attune_shoppers_kept_bytes", Help: "What models keep of shoppers between answers.",
		}, func() float64 { return float64(c.kept.Bytes()) }))
	}
	return c, nil
}

// View is the rows that a shopper's history is wanted in.
type View struct {
	Release string           // the version the rows belong to
	Items   features.Catalog // of that version, with its live tail
	Market  string           // where the shopper is now, for the default of consent
}

// Get is the state of a user, of a session, or of both as one: the user's
// history with what was done in the session before they were known. It is nil
// when neither is given, and read-only. An event that was durable before the
// call is in it.
func (c *Cache) Get(ctx context.Context, shop features.ShopID, user, session features.UserKey, v View) (*features.Shopper, error) {
	switch {
	case user.IsZero() && session.IsZero():
		return nil, nil
	case user.IsZero():
		return c.one(ctx, id{shop, session}, v)
	case session.IsZero():
		return c.one(ctx, id{shop, user}, v)
	}
	known, err := c.load(ctx, id{shop, user}, v.Market)
	if err != nil {
		return nil, err
	}
	if who := known.unasked(v); who != nil {
		return who, nil
	}
	visit, err := c.load(ctx, id{shop, session}, v.Market)
	if err != nil {
		return nil, err
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if visit != known {
		visit.mu.Lock()
		defer visit.mu.Unlock()
		if visit.strangerTo(known) {
			return visit.merged(known, v), nil
		}
	}
	return known.shopper(v), nil
}

func (c *Cache) one(ctx context.Context, k id, v View) (*features.Shopper, error) {
	e, err := c.load(ctx, k, v.Market)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shopper(v), nil
}

// load is the entry of k with its history read.
func (c *Cache) load(ctx context.Context, k id, market string) (*entry, error) {
	e, ok := c.entries.Get(k)
	if !ok {
		e = &entry{key: k.key, memory: c.kept.New(), together: c.kept.New()}
		if before, found, _ := c.entries.PeekOrAdd(k, e); found {
			e = before
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loaded && e.market == market {
		c.reads.WithLabelValues("memory").Inc()
		return e, nil
	}
	c.reads.WithLabelValues("store").Inc()
	ctx, cancel := context.WithTimeout(ctx, c.o.Load)
	defer cancel()
	consent, err := c.o.Consents.ConsentIn(ctx, k.shop, k.key, market)
	if err != nil {
		return nil, fmt.Errorf("read shopper's consent: %w", err)
	}
	e.market = market
	if e.loaded && consent == e.consent {
		return e, nil // another market, and the same holds
	}
	if !consent.Has(features.Personalisation) {
		e.fill(nil, nil, nil, consent) // nothing of them is read
		return e, nil
	}
	events, err := c.history(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("read shopper's history: %w", err)
	}
	aliases, err := c.o.History.Aliases(ctx, k.shop, k.key)
	if err != nil {
		return nil, fmt.Errorf("read shopper's history: %w", err)
	}
	opinions, err := c.o.History.Opinions(ctx, k.shop, k.key, maxEvents)
	if err != nil {
		return nil, fmt.Errorf("read what the shopper hid: %w", err)
	}
	e.fill(events, opinions, aliases, consent)
	return e, nil
}

// maxEvents bounds the search for a full history among impressions and the like.
const maxEvents = 1 << 14

// history is enough of the newest events to fill a book, or all there are.
func (c *Cache) history(ctx context.Context, k id) ([]features.Event, error) {
	for limit := 2 * features.HistoryCap; ; limit *= 4 {
		events, err := c.o.History.History(ctx, k.shop, k.key, limit)
		if err != nil || len(events) < limit || limit >= maxEvents {
			return events, err
		}
		kept := 0
		for i := range events {
			if e := &events[i]; e.Item != "" && e.Type.AboutItem() && e.Type != features.Impression {
				kept++
			}
		}
		if kept >= features.HistoryCap {
			return events, nil
		}
	}
}

// Stored takes durable events into the states they concern. It implements
// collect.Listener.
func (c *Cache) Stored(shop features.ShopID, events []features.Event) {
	for i := range events {
		ev := &events[i]
		c.add(id{shop, ev.User}, ev)
		if ev.Session != ev.User {
			c.add(id{shop, ev.Session}, ev)
		}
	}
}

func (c *Cache) add(k id, ev *features.Event) {
	if k.key.IsZero() {
		return
	}
	e, ok := c.entries.Peek(k)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loaded {
		e.add(ev)
	}
}

// Linked forgets what the two were before they were one.
func (c *Cache) Linked(shop features.ShopID, alias, user features.UserKey) {
	c.Forget(shop, alias)
	c.Forget(shop, user)
}

// Forget makes the next Get read the store: consent was given or taken, or
// something was erased.
func (c *Cache) Forget(shop features.ShopID, key features.UserKey) {
	e, ok := c.entries.Peek(id{shop, key})
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loaded = false
	e.forget()
}

// Clear forgets everyone.
func (c *Cache) Clear() { c.entries.Purge() }

var _ Consents = (*store.Store)(nil)
