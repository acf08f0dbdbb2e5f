package rank

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// model ranks by one model's score.
type model struct {
	scorer  models.Model
	explain models.Explainer
}

func newModel(spec models.RankerSpec, env pipeline.Env) (pipeline.Ranker, error) {
	if len(spec.Weights) > 0 {
		return nil, fmt.Errorf("ranker model takes no weights: use weighted")
	}
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	k := &model{scorer: m}
	k.explain, _ = m.(models.Explainer)
	return k, nil
}

// Name implements pipeline.Ranker.
func (*model) Name() string { return "model" }

// Rank implements pipeline.Ranker.
func (k *model) Rank(_ context.Context, r *features.Request, cs []pipeline.Candidate) error {
	out := r.Scratch.Floats(len(cs))
	k.scorer.Score(r, rows(r, cs), out)
	for i := range cs {
		cs[i].Score = out[i]
	}
	return nil
}

// Reason implements pipeline.Reasoner.
func (k *model) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	return pipeline.BecauseOfHistory(k.explain, r, item)
}

// order keeps the order of retrieval: it is what a surface of one source needs.
type order struct{}

func newOrder(spec models.RankerSpec, _ pipeline.Env) (pipeline.Ranker, error) {
	if spec.Model != "" || len(spec.Weights) > 0 {
		return nil, fmt.Errorf("ranker source takes neither model nor weights")
	}
	return order{}, nil
}

// Name implements pipeline.Ranker.
func (order) Name() string { return "source" }

// Rank implements pipeline.Ranker. Candidates come in the order of retrieval.
func (order) Rank(_ context.Context, _ *features.Request, cs []pipeline.Candidate) error {
	for i := range cs {
		cs[i].Score = 1 / float32(i+1)
	}
	return nil
}
