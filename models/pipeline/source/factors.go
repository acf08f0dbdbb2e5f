package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// factors searches a model's index for the shopper's vector, which is folded in
// from the history, or without one follows from what else the request says,
// where the model can tell.
type factors struct {
	named
	embed   models.Embedder
	profile models.ProfileEmbedder // nil: the model knows no other way
	explain models.Explainer
	index   models.Index
	pool    pool
}

func newFactors(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	return makeFactors(spec, env)
}

func makeFactors(spec models.SourceSpec, env pipeline.Env) (*factors, error) {
	embed, err := pipeline.ModelAs[models.Embedder](env, spec.Model)
	if err != nil {
		return nil, err
	}
	index, err := env.Index(spec.Model)
	if err != nil {
		return nil, err
	}
	s := &factors{named: named(spec.Name), embed: embed, index: index}
	s.explain, _ = embed.(models.Explainer)
	s.profile, _ = embed.(models.ProfileEmbedder)
	return s, nil
}

// Remote implements pipeline.Remote: an index elsewhere is waited for aside.
func (s *factors) Remote() bool {
	return remote(s.index)
}

// Candidates implements pipeline.Source.
func (s *factors) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	vec, ok := r.Scratch.Vector(s.embed, s.embed.Dim(), func(dst []float32) bool { return s.embed.Embed(r, dst) })
	if !ok {
		if s.profile == nil || len(r.History()) > 0 {
			return dst, nil
		}
		vec = r.Scratch.Floats(s.embed.Dim())
		if !s.profile.EmbedProfile(r, vec) {
			return dst, nil
		}
	}
	b := s.pool.get()
	defer s.pool.put(b)
	hits, err := s.search(ctx, r, vec, n, b)
	if err != nil && !degraded(err) {
		return dst, fmt.Errorf("search: %w", err)
	}
	for _, h := range hits {
		dst = append(dst, pipeline.Candidate{Row: h.Row, Score: h.Score})
	}
	return dst, err
}

// What makes it cheaper to search a large index without the filter, for some
// rows more, and to drop what does not pass: not one row in manyPass may be
// taken out. Fewer rows than largeIndex are looked at one by one anyway.
const (
	manyPass   = 20
	largeIndex = 50_000
)

// search finds the n best eligible rows. A walk through a graph takes two to
// three times as long under a filter, however little that takes out.
func (s *factors) search(ctx context.Context, r *features.Request, vec []float32, n int, b *buffers) ([]models.Hit, error) {
	var err error
	if rows := s.index.Len(); rows >= largeIndex && !s.Remote() {
		spare := n/2 + 16
		if out := rows - r.Eligible.Count(); out*manyPass < rows {
			spare = min(spare, max(out, 0))
			b.hits, err = s.index.Search(ctx, vec, n+spare, models.Where{}, b.hits[:0])
			pass := b.hits[:0]
			for _, h := range b.hits {
				if len(pass) < n && r.Eligible.Has(h.Row) {
					pass = append(pass, h)
				}
			}
			if err != nil || len(pass) == n {
				return pass, err
			}
		}
	}
	b.hits, err = s.index.Search(ctx, vec, n, models.Where{Allow: r.Eligible, Attr: r.Words}, b.hits[:0])
	return b.hits, err
}

// Reason implements pipeline.Reasoner.
func (s *factors) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	return pipeline.BecauseOfHistory(s.explain, r, item)
}
