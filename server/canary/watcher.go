package canary

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/attune-rec/attune/features"
)

// State is what a shop serves, as a Watcher is told.
type State struct {
	Number int64  // of the serving state
	Stable string // version
	Canary string // "" when there is none
	Before string // what was served before Stable; "" when nothing was
}

// Back is a way back from a release.
type Back struct {
	Shop    features.ShopID
	State   int64  // the serving state that was judged: another has its own judgement
	Release string // the one that has to go
	To      string // the one to go to; "" ends the canary
	Verdict Verdict
}

// Options are what a Watcher works with. Roll is needed.
type Options struct {
	Limits
	Window time.Duration // that is judged; 0: 30 s
	// Trial is how long a release is judged after it was promoted to all; 0:
	// 5 min. A canary is judged as long as it is one.
	Trial time.Duration
	// Settle is how long the answers of a release count as cold after it began to be
	// served; 0: 5 s. What fails or is empty counts at once.
	Settle time.Duration
	// Roll goes back. What it could not do is tried again at the next look.
	Roll       func(ctx context.Context, b Back) error
	Registerer prometheus.Registerer // nil: nothing is measured
	Clock      func() time.Time      // nil: time.Now
	Logger     *slog.Logger          // nil: slog.Default
}

// Watcher counts what becomes of questions, by release. It is safe for
// concurrent use.
type Watcher struct {
	o       Options
	rolled  *prometheus.CounterVec
	answers *prometheus.CounterVec

	mu    sync.Mutex
	shops map[features.ShopID]*watched
}

// watched is a shop's releases under judgement.
type watched struct {
	state    State
	stable   *window
	canary   *window
	cold     time.Time // until then the answers of stable are
	coldly   time.Time // until then the answers of canary are
	baseline *Tally    // what a promoted release has to be as good as; nil: nothing is known
	until    time.Time // its trial ends
	done     bool      // state was gone back from
}

// New returns a watcher of no shops.
func New(o Options) *Watcher {
	if o.Window <= 0 {
		o.Window = 30 * time.Second
	}
	if o.Trial <= 0 {
		o.Trial = 5 * time.Minute
	}
	if o.Settle <= 0 {
		o.Settle = 5 * time.Second
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	w := &Watcher{
		o: o, shops: map[features.ShopID]*watched{},
		rolled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_release_rolled_back_total", Help: "Releases that the server went back from by itself, by cause: failed, empty, late.",
		}, []string{"shop", "cause"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "attune_release_judged_total", Help: "Answers that releases are judged by: of the stable one or the canary, and how they were.",
		}, []string{"shop", "release", "how"}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(w.rolled, w.answers)
	}
	return w
}

// Serves tells what a shop serves from now on. What was counted of releases
// that stay is kept.
func (w *Watcher) Serves(shop features.ShopID, s State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.o.Clock()
	old := w.shops[shop]
	if old != nil && old.state == s {
		return
	}
	warm := now.Add(w.o.Settle)
	next := &watched{state: s, stable: w.window(), canary: w.window(), cold: warm, coldly: warm}
	if old != nil {
		if old.state.Canary == s.Canary {
			next.canary, next.coldly = old.canary, old.coldly
		}
		switch s.Stable {
		case old.state.Stable:
			next.stable, next.cold, next.baseline, next.until = old.stable, old.cold, old.baseline, old.until
		case old.state.Before: // gone back: that one is known to be good
		default:
			next.baseline, next.until = old.stable.sum(now), now.Add(w.o.Trial)
		}
	}
	w.shops[shop] = next
}

func (w *Watcher) window() *window { return &window{length: w.o.Window} }

// Observe counts an outcome of a release of a shop.
func (w *Watcher) Observe(shop features.ShopID, version string, o Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.shops[shop]
	if x == nil {
		return
	}
	now := w.o.Clock()
	switch version {
	case x.state.Canary:
		o.Cold = o.Cold || now.Before(x.coldly)
		x.canary.add(o, now)
		w.count(shop, "canary", o)
	case x.state.Stable:
		o.Cold = o.Cold || now.Before(x.cold)
		x.stable.add(o, now)
		w.count(shop, "stable", o)
	}
}

func (w *Watcher) count(shop features.ShopID, release string, o Outcome) {
	how := "well"
	switch {
	case o.Failed:
		how = CauseFailed
	case o.Empty:
		how = CauseEmpty
	}
	w.answers.WithLabelValues(string(shop), release, how).Inc()
}

// Look judges every shop, and goes back where it has to.
func (w *Watcher) Look(ctx context.Context) {
	for _, b := range w.judge() {
		if err := w.o.Roll(ctx, b); err != nil {
			w.o.Logger.ErrorContext(ctx, "a release does worse and cannot be gone back from", "shop", b.Shop, "release", b.Release, "why", b.Verdict.Text, "error", err)
			continue
		}
		w.rolled.WithLabelValues(string(b.Shop), b.Verdict.Cause).Inc()
		w.o.Logger.WarnContext(ctx, "went back from a release that did worse", "shop", b.Shop, "release", b.Release, "why", b.Verdict.Text)
		w.mu.Lock()
		if x := w.shops[b.Shop]; x != nil && x.state.Number == b.State {
			x.done = true
		}
		w.mu.Unlock()
	}
}

func (w *Watcher) judge() (back []Back) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.o.Clock()
	for shop, x := range w.shops {
		s := x.state
		b := Back{Shop: shop, State: s.Number}
		stable := x.stable.sum(now)
		switch {
		case x.done:
			continue
		case s.Canary != "":
			b.Release, b.Verdict = s.Canary, w.o.Judge(x.canary.sum(now), stable)
		case s.Before != "" && x.baseline != nil && x.baseline.n > 0 && now.Before(x.until):
			b.Release, b.To, b.Verdict = s.Stable, s.Before, w.o.Judge(stable, x.baseline)
		}
		if b.Verdict.Cause != "" {
			back = append(back, b)
		}
	}
	return back
}

// Run looks every so often until ctx ends.
func (w *Watcher) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.Look(ctx)
		}
	}
}
