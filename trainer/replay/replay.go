// Package replay answers the past: it puts the purchase sessions of a shop's
// log, one by one, to the very pipeline that serves, each with what was known
// just before it, and judges the answers by what was bought.
//
// It imports features and models. Start reading at Run; sessions.go says what a
// session is and what is known before it, report.go what is told.
package replay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/kit"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector"
)

// ErrNothing is returned for a log without a session to be judged on.
var ErrNothing = errors.New("nothing to judge on")

// ErrSeen is returned for a release that learnt from the sessions it is to be
// judged on.
var ErrSeen = errors.New("the release has seen the answers")

// Store is what is read of a store; features/store is one.
type Store interface {
	dataset.Log
	Consent(ctx context.Context, shop features.ShopID, key features.UserKey) (features.Purposes, error)
}

// Subject is what is judged: models that learnt from what happened before the
// window, and the recipe that answers with them.
type Subject struct {
	Name   string
	Items  *catalog.Snapshot
	Models []models.Part
	Recipe models.Recipe
}

// Of is the surface of an opened release as a subject, valid while the release
// is open. It reports ErrSeen where the release learnt from events at or after
// from.
func Of(r *release.Release, surface string, from time.Time) (Subject, error) {
	if to := r.Manifest.Lineage.DataTo; !to.Before(from) {
		return Subject{}, fmt.Errorf("%w: %s learnt from events up to %s and the window begins at %s: judge on later days, or one that was trained with --train-until %s",
			ErrSeen, r.Version(), to.Format(time.RFC3339), from.Format(time.RFC3339), from.Format(time.RFC3339))
	}
	recipe, ok := r.Recipe(surface)
	if !ok {
		var known []string
		for i := range r.Recipes {
			known = append(known, r.Recipes[i].Surface)
		}
		return Subject{}, fmt.Errorf("%w: release %s has no surface %q: expected one of %s", models.ErrRecipe, r.Version(), surface, pipeline.List(known))
	}
	items, err := catalog.Of(r.Items)
	if err != nil {
		return Subject{}, err
	}
	return Subject{Name: r.Version(), Items: items, Models: r.Models(), Recipe: recipe}, nil
}

// Options say which sessions are answered.
type Options struct {
	From, To time.Time // of the sessions' first purchase; To is exclusive
	Max      int       // a seeded sample of so many; 0: all
	Seed     uint64    // of the sample and of the intervals
	Workers  int       // goroutines; 0: GOMAXPROCS
	Groups   []Group   // by which shoppers are compared
	Reasons  int       // that rest on the history are put to the test, at most; 0: none
	Progress func(done, total int)
	shown    string // the surface whose answers are read beside the sessions; "": none
}

// limit is how many items are asked for.
const limit = 10

// Run replays the sessions and judges the answers. The recipe's time budget is
// not applied: what is judged is what a server with time enough answers, so
// that a busy machine changes nothing. The catalogue is the subject's, without
// items that neither were made nor had an event before the session.
func Run(ctx context.Context, log Store, shop features.ShopID, s Subject, o Options) (*Report, error) {
	began := time.Now()
	t, err := record(ctx, log, shop, s.Items, &o)
	if err != nil {
		return nil, err
	}
	if len(t.visits) == 0 {
		return nil, fmt.Errorf("%w: shop %s has no purchase from %s to %s by a shopper who agreed to figures", ErrNothing, shop,
			o.From.Format(time.DateOnly), o.To.Format(time.DateOnly))
	}
	p, err := newPlayer(s, t)
	if err != nil {
		return nil, err
	}
	defer p.close()
	p.reasons.Store(int64(o.Reasons))
	if err := p.play(ctx, log, shop, &o); err != nil {
		return nil, err
	}
	r := p.report(&o)
	r.Stages = p.stages()
	if r.Fairness, err = p.fair(ctx, &o); err != nil {
		return nil, err
	}
	r.Seconds = time.Since(began).Seconds()
	return r, nil
}

// player holds what all workers share.
type player struct {
	subject Subject
	tape    *tape
	pipe    *pipeline.Pipeline
	filters []pipeline.Filter
	ranker  pipeline.Ranker // nil: it ranks by how things were retrieved, and there is nothing to compare with
	set     *signal.Set     // of the ranker; nil: it looks at none
	indexes []models.Index
	cases   []outcome    // by visit
	reasons atomic.Int64 // that may still be put to the test
}

func newPlayer(s Subject, t *tape) (*player, error) {
	p := &player{subject: s, tape: t, cases: make([]outcome, len(t.visits))}
	env := pipeline.Env{Models: map[string]models.Model{}, Indexes: map[string]models.Index{}}
	for _, part := range s.Models {
		env.Models[part.Name] = part.Model
		if m, ok := part.Model.(models.Embedder); ok {
			index, err := vector.NewExact(m.Vectors(), m.Dim(), linalg.Workers())
			if err != nil {
				return nil, fmt.Errorf("index of model %q: %w", part.Name, err)
			}
			env.Indexes[part.Name] = index
			p.indexes = append(p.indexes, index)
		}
	}
	recipe := s.Recipe
	recipe.Budget = 0
	parts := kit.Components(env)
	var err error
	if p.pipe, err = kit.New(recipe, env, pipeline.Options{Rows: s.Items.Len()}); err != nil {
		return nil, err
	}
	for _, spec := range recipe.Filters {
		f, err := parts.Filter(spec)
		if err != nil {
			return nil, err
		}
		p.filters = append(p.filters, f)
	}
	switch recipe.Ranker.Ranker {
	case "source":
	case "learnt":
		m, err := pipeline.ModelAs[*ltr.Model](env, recipe.Ranker.Model)
		if err != nil {
			return nil, err
		}
		p.set = m.Set()
	default:
		if p.ranker, err = parts.Ranker(recipe.Ranker); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *player) close() {
	for _, x := range p.indexes {
		_ = x.Close()
	}
}
