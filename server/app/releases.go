package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/auth"
	"github.com/attune-rec/attune/server/engine"
	"github.com/attune-rec/attune/server/live"
	"github.com/attune-rec/attune/server/recommend"
)

// served is what requests get their release from.
type served struct{ set *live.Set[*engine.Engine] }

// Acquire implements recommend.Releases.
func (s served) Acquire(ctx context.Context, shop features.ShopID, key features.UserKey) (recommend.Release, error) {
	var who []byte
	if !key.IsZero() {
		who = key[:]
	}
	l, err := s.set.Acquire(ctx, shop, who)
	if errors.Is(err, live.ErrNotServed) {
		return nil, fmt.Errorf("shop %s: %w", shop, recommend.ErrNoRelease)
	}
	if err != nil {
		return nil, err
	}
	return lease{l}, nil
}

// lease is a release held for one request.
type lease struct{ *live.Loaded[*engine.Engine] }

// Catalog implements recommend.Release.
func (l lease) Catalog() features.Catalog { return l.Value.Catalog() }

// Surfaces implements recommend.Release.
func (l lease) Surfaces() []string { return l.Value.Surfaces() }

// Pipeline implements recommend.Release.
func (l lease) Pipeline(surface string) recommend.Pipeline {
	if p := l.Value.Pipeline(surface); p != nil {
		return p
	}
	return nil
}

// kinds finds a kind of model.
func kinds(name string) (models.Kind, bool) {
	k, err := kind.Of(name)
	return k, err == nil
}

// probe answers a few requests with a new release before anyone else does: for
// nobody and for a shopper who did something with its first items, on every
// surface. A part that fails keeps the old release.
func probe(ctx context.Context, l *live.Loaded[*engine.Engine]) error {
	someone := question(l, 0)
	nobody := someone
	nobody.Shopper = nil
	var ans pipeline.Answer
	for _, surface := range l.Value.Surfaces() {
		for _, r := range []features.Request{nobody, someone} {
			r.Surface = surface
			if err := l.Value.Pipeline(surface).Answer(ctx, &r, &ans); err != nil {
				return fmt.Errorf("surface %s: %w", surface, err)
			}
			for _, d := range ans.Degraded {
				if d.Why == "error" && d.Component != engine.Milvus { // the cluster may be down; a release is not refused for that
					return fmt.Errorf("surface %s: component %s fails", surface, d.Component)
				}
			}
		}
	}
	return nil
}

// question is one of a shopper who bought three items from row at on, on the
// page of the first of them and with it in the cart.
func question(l *live.Loaded[*engine.Engine], at int) features.Request {
	items := l.Value.Catalog()
	r := features.Request{
		Query:   features.Query{Shop: l.Release.Manifest.Shop, Now: l.Release.Manifest.Created, Limit: 10},
		Shopper: &features.Shopper{Consent: features.AllPurposes}, Item: features.NoRow, Catalog: items,
	}
	for i := range min(3, items.Len()) {
		row := features.Row((at + i) % items.Len())
		r.Shopper.Recent = append(r.Shopper.Recent, features.Interaction{Row: row, Type: features.Purchase, Quantity: 1, TimeMS: int64(i)})
	}
	if items.Len() > 0 {
		r.Item = r.Shopper.Recent[0].Row
		r.Cart = []features.Row{r.Item}
	}
	return r
}

// warmFor is how long a release is warmed at most.
const warmFor = 10 * time.Second

// warm has a new release answer for shoppers all over its catalogue, and what was
// asked lately, so that the first who wait for it find its pages, pools and
// connections ready. What fails is for probe to judge.
func (s *Server) warm(ctx context.Context, l *live.Loaded[*engine.Engine]) error {
	ctx, cancel := context.WithTimeout(ctx, warmFor)
	defer cancel()
	n := l.Value.Catalog().Len()
	job := pace.Of(ctx)
	markets := s.markets(l, job)
	questions := s.config.Warm
	if questions > 0 {
		questions = max(questions, len(markets))
	}
	var ans pipeline.Answer
	for _, surface := range l.Value.Surfaces() {
		for i := range questions {
			if ctx.Err() != nil {
				return nil // warm enough
			}
			r := question(l, i*n/questions)
			r.State = s.signals.State(r.Shop)
			r.Surface, r.Market = surface, markets[i%len(markets)]
			if err := l.Value.Pipeline(surface).Answer(ctx, &r, &ans); err != nil && ctx.Err() == nil {
				return fmt.Errorf("surface %s: %w", surface, err)
			}
			job.Look()
		}
	}
	if rec := s.answers.Load(); rec != nil && questions > 0 {
		rec.Rehearse(ctx, l.Release.Manifest.Shop, lease{l}, job)
	}
	tidy()
	return nil
}

// prepared makes what is kept of a catalogue by itself, before it is served.
func (s *Server) prepared(ctx context.Context, shop features.ShopID, items features.Catalog) {
	s.rules.Warm(ctx, shop, items)
	s.signals.Prepare(ctx, shop, items)
}

// warmMarkets bounds the markets whose charts are made before a release is served.
const warmMarkets = 32

// markets is the unknown market, those of the newest events, and those that most
// items are sold in.
func (s *Server) markets(l *live.Loaded[*engine.Engine], job *pace.Job) []string {
	count := map[string]int{}
	items := l.Value.Catalog()
	for row := range features.Row(items.Len()) { // #nosec G115 -- rows
		job.Step()
		if it := items.Item(row); it != nil {
			for _, m := range it.Markets {
				count[m]++
			}
		}
	}
	sold := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	all := []string{""}
	for _, m := range slices.Concat(s.trends.Markets(l.Release.Manifest.Shop), sold) {
		if len(all) < warmMarkets && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}

// releaseService promotes and rolls back. Where large models are in Milvus, a
// promotion fills it first, and its aliases follow.
func (s *Server) releaseService(tokens *api.Tokens) (*api.Releases, error) {
	limits, err := parseFairLimits(s.config.FairLimit)
	if err != nil {
		return nil, err
	}
	r := &api.Releases{Store: s.releases, Kinds: kinds, Service: s.set, Tokens: tokens, Limits: limits, Pace: &s.pacer}
	r.Despite = func(ctx context.Context, shop features.ShopID, version, why string) error {
		return s.store.Audit(ctx, shop, store.Audited{
			Actor: auth.From(ctx).ID, Method: attunev1.ReleaseService_PromoteRelease_FullMethodName, Subject: version, Detail: why,
		})
	}
	if s.cluster != nil {
		r.Prepare = func(ctx context.Context, r *release.Release) error {
			_, err := s.cluster.Fill(ctx, r, nil)
			return err
		}
		r.Taken = s.pointed
	}
	return r, nil
}

// pointed makes the aliases in Milvus follow what a shop serves. Nothing that
// the server does depends on them.
func (s *Server) pointed(ctx context.Context, shop features.ShopID) {
	err := func() error {
		past, err := release.History(ctx, s.releases, shop, release.Remembered)
		if err != nil || len(past) == 0 {
			return err
		}
		l, err := s.set.Acquire(ctx, shop, nil)
		if err != nil {
			return err
		}
		defer l.Done()
		if l.Version() != past[len(past)-1].Stable {
			return nil // another change is on its way
		}
		return s.cluster.Point(ctx, s.cluster.Names(l.Release), milvus.Needed(past))
	}()
	if err != nil {
		s.log.ErrorContext(ctx, "the aliases in milvus do not follow what is served: run 'trainer promote' again", "shop", shop, "error", err)
	}
}

func notServed(err error) bool { return errors.Is(err, live.ErrNotServed) }
