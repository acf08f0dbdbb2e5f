// Package risk runs features/risk over the logs of a server's shops, now and
// then and when asked, keeps what is found in the store, and answers RiskService.
//
// It imports proto, features/store and server/api. Start reading at Keeper;
// service.go has the RPCs.
package risk

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
	"github.com/attune-rec/attune/features/store"
)

// Store is what a Keeper works on; *store.Store is one.
type Store interface {
	Shops(ctx context.Context) ([]features.ShopID, error)
	Scan(ctx context.Context, shop features.ShopID, from, to int64, f func(*features.Event) error) error
	PutFlags(ctx context.Context, shop features.ShopID, flags []risk.Flag, quarantine float64, actor string) ([]store.RiskFlag, error)
	DecideFlag(ctx context.Context, shop features.ShopID, id string, state store.RiskState, actor, note string) (store.RiskFlag, error)
	ListFlags(ctx context.Context, shop features.ShopID, state store.RiskState, after string, limit int) ([]store.RiskFlag, error)
	Audit(ctx context.Context, shop features.ShopID, a store.Audited) error
}

// Options are what a Keeper works with. Store is needed.
type Options struct {
	Store      Store
	Every      time.Duration         // between two looks at all logs; 0: only when asked
	Quarantine float64               // flags of this score and more are quarantined by themselves; 0: none
	Changed    func(features.ShopID) // told when what is withheld is another; nil: nobody
	Logger     *slog.Logger          // nil: slog.Default
	Registerer prometheus.Registerer
}

// Keeper looks for attacks. It is safe for concurrent use.
type Keeper struct {
	o     Options
	found *prometheus.GaugeVec
	one   sync.Mutex // one log is read at a time
}

// New returns a keeper; Run begins to look.
func New(o Options) *Keeper {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	k := &Keeper{o: o, found: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "attune_risk_flags", Help: "Flags that the last look at a shop's log found, by kind.",
	}, []string{"shop", "kind"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(k.found)
	}
	return k
}

// Run looks at every shop's log until ctx ends. It returns at once where Every
// is 0.
func (k *Keeper) Run(ctx context.Context) {
	if k.o.Every <= 0 {
		return
	}
	tick := time.NewTicker(k.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		shops, err := k.o.Store.Shops(ctx)
		for _, shop := range shops {
			if _, e := k.Assess(ctx, shop); e != nil {
				err = e
			}
		}
		if err != nil && ctx.Err() == nil {
			k.o.Logger.Error("looking for attacks failed; the next look tries again", "error", err)
		}
	}
}

// Assessment is what a look at a log found.
type Assessment struct{ Events, Flags, Quarantined int64 }

// Assess reads a shop's log and keeps what is found, each quarantine with an
// entry in the audit log.
func (k *Keeper) Assess(ctx context.Context, shop features.ShopID) (Assessment, error) {
	k.one.Lock()
	defer k.one.Unlock()
	var out Assessment
	a := risk.New(risk.Options{})
	err := k.o.Store.Scan(ctx, shop, 0, 0, func(e *features.Event) error {
		out.Events++
		a.Fold(e)
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("look for attacks in shop %s: %w", shop, err)
	}
	flags := a.Flags()
	out.Flags = int64(len(flags))
	for _, kind := range risk.Kinds() {
		n := 0
		for i := range flags {
			if flags[i].Kind == kind {
				n++
			}
		}
		k.found.WithLabelValues(string(shop), string(kind)).Set(float64(n))
	}
	if len(flags) == 0 {
		return out, nil
	}
	kept, err := k.o.Store.PutFlags(ctx, shop, flags, k.o.Quarantine, "server")
	if err != nil {
		return out, err
	}
	out.Quarantined = int64(len(kept))
	for i := range kept {
		entry := store.Audited{
			Actor: "server", Method: "/attune.v1.RiskService/QuarantineRiskFlag", Subject: kept[i].ID(),
			Detail: fmt.Sprintf("by itself: score %.2f", kept[i].Score),
		}
		if err := k.o.Store.Audit(ctx, shop, entry); err != nil {
			return out, err
		}
	}
	// Ranges of flags that were quarantined before may have grown as well.
	k.changed(shop)
	return out, nil
}

func (k *Keeper) changed(shop features.ShopID) {
	if k.o.Changed != nil {
		k.o.Changed(shop)
	}
}

// decide keeps a flag's events out or lets them in.
func (k *Keeper) decide(ctx context.Context, shop features.ShopID, id string, state store.RiskState, actor, note string) (store.RiskFlag, error) {
	f, err := k.o.Store.DecideFlag(ctx, shop, id, state, actor, note)
	if err == nil {
		k.changed(shop)
	}
	return f, err
}
