package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// related is what lies beside the item of the page.
type related struct {
	named
	near *neighbours
	pool pool
}

func newRelated(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	near, err := newNeighbours(spec, env)
	if err != nil {
		return nil, err
	}
	return &related{named: named(spec.Name), near: near}, nil
}

// Remote implements pipeline.Remote.
func (s *related) Remote() bool { return s.near.remote() }

// Candidates implements pipeline.Source.
func (s *related) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	if r.Item == features.NoRow {
		return dst, nil
	}
	b := s.pool.get()
	defer s.pool.put(b)
	err := s.near.of(ctx, r, r.Item, n, b)
	if err != nil && !degraded(err) {
		return dst, fmt.Errorf("neighbours: %w", err)
	}
	for _, x := range b.near {
		dst = append(dst, pipeline.Candidate{Row: x.Row, Score: x.Score})
	}
	return dst, err
}

// reasonDepth is how many neighbours are looked through for a reason.
const reasonDepth = 200

// Reason implements pipeline.Reasoner.
func (s *related) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	if r.Item == features.NoRow || r.Item == item {
		return pipeline.Reason{}, false
	}
	b := s.pool.get()
	defer s.pool.put(b)
	score, ok := s.near.beside(r, r.Item, item, reasonDepth, b)
	return pipeline.Reason{Kind: pipeline.SimilarTo, Item: r.Item, Contribution: score}, ok
}
