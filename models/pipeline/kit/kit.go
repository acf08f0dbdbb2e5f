// Package kit puts pipelines together from the sources, filters, rankers and
// selectors that come with the project.
//
// It imports models/pipeline and its components.
package kit

import (
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/filter"
	"github.com/attune-rec/attune/models/pipeline/rank"
	"github.com/attune-rec/attune/models/pipeline/selector"
	"github.com/attune-rec/attune/models/pipeline/source"
)

// Components makes every component there is out of env.
func Components(env pipeline.Env) pipeline.Components {
	return pipeline.Components{
		Source:   func(s models.SourceSpec) (pipeline.Source, error) { return source.Build(s, env) },
		Filter:   filter.Build,
		Ranker:   func(s models.RankerSpec) (pipeline.Ranker, error) { return rank.Build(s, env) },
		Selector: func(s models.ComponentSpec) (pipeline.Selector, error) { return selector.Build(s, env) },
	}
}

// New is the pipeline of recipe over env. It reports models.ErrRecipe.
func New(recipe models.Recipe, env pipeline.Env, opts pipeline.Options) (*pipeline.Pipeline, error) {
	if opts.Rows == 0 {
		for _, m := range env.Models {
			opts.Rows = max(opts.Rows, m.Items())
		}
	}
	return pipeline.New(recipe, Components(env), opts)
}
