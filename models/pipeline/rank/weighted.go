package rank

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// weighted is a weighted sum of models. Each model scores every candidate,
// whoever proposed it, and its scores are brought to mean 0 and deviation 1
// over the candidates, so that they can be added. What a model cannot say of an
// item counts as its mean; an item of which no model says anything is NaN.
type weighted struct{ terms []term }

type term struct {
	name    string
	weight  float32
	scorer  models.Model
	explain models.Explainer
}

func newWeighted(spec models.RankerSpec, env pipeline.Env) (pipeline.Ranker, error) {
	if spec.Model != "" {
		return nil, fmt.Errorf("ranker weighted takes weights by model, no model")
	}
	k := &weighted{}
	for name, weight := range spec.Weights {
		m, err := env.Model(name)
		if err != nil {
			return nil, err
		}
		if weight == 0 || math.IsNaN(weight) || math.IsInf(weight, 0) {
			return nil, fmt.Errorf("weight %v of model %q: expected a number that is not 0", weight, name)
		}
		t := term{name: name, weight: float32(weight), scorer: m}
		t.explain, _ = m.(models.Explainer)
		k.terms = append(k.terms, t)
	}
	if len(k.terms) == 0 {
		return nil, fmt.Errorf("ranker weighted needs the weight of at least one model")
	}
	// The heaviest first: the order of sums and of reasons.
	slices.SortFunc(k.terms, func(a, b term) int {
		x, y := math.Abs(float64(a.weight)), math.Abs(float64(b.weight))
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		case a.name < b.name:
			return -1
		}
		return 1
	})
	return k, nil
}

// Name implements pipeline.Ranker.
func (*weighted) Name() string { return "weighted" }

// Rank implements pipeline.Ranker. It stops between models when ctx ends.
func (k *weighted) Rank(ctx context.Context, r *features.Request, cs []pipeline.Candidate) error {
	items := rows(r, cs)
	out := r.Scratch.Floats(len(cs))
	said := r.Scratch.Ints(len(cs))
	for i := range cs {
		cs[i].Score = 0
	}
	for j := range k.terms {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := &k.terms[j]
		t.scorer.Score(r, items, out)
		mean, inverse := spread(out)
		for i, v := range out {
			if v-v == 0 {
				cs[i].Score += t.weight * float32((float64(v)-mean)*inverse)
				said[i] = 1
			}
		}
	}
	for i := range cs {
		if said[i] == 0 {
			cs[i].Score = float32(math.NaN())
		}
	}
	return nil
}

// spread is the mean of the finite numbers and the inverse of their standard
// deviation; 0 when they do not differ.
func spread(x []float32) (mean, inverse float64) {
	n, sum := 0, 0.0
	for _, v := range x {
		if v-v == 0 {
			sum += float64(v)
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	mean = sum / float64(n)
	squares := 0.0
	for _, v := range x {
		if v-v == 0 {
			squares += (float64(v) - mean) * (float64(v) - mean)
		}
	}
	deviation := math.Sqrt(squares / float64(n))
	if deviation <= 1e-12*math.Abs(mean) || deviation == 0 {
		return mean, 0
	}
	return mean, 1 / deviation
}

// Reason implements pipeline.Reasoner: the evidence of the heaviest model that
// has some. Models with a negative weight are no reason.
func (k *weighted) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	for j := range k.terms {
		if t := &k.terms[j]; t.weight > 0 {
			if why, ok := pipeline.BecauseOfHistory(t.explain, r, item); ok {
				return why, true
			}
		}
	}
	return pipeline.Reason{}, false
}
