package source

import (
	"context"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// scored asks a model for the score of every eligible item: for models that
// have no shorter way to their best, such as user neighbourhoods.
type scored struct {
	named
	model   models.Model
	explain models.Explainer
	pool    pool
}

func newScored(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	s := &scored{named: named(spec.Name), model: m}
	s.explain, _ = m.(models.Explainer)
	return s, nil
}

// Candidates implements pipeline.Source. Items without a positive score are
// none.
func (s *scored) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	if len(r.History()) == 0 {
		return dst, nil
	}
	b := s.pool.get()
	defer s.pool.put(b)
	b.rows = r.Eligible.AppendRows(b.rows[:0])
	if cap(b.score) < len(b.rows) {
		b.score = make([]float32, len(b.rows)+len(b.rows)/16)
	}
	b.score = b.score[:len(b.rows)]
	s.model.Score(r, b.rows, b.score)
	b.top.Reset(n)
	for i, row := range b.rows {
		if b.score[i] > 0 {
			b.top.Push(int32(row), b.score[i])
		}
	}
	b.best = b.top.Sorted(b.best[:0])
	for _, c := range b.best {
		dst = append(dst, pipeline.Candidate{Row: features.Row(c.Index), Score: c.Score})
	}
	return dst, ctx.Err()
}

// Reason implements pipeline.Reasoner.
func (s *scored) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	return pipeline.BecauseOfHistory(s.explain, r, item)
}
