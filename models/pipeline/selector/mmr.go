package selector

import (
	"fmt"
	"math"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/pipeline"
)

// mmr is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): it
// takes, time and again, the candidate with the largest
//
//	lambda*relevance - (1-lambda)*(its likeness to the most alike one taken)
//
// Relevance is the score, brought to 0 to 1 over the candidates looked at;
// likeness is the cosine of the items' vectors in a model, or, without a model,
// what the catalogue says they share.
type mmr struct {
	lambda float32
	window int
	embed  models.Embedder // nil: by the catalogue
	pool   sync.Pool       // of *[]pipeline.Candidate
}

type mmrParams struct {
	Lambda float64 `json:"lambda"` // 1: relevance alone
	Window int     `json:"window"` // candidates looked at
	Model  string  `json:"model"`  // whose vectors tell likeness; "": the catalogue
}

func newMMR(spec models.ComponentSpec, env pipeline.Env) (pipeline.Selector, error) {
	p := mmrParams{Lambda: .8, Window: 60}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if !(p.Lambda >= 0 && p.Lambda <= 1) || p.Window < 1 {
		return nil, fmt.Errorf("parameters %+v: expected lambda from 0 to 1 and a window of at least 1", p)
	}
	s := &mmr{lambda: float32(p.Lambda), window: p.Window}
	if p.Model != "" {
		e, err := pipeline.ModelAs[models.Embedder](env, p.Model)
		if err != nil {
			return nil, err
		}
		s.embed = e
	}
	s.pool.New = func() any { return new([]pipeline.Candidate) }
	return s, nil
}

// Name implements pipeline.Selector.
func (*mmr) Name() string { return "mmr" }

// Select implements pipeline.Selector. Only the places that the answer shows
// are chosen; the others follow by score.
func (s *mmr) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	n := min(len(cs), max(s.window, r.Limit))
	for n > 0 && cs[n-1].Score != cs[n-1].Score {
		n-- // what the ranker cannot judge stays last
	}
	places := min(r.Limit, n)
	if places < 2 {
		return cs
	}
	top, low := cs[0].Score, cs[n-1].Score
	if !(top > low) || math.IsInf(float64(top-low), 0) {
		top = low + 1
	}
	spare := s.pool.Get().(*[]pipeline.Candidate)
	defer s.pool.Put(spare)
	left := append((*spare)[:0], cs[:n]...)
	*spare = left
	nearest := r.Scratch.Floats(n) // likeness to the most alike one taken
	inverse := r.Scratch.Floats(n) // of the vectors' lengths
	position := r.Scratch.Ints(n)  // in left, of what is not taken; -1 once it is
	s.lengths(left, inverse)
	for place := range places {
		best, at := float32(math.Inf(-1)), -1
		for i := range left {
			if position[i] < 0 {
				continue
			}
			v := s.lambda * (left[i].Score - low) / (top - low)
			if place > 0 {
				v -= (1 - s.lambda) * nearest[i]
			}
			if v > best {
				best, at = v, i
			}
		}
		cs[place] = left[at]
		position[at] = -1
		for i := range left {
			if position[i] < 0 {
				continue
			}
			if alike := s.alike(r, left[at].Row, left[i].Row, inverse[at]*inverse[i]); alike > nearest[i] {
				nearest[i] = alike
			}
		}
	}
	next := places
	for i := range left {
		if position[i] >= 0 {
			cs[next] = left[i]
			next++
		}
	}
	return cs
}

func (s *mmr) vector(row features.Row) []float32 {
	dim := s.embed.Dim()
	if vecs := s.embed.Vectors(); row >= 0 && (int(row)+1)*dim <= len(vecs) {
		return vecs[int(row)*dim:][:dim]
	}
	return nil
}

func (s *mmr) lengths(cs []pipeline.Candidate, inverse []float32) {
	if s.embed == nil {
		return
	}
	for i := range cs {
		if v := s.vector(cs[i].Row); v != nil {
			if length := linalg.Norm2(v); length > 0 {
				inverse[i] = 1 / length
			}
		}
	}
}

// alike is from 0, nothing in common, to 1.
func (s *mmr) alike(r *features.Request, a, b features.Row, inverse float32) float32 {
	if s.embed != nil {
		if inverse == 0 { // one has no vector
			return 0
		}
		return max(0, linalg.Dot(s.vector(a), s.vector(b))*inverse)
	}
	if r.Catalog == nil {
		return 0
	}
	x, y := r.Catalog.Item(a), r.Catalog.Item(b)
	if x == nil || y == nil {
		return 0
	}
	if x.Group != "" && x.Group == y.Group {
		return 1
	}
	same := 0
	for same < min(len(x.Category), len(y.Category)) && x.Category[same] == y.Category[same] {
		same++
	}
	likeness := float32(0)
	if depth := max(len(x.Category), len(y.Category)); depth > 0 {
		likeness = .7 * float32(same) / float32(depth)
	}
	if x.Brand != "" && x.Brand == y.Brand {
		likeness += .3
	}
	return likeness
}
