package rank

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// margin is the weight of what a purchase leaves, in the market's money.
const margin = "margin"

// goals ranks by what showing an item is expected to be worth to the surface:
// the sum over a model's goals of weight times probability, and of the purchase
// also times what it leaves, the price less the cost in the request's market. An
// item whose price or cost is not known leaves nothing.
type goals struct {
	funnel  models.Funnel
	explain models.Explainer
	weights []float32 // by goal
	margin  float32
	bought  int // the place of the purchase among the goals
}

func newGoals(spec models.RankerSpec, env pipeline.Env) (pipeline.Ranker, error) {
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	f, ok := m.(models.Funnel)
	if !ok {
		return nil, fmt.Errorf("ranker goals: model %q is of kind %q: expected one that tells goals apart, such as multitask", spec.Model, m.Kind())
	}
	names := f.Goals()
	k := &goals{funnel: f, weights: make([]float32, len(names)), bought: slices.Index(names, models.GoalPurchase)}
	k.explain, _ = m.(models.Explainer)
	some := false
	for name, w := range spec.Weights {
		if !(w >= 0 && w <= 1e6) {
			return nil, fmt.Errorf("ranker goals: weight %v of %q: expected 0 to 1e6", w, name)
		}
		some = some || w > 0
		i := slices.Index(names, name)
		switch {
		case i >= 0:
			k.weights[i] = float32(w)
		case name == margin && k.bought >= 0:
			k.margin = float32(w)
		default:
			return nil, fmt.Errorf("ranker goals: weight of %q: expected one of %s, %s", name, strings.Join(names, ", "), margin)
		}
	}
	if !some {
		return nil, fmt.Errorf("ranker goals needs a weight above 0 of at least one of %s and %s", strings.Join(names, ", "), margin)
	}
	return k, nil
}

// Name implements pipeline.Ranker.
func (*goals) Name() string { return "goals" }

// Rank implements pipeline.Ranker.
func (k *goals) Rank(_ context.Context, r *features.Request, cs []pipeline.Candidate) error {
	n := len(k.weights)
	p := r.Scratch.Floats(n * len(cs))
	k.funnel.Heads(r, rows(r, cs), p)
	for i := range cs {
		mine, sum := p[i*n:(i+1)*n], float32(0)
		for g, w := range k.weights {
			if w > 0 {
				sum += w * mine[g]
			}
		}
		if k.margin > 0 {
			sum += k.margin * leaves(r, cs[i].Row) * mine[k.bought]
		}
		cs[i].Score = sum
	}
	return nil
}

// leaves is the price of an item less its cost.
func leaves(r *features.Request, row features.Row) float32 {
	if r.Catalog == nil {
		return 0
	}
	it := r.Catalog.Item(row)
	if it == nil {
		return 0
	}
	price, cost := it.PriceIn(r.Market), it.CostIn(r.Market)
	if price.IsZero() || cost.IsZero() || price.Currency != cost.Currency {
		return 0
	}
	return float32(price.Units() - cost.Units())
}

// Reason implements pipeline.Reasoner.
func (k *goals) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	return pipeline.BecauseOfHistory(k.explain, r, item)
}
