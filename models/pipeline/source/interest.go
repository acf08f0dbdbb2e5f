package source

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// interestSource is factors over a model of content. Its reason names the category
// or brand that the item shares with the evidence, where there is one.
type interestSource struct{ *factors }

func newInterest(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	f, err := makeFactors(spec, env)
	if err != nil {
		return nil, err
	}
	return interestSource{f}, nil
}

// Reason implements pipeline.Reasoner.
func (s interestSource) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	why, ok := s.factors.Reason(r, item)
	if !ok || r.Catalog == nil {
		return why, ok
	}
	a, b := r.Catalog.Item(item), r.Catalog.Item(why.Item)
	if a == nil || b == nil {
		return why, ok
	}
	switch {
	case len(a.Category) > 0 && len(a.Category) == len(b.Category) && a.Category[len(a.Category)-1] == b.Category[len(b.Category)-1]:
		why.Kind, why.Name = pipeline.ForInterest, a.Category[len(a.Category)-1]
	case a.Brand != "" && a.Brand == b.Brand:
		why.Kind, why.Name = pipeline.ForInterest, a.Brand
	}
	return why, true
}
