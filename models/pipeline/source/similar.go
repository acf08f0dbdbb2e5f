package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// similar merges the neighbours of the newest items of the history: each
// neighbour's closeness counts decay^place of the item it lies beside.
type similar struct {
	named
	near   *neighbours
	params similarParams
	pool   pool
}

type similarParams struct {
	Items int     `json:"items"` // newest items of the history looked at
	Each  int     `json:"each"`  // neighbours of each
	Decay float64 `json:"decay"` // weight of an item against the one after it, above 0 to 1
}

func newSimilar(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	p := similarParams{Items: 20, Each: 50, Decay: .9}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	return makeSimilar(spec, env, p)
}

func makeSimilar(spec models.SourceSpec, env pipeline.Env, p similarParams) (*similar, error) {
	if p.Items < 1 || p.Each < 1 || !(p.Decay > 0 && p.Decay <= 1) {
		return nil, fmt.Errorf("parameters %+v: expected items and each of at least 1, decay above 0 to 1", p)
	}
	near, err := newNeighbours(spec, env)
	if err != nil {
		return nil, err
	}
	return &similar{named: named(spec.Name), near: near, params: p}, nil
}

// Remote implements pipeline.Remote.
func (s *similar) Remote() bool { return s.near.remote() }

// Candidates implements pipeline.Source.
func (s *similar) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	b := s.pool.get()
	defer s.pool.put(b)
	b.rows = newestItems(r.History(), s.params.Items, b.rows[:0])
	return s.near.around(ctx, r, b.rows, s.params.Each, float32(s.params.Decay), b, n, dst)
}

// Reason implements pipeline.Reasoner: the item of the history that the item
// gets the most from.
func (s *similar) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	b := s.pool.get()
	defer s.pool.put(b)
	b.rows = newestItems(r.History(), s.params.Items, b.rows[:0])
	why := pipeline.Reason{Kind: pipeline.SimilarTo}
	weight := float32(1)
	for _, anchor := range b.rows {
		if anchor != item {
			if score, ok := s.near.beside(r, anchor, item, s.params.Each, b); ok && weight*score > why.Contribution {
				why.Item, why.Contribution = anchor, weight*score
			}
		}
		weight *= float32(s.params.Decay)
	}
	why.Type = lastType(r.History(), why.Item)
	return why, why.Contribution > 0
}

// lastType is what the shopper did last with an item.
func lastType(h []features.Interaction, item features.Row) features.EventType {
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].Row == item && h[i].Type.Interest() {
			return h[i].Type
		}
	}
	return features.EventUnknown
}
