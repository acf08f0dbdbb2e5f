// Package rank has the rankers, one to a file, and Build, which makes the one a
// recipe names.
//
// It imports models/pipeline and what lies below. Start reading at weighted.go.
package rank

import (
	"maps"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

type maker func(spec models.RankerSpec, env pipeline.Env) (pipeline.Ranker, error)

// makers is every ranker there is, by the name recipes use.
func makers() map[string]maker {
	return map[string]maker{
		"learnt":   newLearnt,   // learnt from replayed requests
		"weighted": newWeighted, // a weighted sum of models
		"goals":    newGoals,    // a model's goals, by what they are worth
		"model":    newModel,    // one model
		"source":   newOrder,    // as retrieved
	}
}

// Names lists the rankers there are, in no order.
func Names() []string { return slices.Collect(maps.Keys(makers())) }

// Build makes the ranker that spec names.
func Build(spec models.RankerSpec, env pipeline.Env) (pipeline.Ranker, error) {
	mk, err := pipeline.Pick(makers(), "ranker", spec.Ranker)
	if err != nil {
		return nil, err
	}
	return mk(spec, env)
}

// rows is the candidates' rows, in the request's memory.
func rows(r *features.Request, cs []pipeline.Candidate) []features.Row {
	out := r.Scratch.Rows(len(cs))
	for i := range cs {
		out[i] = cs[i].Row
	}
	return out
}
