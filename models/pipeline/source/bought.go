package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// bought sums the neighbours of every item of the cart, or of the page's item
// where the cart is empty: what is often bought with them.
type bought struct {
	named
	near   *neighbours
	params boughtParams
	pool   pool
}

type boughtParams struct {
	Items int `json:"items"` // newest items of the cart looked at
	Each  int `json:"each"`  // neighbours of each
}

func newBought(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	p := boughtParams{Items: 20, Each: 100}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if p.Items < 1 || p.Each < 1 {
		return nil, fmt.Errorf("parameters %+v: expected items and each of at least 1", p)
	}
	near, err := newNeighbours(spec, env)
	if err != nil {
		return nil, err
	}
	return &bought{named: named(spec.Name), near: near, params: p}, nil
}

// anchors are the items that others are bought with.
func (s *bought) anchors(r *features.Request, b *buffers) []features.Row {
	b.rows = b.rows[:0]
	if len(r.Cart) == 0 && r.Item != features.NoRow {
		b.rows = append(b.rows, r.Item)
	}
	b.rows = append(b.rows, r.Cart[max(0, len(r.Cart)-s.params.Items):]...)
	return b.rows
}

// Remote implements pipeline.Remote.
func (s *bought) Remote() bool { return s.near.remote() }

// Candidates implements pipeline.Source.
func (s *bought) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	b := s.pool.get()
	defer s.pool.put(b)
	return s.near.around(ctx, r, s.anchors(r, b), s.params.Each, 1, b, n, dst)
}

// Reason implements pipeline.Reasoner: the item of the cart that the item gets
// the most from.
func (s *bought) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	b := s.pool.get()
	defer s.pool.put(b)
	why := pipeline.Reason{Kind: pipeline.BoughtWith}
	for _, anchor := range s.anchors(r, b) {
		if anchor == item {
			continue
		}
		if score, ok := s.near.beside(r, anchor, item, s.params.Each, b); ok && score > why.Contribution {
			why.Item, why.Contribution = anchor, score
		}
	}
	return why, why.Contribution > 0
}
