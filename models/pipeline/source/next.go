package source

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// newNext is what comes next after what the shopper did last, by a sequence
// model: by its lists of followers where it has them, and through its index
// where it reads the history into a vector.
func newNext(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	if _, listed := m.(models.Neighbourhood); !listed {
		f, err := newFactors(spec, env)
		if err != nil {
			return nil, err
		}
		return nextVector{f.(*factors)}, nil
	}
	p := similarParams{Items: 3, Each: 60, Decay: .6}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	s, err := makeSimilar(spec, env, p)
	if err != nil {
		return nil, err
	}
	return nextListed{s}, nil
}

type nextVector struct{ *factors }

// Reason implements pipeline.Reasoner where the vector rests on the newest item.
func (s nextVector) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	why, ok := s.factors.Reason(r, item)
	if h := r.History(); ok && h[len(h)-1].Row == why.Item {
		why.Kind = pipeline.NextAfter
	}
	return why, ok
}

type nextListed struct{ *similar }

// Reason implements pipeline.Reasoner.
func (s nextListed) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	why, ok := s.similar.Reason(r, item)
	why.Kind = pipeline.NextAfter
	return why, ok
}
