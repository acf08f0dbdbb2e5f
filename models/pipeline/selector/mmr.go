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
	nearest := r.Scratch.Floats(n)   // likeness to the most alike one taken
	relevance := r.Scratch.Floats(n) // its share of what counts
	position := r.Scratch.Ints(n)    // in left, of what is not taken; -1 once it is
	for i := range left {
		relevance[i] = s.lambda * (left[i].Score - low) / (top - low)
	}
	likeness := s.likeness(r, left)
	for place := range places {
		best, at := float32(math.Inf(-1)), -1
		for i, v := range relevance {
			if position[i] < 0 {
				continue
			}
			if place > 0 {
				v -= (1 - s.lambda) * nearest[i]
			}
			if v > best {
				best, at = v, i
			}
		}
		cs[place] = left[at]
		position[at] = -1
		if place+1 == places {
			break
		}
		likeness.raise(at, nearest)
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

// likeness compares candidates with each other.
type likeness struct {
	r       *features.Request
	cs      []pipeline.Candidate
	dim     int
	vectors []float32 // of all items; nil: the catalogue tells
	rows    []int32   // of the candidates; 0 for one without a vector
	inverse []float32 // of the vectors' lengths; 0 without one
	dots    []float32
}

func (s *mmr) likeness(r *features.Request, cs []pipeline.Candidate) likeness {
	l := likeness{r: r, cs: cs}
	if s.embed == nil {
		return l
	}
	l.dim, l.vectors = s.embed.Dim(), s.embed.Vectors()
	l.rows, l.inverse, l.dots = r.Scratch.Ints(len(cs)), r.Scratch.Floats(len(cs)), r.Scratch.Floats(len(cs))
	for i := range cs {
		if row := cs[i].Row; row >= 0 && (int(row)+1)*l.dim <= len(l.vectors) {
			if length := linalg.Norm2(l.vectors[int(row)*l.dim:][:l.dim]); length > 0 {
				l.rows[i], l.inverse[i] = int32(row), 1/length
			}
		}
	}
	return l
}

// raise brings nearest up to every candidate's likeness to the one in place at.
func (l *likeness) raise(at int, nearest []float32) {
	if l.inverse == nil {
		for i := range l.cs {
			nearest[i] = max(nearest[i], alike(l.r, l.cs[at].Row, l.cs[i].Row))
		}
		return
	}
	if l.inverse[at] == 0 {
		return
	}
	linalg.DotGather(l.vectors[int(l.rows[at])*l.dim:][:l.dim], l.vectors, l.rows, l.dots)
	for i, dot := range l.dots {
		nearest[i] = max(nearest[i], dot*(l.inverse[at]*l.inverse[i]))
	}
}

// alike is from 0, nothing in common, to 1, by the catalogue.
func alike(r *features.Request, a, b features.Row) float32 {
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
