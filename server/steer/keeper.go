// Package steer keeps the rules of shops: stored durably, compiled, warmed for
// the catalogue, and swapped in as a whole, so that a change holds for the next
// answer and no answer sees half of one.
//
// Rules that cannot be read let nothing through: what a shop may not show is
// not shown because a disk failed. The answer says so, and reading is tried
// again.
//
// It imports features/store and models/pipeline/rule. Start reading at Keeper.
package steer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
)

// Options are what a Keeper works with. Store is needed.
type Options struct {
	Store      store.RuleSets
	Load       time.Duration         // a read of the store may take so long; 0: 2 s
	Again      time.Duration         // after a read failed, the next comes so much later; 0: 1 s
	Logger     *slog.Logger          // nil: slog.Default
	Registerer prometheus.Registerer // nil: nothing is counted
}

// Keeper has the rules of all shops. It is a pipeline.Steerer and safe for
// concurrent use.
type Keeper struct {
	o      Options
	engine *expr.Engine
	closed *rule.Rules // what holds where rules cannot be read
	shops  sync.Map    // features.ShopID -> *shop
	active *prometheus.GaugeVec
	failed *prometheus.CounterVec
}

// shop is the rules of one shop.
type shop struct {
	rules   atomic.Pointer[rule.Rules]
	markets sync.Map // that were asked about: string -> nil
	asked   atomic.Int32

	mu     sync.Mutex // of what follows, and of changes
	loaded bool
	failed time.Time
	items  []features.Catalog // seen last, newest first
}

// What is kept of a shop for warming.
const (
	keptMarkets    = 32
	keptCatalogues = 3
)

// New returns a keeper that reads rules when a shop is first asked about.
func New(o Options) (*Keeper, error) {
	if o.Load <= 0 {
		o.Load = 2 * time.Second
	}
	if o.Again <= 0 {
		o.Again = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	engine, err := expr.New()
	if err != nil {
		return nil, err
	}
	k := &Keeper{
		o: o, engine: engine,
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "attune_rules_active", Help: "Rules of a shop that are not off."}, []string{"shop"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_rules_unreadable_total", Help: "Reads of a shop's rules that failed, or that found rules which cannot run.",
		}, []string{"shop"}),
	}
	// A filter without a condition cannot run, and so lets nothing through.
	k.closed, _ = rule.Compile(engine, []rule.Set{{ID: "store", Rules: []rule.Rule{{Name: "unreadable", Action: rule.Filter}}}})
	if o.Registerer != nil {
		o.Registerer.MustRegister(k.active, k.failed)
	}
	return k, nil
}

// Steer implements pipeline.Steerer.
func (k *Keeper) Steer(r *features.Request) pipeline.Steering {
	sh := k.shop(r.Shop)
	if sh.asked.Load() < keptMarkets {
		if _, known := sh.markets.LoadOrStore(r.Market, nil); !known {
			sh.asked.Add(1)
		}
	}
	rules := sh.rules.Load()
	if rules == nil {
		if rules = k.first(r.Shop, sh); rules == nil {
			rules = k.closed
		}
	}
	return rules.Steer(r)
}

func (k *Keeper) shop(id features.ShopID) *shop {
	if v, ok := k.shops.Load(id); ok {
		return v.(*shop)
	}
	v, _ := k.shops.LoadOrStore(id, new(shop))
	return v.(*shop)
}

// first reads the rules of a shop that was not asked about before; nil when
// that fails.
func (k *Keeper) first(id features.ShopID, sh *shop) *rule.Rules {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.loaded || time.Since(sh.failed) < k.o.Again {
		return sh.rules.Load()
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.o.Load) //nolint:contextcheck // for all requests, not for one
	defer cancel()
	if err := k.reload(ctx, id, sh); err != nil {
		sh.failed = time.Now()
		k.failed.WithLabelValues(string(id)).Inc()
		k.o.Logger.Error("rules could not be read: nothing is answered until they can", "shop", id, "error", err)
	}
	return sh.rules.Load()
}

// reload reads, compiles and warms the rules, and swaps them in. The caller
// holds sh.mu.
func (k *Keeper) reload(ctx context.Context, id features.ShopID, sh *shop) error {
	sets, err := k.sets(ctx, id)
	if err != nil {
		return err
	}
	plain := make([]rule.Set, len(sets))
	for i := range sets {
		plain[i] = sets[i].Set
	}
	rules, err := rule.Compile(k.engine, plain)
	if err != nil { // they were checked when they were stored: this program reads them otherwise
		k.failed.WithLabelValues(string(id)).Inc()
		k.o.Logger.Error("rules cannot run: filters among them let nothing through", "shop", id, "error", err)
	}
	k.warm(sh, rules)
	sh.rules.Store(rules)
	sh.loaded = true
	k.active.WithLabelValues(string(id)).Set(float64(rules.Len()))
	return nil
}

// warm makes what rules keep of the catalogues in use. The caller holds sh.mu.
func (k *Keeper) warm(sh *shop, rules *rule.Rules) {
	if rules.Len() == 0 {
		return
	}
	var markets []string
	sh.markets.Range(func(m, _ any) bool {
		if m != "" {
			markets = append(markets, m.(string))
		}
		return true
	})
	for i := len(sh.items) - 1; i >= 0; i-- { // the newest last, so that it is kept
		rules.Warm(sh.items[i], markets...)
	}
}

// Warm prepares the rules of a shop for a catalogue before it is served.
func (k *Keeper) Warm(ctx context.Context, id features.ShopID, items features.Catalog) {
	sh := k.shop(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := sh.items
	sh.items = append(make([]features.Catalog, 0, keptCatalogues), items)
	for _, c := range kept {
		if c != items && len(sh.items) < keptCatalogues {
			sh.items = append(sh.items, c)
		}
	}
	if rules := sh.rules.Load(); rules != nil && rules.Len() > 0 {
		var markets []string
		sh.markets.Range(func(m, _ any) bool {
			if m != "" {
				markets = append(markets, m.(string))
			}
			return true
		})
		rules.Prepare(pace.Of(ctx), items, markets...)
	}
}

// Trial is the shop's rules with one set in the place of the stored one of the
// same id, and without another; set nil: none is put in. What is wrong with the
// set is a *rule.Fault.
func (k *Keeper) Trial(ctx context.Context, id features.ShopID, set *rule.Set, without string) (now, then *rule.Rules, err error) {
	stored, err := k.sets(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	var before, after []rule.Set
	found := without == ""
	for i := range stored {
		before = append(before, stored[i].Set)
		found = found || stored[i].ID == without
		if stored[i].ID != without && (set == nil || stored[i].ID != set.ID) {
			after = append(after, stored[i].Set)
		}
	}
	if !found {
		return nil, nil, fmt.Errorf("rule set %q: %w", without, store.ErrNotFound)
	}
	if now, err = rule.Compile(k.engine, before); now == nil {
		return nil, nil, err
	}
	if set != nil {
		after = append(after, *set)
	}
	then, err = rule.Compile(k.engine, after)
	if err = faultOf(set, err); err != nil {
		return nil, nil, err
	}
	return now, then, nil
}
