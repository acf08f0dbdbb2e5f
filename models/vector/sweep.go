package vector

import (
	"context"
	"math"
	"math/bits"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
)

// body is arranged rows: what a sweep looks at.
type body struct {
	dim, n int
	vecs   []float32
	// Where settle reads rows of vecs; nil: in vecs.
	numbers  *numbers
	q8       linalg.Quantised
	runs     *runs // nil: rows lie as they were given, and nothing is known of them
	sketches *sketches
	// The largest of the bounds of runs.
	mostOff, mostNorm float32
}

// candidate is a place whose row may be among the best, and the most that its
// inner product may be.
type candidate struct {
	place int32
	most  float32
}

// bound sets the largest of the bounds.
func (x *body) bound() {
	if x.runs != nil {
		x.mostOff, x.mostNorm = slices.Max(x.runs.off), slices.Max(x.runs.norm)
		x.sketches = new(sketches)
	}
}

// A bar is tried first that so many times as many rows are expected above as are asked for.
const surely, verySurely = 3, 50

// sweepChecks is how many runs are looked at between two looks at the context.
const sweepChecks = 64

// probeShare: where fewer pass, it is asked which before a run is looked at.
const probeShare = .3

// row is the caller's row at a place.
func (x *body) row(place int32) int32 {
	if x.runs == nil {
		return place
	}
	return x.runs.rowAt[place]
}

// sweep looks at runs as s.plan has them until enough is expected to be seen: from a bar on that is guessed, and
// a lower one when it was too high.
// err says how far scores by codes may be off, and allow how far those by sketches
// are to be trusted. When more than most runs are expected to be
// needed, it stops and reports that it has not seen enough.
func (x *body) sweep(ctx context.Context, err bounds, allow slack, most int, s *scan) (enough bool, _ error) {
	p := &s.plan
	defer func() { s.floor = minusInf }()
	for _, times := range [...]float32{surely, verySurely} {
		s.top.Reset(p.k)
		s.candidates, s.picked = s.candidates[:0], s.picked[:0]
		if s.floor = p.guess(times * float32(p.k)); s.floor == minusInf {
			break
		}
		clear(p.seen)
		x.compare(p.near(), err, allow, s)
		if p.weigh(s.bar()) > most {
			return false, nil
		}
		s.gained = 0
		for some := p.runs(0, s.bar()); len(some) > 0; some = p.runs(s.gained, s.bar()) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			s.gained = 0
			x.compare(some, err, allow, s)
		}
		if s.top.Len() == p.k {
			return true, nil
		}
	}
	// Rows are not spread as they are taken to be: all are looked at.
	s.floor = minusInf
	s.top.Reset(p.k)
	s.candidates = s.candidates[:0]
	for run := range p.means {
		if run%sweepChecks == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		x.look(run, err, s)
	}
	for run := range p.means {
		p.mark(int32(run))
	}
	return true, nil
}

// look offers the rows of a run that pass to s.top, by the least that their
// inner products may be, and keeps those that may be among the best.
func (x *body) look(run int, err bounds, s *scan) {
	lo, hi := x.runs.span(run)
	s.scores = resize(s.scores, runRows)[:hi-lo]
	if s.mask != nil && s.plan.share[x.runs.groupOf[run]] < probeShare {
		x.probe(run, err, s)
		return
	}
	linalg.DotInt8Rows(&s.query, x.q8, lo, s.scores)
	margin := err.of(x.runs.off[run], x.runs.norm[run])
	bar := s.bar()
	below := math.Nextafter32(bar-margin, minusInf)
	for i := linalg.IndexAbove(s.scores, below); i < len(s.scores); i += 1 + linalg.IndexAbove(s.scores[i+1:], below) {
		if row := x.runs.rowAt[lo+i]; s.mask != nil && !s.passes(row) {
			continue
		}
		score := s.scores[i]
		s.candidates = append(s.candidates, candidate{int32(lo + i), score + margin})
		if score-margin > bar {
			s.top.Push(int32(lo+i), score-margin)
			s.gained++
			bar = s.bar()
			below = math.Nextafter32(bar-margin, minusInf)
		}
	}
}

// probe is look for runs of which few rows pass: those are found out first.
func (x *body) probe(run int, err bounds, s *scan) {
	word := x.passing(run, s)
	if word == 0 {
		return
	}
	lo := int(x.runs.start[run])
	linalg.DotInt8Rows(&s.query, x.q8, lo, s.scores)
	margin := err.of(x.runs.off[run], x.runs.norm[run])
	bar := s.bar()
	for ; word != 0; word &= word - 1 {
		i := bits.TrailingZeros64(word)
		if score := s.scores[i]; score+margin >= bar {
			s.candidates = append(s.candidates, candidate{int32(lo + i), score + margin})
			if score-margin > bar {
				s.top.Push(int32(lo+i), score-margin)
				s.gained++
				bar = s.bar()
			}
		}
	}
}

// passing has a bit for each row of a run that passes.
func (x *body) passing(run int, s *scan) uint64 {
	lo, hi := x.runs.span(run)
	linalg.BitsAt(s.mask, x.runs.rowAt[lo:hi], s.word[:])
	return s.word[0]
}

// pick looks at the rows that pass one by one: for filters that let few through.
func (x *body) pick(ctx context.Context, err bounds, s *scan) error {
	const block = 1024
	s.picked = s.picked[:0]
	var failed error
	each(s.mask, func(row int) {
		if place, ok := x.runs.place(row); ok && failed == nil {
			if s.picked = append(s.picked, place); len(s.picked) == block {
				x.scoreFew(err, s)
				failed = ctx.Err()
			}
		}
	})
	if failed != nil {
		return failed
	}
	x.scoreFew(err, s)
	return ctx.Err()
}

// settle ranks the candidates by their numbers. Those are fetched for many rows
// at a time, whose sums differ from linalg.Dot's by rounding, and linalg.Dot is
// asked only where that may matter.
func (x *body) settle(vec []float32, k int, length float32, s *scan) error {
	bar := s.bar()
	s.picked = s.picked[:0]
	for _, c := range s.candidates {
		if c.most < bar {
			continue
		}
		if row := x.row(c.place); s.mask == nil || s.passes(row) {
			s.picked = append(s.picked, c.place)
		}
	}
	s.scores = resize(s.scores, len(s.picked))
	if x.numbers == nil {
		linalg.DotGather(vec, x.vecs, s.picked, s.scores)
	} else if err := x.numbers.read(x.dim, s); err != nil {
		return err
	} else {
		linalg.DotRows(vec, s.packed, s.scores)
	}
	s.top.Reset(k)
	s.top.PushBlock(0, s.scores)
	floor := s.top.Threshold() - 2*up(float64(length)*float64(x.mostNorm)*float64(x.dim+16)/(1<<23))
	s.top.Reset(k)
	for i, place := range s.picked {
		if score := s.scores[i]; score >= floor || score != score {
			from, at := x.vecs, int(place)
			if x.numbers != nil {
				from, at = s.packed, i
			}
			s.top.Push(x.row(place), linalg.Dot(vec, from[at*x.dim:][:x.dim]))
		}
	}
	return nil
}

// placesThatPass appends the places of rows that pass, in ascending order.
func (x *body) placesThatPass(s *scan, dst []features.Row) []features.Row {
	if x.runs == nil {
		each(s.mask, func(i int) { dst = append(dst, features.Row(i)) })
		return dst
	}
	for place, row := range x.runs.rowAt {
		if s.passes(row) {
			dst = append(dst, features.Row(place))
		}
	}
	return dst
}
