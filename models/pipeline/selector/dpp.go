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

// dpp takes the likeliest set under a determinantal point process, greedily:
// each time the candidate that makes the determinant of the taken ones' kernel
// largest, with the Cholesky factor brought up to date for every step, which
// costs as much as one row of it (Chen, Zhang and Zhou, Fast greedy MAP
// inference for determinantal point process, NeurIPS 2018, algorithm 1). The
// kernel of i and j is
//
//	exp(a*(relevance i + relevance j)) * (1 + cosine of i and j)/2,  a = theta/(2*(1-theta))
//
// with relevance brought to 0 to 1 over the candidates looked at. Items without
// a vector are like no other.
type dpp struct {
	alpha  float64
	window int
	embed  models.Embedder
	pool   sync.Pool // of *[]pipeline.Candidate
}

type dppParams struct {
	Theta  float64 `json:"theta"`  // towards 1: relevance alone
	Window int     `json:"window"` // candidates looked at
	Model  string  `json:"model"`  // whose vectors tell likeness
}

func newDPP(spec models.ComponentSpec, env pipeline.Env) (pipeline.Selector, error) {
	p := dppParams{Theta: .8, Window: 60}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if !(p.Theta >= 0 && p.Theta < 1) || p.Window < 1 {
		return nil, fmt.Errorf("parameters %+v: expected theta from 0 to below 1 and a window of at least 1", p)
	}
	e, err := pipeline.ModelAs[models.Embedder](env, p.Model)
	if err != nil {
		return nil, err
	}
	s := &dpp{alpha: p.Theta / (2 * (1 - p.Theta)), window: p.Window, embed: e}
	s.pool.New = func() any { return new([]pipeline.Candidate) }
	return s, nil
}

// Name implements pipeline.Selector.
func (*dpp) Name() string { return "dpp" }

// spanned is the least that a candidate must add; below it, what is taken has
// everything that it would bring.
const spanned = 1e-6

// Select implements pipeline.Selector. Only the places that the answer shows
// are chosen; the others follow by score.
func (s *dpp) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	n := min(len(cs), max(s.window, r.Limit))
	for n > 0 && cs[n-1].Score != cs[n-1].Score {
		n-- // what the ranker cannot judge stays last
	}
	places := min(r.Limit, n)
	if places < 2 {
		return cs
	}
	top, low := float64(cs[0].Score), float64(cs[n-1].Score)
	if !(top > low) || math.IsInf(top-low, 0) {
		top = low + 1
	}
	spare := s.pool.Get().(*[]pipeline.Candidate)
	defer s.pool.Put(spare)
	left := append((*spare)[:0], cs[:n]...)
	*spare = left
	quality, inverse := r.Scratch.Floats(n), r.Scratch.Floats(n)
	gain := r.Scratch.Floats(n)            // what each would add to the determinant, as a factor
	factor := r.Scratch.Floats(n * places) // rows of the Cholesky factor
	taken := r.Scratch.Ints(n)             // 1: in the answer
	for i := range left {
		quality[i] = float32(math.Exp(s.alpha * (float64(left[i].Score) - low) / (top - low)))
		gain[i] = quality[i] * quality[i]
		if v := s.vector(left[i].Row); v != nil {
			if length := linalg.Norm2(v); length > 0 {
				inverse[i] = 1 / length
			}
		}
	}
	chosen := 0
	for ; chosen < places; chosen++ {
		best := -1
		for i := range left {
			if taken[i] == 0 && (best < 0 || gain[i] > gain[best]) {
				best = i
			}
		}
		if !(gain[best] > spanned) {
			break
		}
		taken[best] = 1
		cs[chosen] = left[best]
		s.update(left, best, chosen, places, quality, inverse, gain, factor, taken)
	}
	for i := range left {
		if taken[i] == 0 {
			cs[chosen] = left[i]
			chosen++
		}
	}
	return cs
}

// update takes the step'th chosen candidate into the factor.
func (s *dpp) update(left []pipeline.Candidate, best, step, places int, quality, inverse, gain, factor []float32, taken []int32) {
	root := float32(math.Sqrt(float64(gain[best])))
	own := factor[best*places:][:step]
	var mine []float32
	if inverse[best] > 0 {
		mine = s.vector(left[best].Row)
	}
	for i := range left {
		if taken[i] != 0 {
			continue
		}
		alike := float32(0)
		if mine != nil && inverse[i] > 0 {
			alike = (1 + linalg.Dot(mine, s.vector(left[i].Row))*inverse[best]*inverse[i]) / 2
		}
		row := factor[i*places:]
		e := (quality[best]*quality[i]*alike - linalg.Dot(own, row[:step])) / root
		row[step] = e
		gain[i] -= e * e
	}
}

func (s *dpp) vector(row features.Row) []float32 {
	dim := s.embed.Dim()
	if vecs := s.embed.Vectors(); row >= 0 && (int(row)+1)*dim <= len(vecs) {
		return vecs[int(row)*dim:][:dim]
	}
	return nil
}
