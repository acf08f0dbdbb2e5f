package vector

import (
	"context"
	"math"
	"math/bits"

	"github.com/attune-rec/attune/models/linalg"
)

// blockRows is how many rows are scanned between two looks at the context.
const blockRows = 64 * runRows

func (x *Exact) scanCodes(ctx context.Context, s *scan) error {
	return x.blocks(ctx, s, func(lo, hi int) { linalg.DotInt8Rows(&s.query, x.q8, lo, s.scores[lo:hi]) })
}

func (x *Exact) scanFloats(ctx context.Context, vec []float32, s *scan) error {
	return x.blocks(ctx, s, func(lo, hi int) {
		linalg.DotRows(vec, x.vecs[lo*x.dim:hi*x.dim], s.scores[lo:hi])
	})
}

// blocks scores the runs that have an allowed row and sets the score of all
// others, and of rows that are not allowed, to -Inf.
func (x *Exact) blocks(ctx context.Context, s *scan, score func(lo, hi int)) error {
	if cap(s.scores) < x.n {
		s.scores = make([]float32, x.n)
	}
	s.scores = s.scores[:x.n]
	for lo := 0; lo < x.n; lo += blockRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+blockRows, x.n)
		if s.mask == nil {
			score(lo, hi)
			continue
		}
		for from := lo; from < hi; {
			to := from
			for to < hi && s.mask[to/runRows] != 0 {
				to = min(to+runRows, hi)
			}
			if to > from {
				score(from, to)
			}
			for from = to; from < hi && s.mask[from/runRows] == 0; from = min(from+runRows, hi) {
				sink(s.scores[from:min(from+runRows, hi)], 0)
			}
		}
		for run := lo / runRows; run*runRows < hi; run++ {
			if m := s.mask[run]; m != 0 && m != ^uint64(0) {
				sink(s.scores[run*runRows:min((run+1)*runRows, hi)], m)
			}
		}
	}
	return nil
}

// sink sets the scores whose bit is not in m to -Inf.
func sink(scores []float32, m uint64) {
	for out := ^m; out != 0; out &= out - 1 {
		i := bits.TrailingZeros64(out)
		if i >= len(scores) {
			return
		}
		scores[i] = minusInf
	}
}

// rerank finds the rows that may be among the k best and computes their inner
// products. It reports false when that would be a good part of the catalogue.
func (x *Exact) rerank(vec []float32, k int, b bounds, s *scan) bool {
	bar, enough := s.top.Edge(s.scores, k) // of these scores; none of the k is further off than the largest bounds say
	if !enough {
		s.top.Reset(k)
		s.top.PushBlock(0, s.scores)
		bar, enough = s.top.Threshold(), s.top.Len() == k
	}
	if bar = bar - b.of(x.mostOff, x.mostNorm); !enough || bar == minusInf || bar != bar {
		bar = -math.MaxFloat32 // a score overflowed, or fewer than k are allowed: look at all
	}
	limit := k + x.n/8
	if b.off == 0 {
		limit = x.n // by numbers there is nothing better to fall back to
	}
	s.picked, s.packed = s.picked[:0], s.packed[:0]
	for run := range x.runOff {
		lo, hi := run*runRows, min((run+1)*runRows, x.n)
		off, norm := x.runOff[run], x.runNorm[run]
		scores := s.scores[lo:hi]
		below := math.Nextafter32(bar-b.of(off, norm), minusInf)
		for i := linalg.IndexAbove(scores, below); i < len(scores); i += 1 + linalg.IndexAbove(scores[i+1:], below) {
			if at := lo + i; scores[i]+b.of(x.off[at], x.norm[at]) >= bar && (s.mask == nil || s.mask[run]>>uint(i)&1 != 0) {
				s.picked = append(s.picked, int32(at))
			}
		}
		if len(s.picked) > limit {
			return false
		}
	}
	for _, row := range s.picked {
		s.packed = append(s.packed, linalg.Dot(vec, x.vecs[int(row)*x.dim:][:x.dim]))
	}
	s.top.Reset(k)
	s.top.PushGather(s.picked, s.packed)
	return true
}

// sampleOf is how many scores one is sampled of.
const sampleOf = 4

// sampled is rerank by a bar that some of the scores give, which is nearly always
// low enough and not much too low; false where it was not.
func (x *Exact) sampled(vec []float32, k int, b bounds, s *scan) bool {
	sample := s.packed[:0]
	for i := 0; i < len(s.scores); i += sampleOf {
		sample = append(sample, s.scores[i])
	}
	s.packed = sample
	bar, ok := s.top.Edge(sample, k*3/(2*sampleOf)+4)
	if !ok || !(bar > -math.MaxFloat32) {
		return false
	}
	s.picked = s.picked[:0]
	for i := linalg.IndexAbove(s.scores, bar); i < len(s.scores); i += 1 + linalg.IndexAbove(s.scores[i+1:], bar) {
		s.picked = append(s.picked, int32(i)) // #nosec G115 -- rows are int32
	}
	if len(s.picked) < k {
		return false
	}
	s.packed = s.packed[:0]
	for _, row := range s.picked {
		s.packed = append(s.packed, linalg.Dot(vec, x.vecs[int(row)*x.dim:][:x.dim]))
	}
	s.top.Reset(k)
	s.top.PushGather(s.picked, s.packed)
	// What was not picked is at most at the bar, but for rounding.
	return s.top.Len() == k && s.top.Threshold() > bar+b.of(x.mostOff, x.mostNorm)
}

// gather visits the allowed rows one by one.
func (x *Exact) gather(ctx context.Context, vec []float32, s *scan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.mask == nil {
		for i := range x.n {
			s.top.Push(int32(i), linalg.Dot(vec, x.vecs[i*x.dim:][:x.dim]))
		}
		return nil
	}
	each(s.mask, func(i int) {
		s.top.Push(int32(i), linalg.Dot(vec, x.vecs[i*x.dim:][:x.dim]))
	})
	return nil
}
