// Package lately remembers what was answered a little while ago: to each
// shopper, so that the same items do not come again and again, and of each
// item, with what came of it, so that new ones can be explored.
//
// It is kept in memory and begins anew with the server; the record of an answer
// is the journal's. It imports features. Start reading at Keeper.
package lately

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/attune-rec/attune/features"
)

// Options say how much is remembered. The zero value of a field means its
// default.
type Options struct {
	Shoppers int           // whose answers are remembered; 0: 100,000
	Items    int           // of a shopper's answers, the newest; 0: 60
	For      time.Duration // 0: 7 days
	Examine  float64       // the chance to look at place k is taken to be 1/k^Examine; 0: 0.7
}

// Keeper remembers for all shops. It is safe for concurrent use.
type Keeper struct {
	o     Options
	shown *lru.Cache[id, *ring]
	shops sync.Map // features.ShopID -> *trials
	looks []float64
}

type id struct {
	shop features.ShopID
	key  features.UserKey
}

// New returns a keeper that remembers nothing yet.
func New(o Options) (*Keeper, error) {
	if o.Shoppers == 0 {
		o.Shoppers = 100_000
	}
	if o.Items == 0 {
		o.Items = 60
	}
	if o.For == 0 {
		o.For = 7 * 24 * time.Hour
	}
	if o.Examine == 0 {
		o.Examine = .7
	}
	if o.Shoppers < 0 || o.Items < 0 || o.For < 0 || o.Examine < 0 {
		return nil, errors.New("what is remembered lately: expected nothing below 0")
	}
	shown, err := lru.New[id, *ring](o.Shoppers)
	if err != nil {
		return nil, err
	}
	k := &Keeper{o: o, shown: shown}
	for place := range 200 {
		k.looks = append(k.looks, math.Pow(float64(place+1), -o.Examine))
	}
	return k, nil
}

// ring is the newest items that one shopper was answered.
type ring struct {
	mu   sync.Mutex
	all  []entry
	next int // where the next goes, once all is full
}

type entry struct {
	item    string
	row     features.Row
	release string // whose row it is
	timeMS  int64
}

// View is what a request is told. Its memory may be used again.
type View struct {
	shown  []features.Shown
	trials *trials
	items  features.Catalog
}

// Trial implements features.Trials.
func (v *View) Trial(row features.Row) (looks, clicks float64) {
	return v.trials.of(v.items.ID(row))
}

// Fill adds to a request what its shopper was answered lately, where they agreed
// to be remembered, and what came of showing items. The request uses v.
func (k *Keeper) Fill(r *features.Request, release string, v *View) {
	v.trials, v.items = k.trials(r.Shop), r.Catalog
	r.Trials = v
	v.shown = v.shown[:0]
	if r.Shopper == nil || r.Shopper.Key.IsZero() || !r.Shopper.Consent.Has(features.Personalisation) {
		return
	}
	m, ok := k.shown.Get(id{r.Shop, r.Shopper.Key})
	if !ok {
		return
	}
	since := r.Now.Add(-k.o.For).UnixMilli()
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.all {
		e := &m.all[(m.next+i)%len(m.all)]
		if e.timeMS < since {
			continue
		}
		if e.release != release {
			row, ok := r.Catalog.Row(e.item)
			if !ok {
				continue
			}
			e.row, e.release = row, release
		}
		v.shown = append(v.shown, features.Shown{Row: e.row, TimeMS: e.timeMS})
	}
	r.Shown = v.shown
}

// Answered notes what a request was answered, in the order of the places.
func (k *Keeper) Answered(r *features.Request, release string, rows []features.Row) {
	t := k.trials(r.Shop)
	for place, row := range rows {
		t.add(r.Catalog.ID(row), k.looks[min(place, len(k.looks)-1)], 0)
	}
	if r.Shopper == nil || r.Shopper.Key.IsZero() || !r.Shopper.Consent.Has(features.Personalisation) {
		return
	}
	who := id{r.Shop, r.Shopper.Key}
	m, ok := k.shown.Get(who)
	if !ok {
		m = new(ring)
		if before, found, _ := k.shown.PeekOrAdd(who, m); found {
			m = before
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, row := range rows {
		e := entry{item: r.Catalog.ID(row), row: row, release: release, timeMS: r.Now.UnixMilli()}
		if len(m.all) < k.o.Items {
			m.all = append(m.all, e)
			continue
		}
		m.all[m.next] = e
		m.next = (m.next + 1) % len(m.all)
	}
}

// Stored counts clicks on what was answered. It has the form of collect's
// Listener.
func (k *Keeper) Stored(shop features.ShopID, events []features.Event) {
	for i := range events {
		if e := &events[i]; e.Type == features.Click && e.Recommendation != "" && e.Item != "" {
			k.trials(shop).add(e.Item, 0, 1)
		}
	}
}

// Linked forgets what the two were answered before they were one.
func (k *Keeper) Linked(shop features.ShopID, alias, user features.UserKey) {
	k.Forget(shop, alias)
	k.Forget(shop, user)
}

// Forget forgets what a shopper was answered.
func (k *Keeper) Forget(shop features.ShopID, key features.UserKey) { k.shown.Remove(id{shop, key}) }

func (k *Keeper) trials(shop features.ShopID) *trials {
	if v, ok := k.shops.Load(shop); ok {
		return v.(*trials)
	}
	v, _ := k.shops.LoadOrStore(shop, new(trials))
	return v.(*trials)
}

// trials is what came of showing a shop's items.
type trials struct{ items sync.Map } // id -> *cell

type cell struct{ looks, clicks atomic.Uint64 } // bits of float64

// enough is how many looks are remembered: with more, both numbers are halved,
// so that what was long ago fades.
const enough = 5000

func (t *trials) of(item string) (looks, clicks float64) {
	v, ok := t.items.Load(item)
	if !ok {
		return 0, 0
	}
	c := v.(*cell)
	return math.Float64frombits(c.looks.Load()), math.Float64frombits(c.clicks.Load())
}

func (t *trials) add(item string, looks, clicks float64) {
	v, ok := t.items.Load(item)
	if !ok {
		if looks == 0 {
			return // a click on what was answered before this server ran
		}
		v, _ = t.items.LoadOrStore(item, new(cell))
	}
	c := v.(*cell)
	if clicks != 0 {
		change(&c.clicks, func(n float64) float64 { return n + clicks })
	}
	if looks != 0 && change(&c.looks, func(n float64) float64 { return n + looks }) > enough {
		change(&c.looks, func(n float64) float64 { return n / 2 })
		change(&c.clicks, func(n float64) float64 { return n / 2 })
	}
}

func change(at *atomic.Uint64, f func(float64) float64) float64 {
	for {
		old := at.Load()
		n := f(math.Float64frombits(old))
		if at.CompareAndSwap(old, math.Float64bits(n)) {
			return n
		}
	}
}
