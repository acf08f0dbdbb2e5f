package vector

import (
	"context"
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// manyQueries is how many queries share one pass over the rows.
const manyQueries = 32

// manyRows is how many rows are multiplied at a time: they and their products
// stay in the cache.
const manyRows = 256

// spare is how many more than k are kept by the sums of a batch, whose rounding
// differs from linalg.Dot's.
const spare = 32

// SearchMany implements models.Index. One pass over the numbers serves many
// queries; allowed rows are packed together first.
func (x *Exact) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	if len(vecs) != len(dst)*x.dim {
		return fmt.Errorf("%w: %d numbers for %d queries of dimension %d", ErrQuery, len(vecs), len(dst), x.dim)
	}
	if err := checkWhere(w); err != nil {
		return err
	}
	for i := range dst {
		if err := checkQuery(vecs[i*x.dim:][:x.dim], x.dim); err != nil {
			return fmt.Errorf("query %d: %w", i, err)
		}
	}
	k = min(k, x.n)
	if k <= 0 {
		return ctx.Err()
	}
	s := x.pool.Get().(*scan)
	defer x.pool.Put(s)
	allowed := s.allow(x.n, w)
	if len(dst) < 4 || allowed*gatherShare <= x.n || allowed <= k {
		for i := range dst {
			var err error
			if dst[i], err = x.Search(ctx, vecs[i*x.dim:][:x.dim], k, w, dst[i]); err != nil {
				return err
			}
		}
		return nil
	}
	s.rows = s.rows[:0]
	if s.mask != nil {
		s.rows = x.placesThatPass(s, s.rows)
	}
	for lo := 0; lo < len(dst); lo += manyQueries {
		hi := min(lo+manyQueries, len(dst))
		if err := x.pass(ctx, vecs[lo*x.dim:hi*x.dim], k, w, dst[lo:hi], s, allowed); err != nil {
			return err
		}
	}
	return nil
}

// pass searches a few queries. Rows are numbered as they are packed, in
// ascending order, so that ties fall as they would among all rows.
func (x *Exact) pass(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit, s *scan, allowed int) error {
	nq := len(dst)
	if cap(s.scores) < nq*manyRows {
		s.scores = make([]float32, nq*manyRows)
	}
	for len(s.many) < nq {
		s.many = append(s.many, linalg.TopK{})
	}
	for j := range nq {
		s.many[j].Reset(k + spare)
	}
	for lo := 0; lo < allowed; lo += manyRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+manyRows, allowed)
		block := x.vecs[lo*x.dim : min(hi, x.n)*x.dim]
		if s.mask != nil {
			s.packed = s.packed[:0]
			for _, row := range s.rows[lo:hi] {
				s.packed = append(s.packed, x.vecs[int(row)*x.dim:][:x.dim]...)
			}
			block = s.packed
		}
		out := s.scores[:nq*(hi-lo)]
		linalg.DotRowsMany(vecs, nq, block, x.dim, out)
		for j := range nq {
			s.many[j].PushBlock(int32(lo), out[j*(hi-lo):(j+1)*(hi-lo)])
		}
	}
	for j := range nq {
		if err := x.finish(ctx, vecs[j*x.dim:][:x.dim], k, w, &dst[j], &s.many[j], s); err != nil {
			return err
		}
	}
	return nil
}

// finish turns what a batch kept for a query into hits, by the inner products
// that a single search gives. Where rounding leaves open whether a row that was
// not kept belongs to them, it searches for itself.
func (x *Exact) finish(ctx context.Context, vec []float32, k int, w models.Where, dst *[]models.Hit, kept *linalg.TopK, s *scan) error {
	b := x.rounding(vec)
	s.best = kept.Sorted(s.best[:0])
	s.top.Reset(k)
	bar := float32(math.Inf(1))
	for i, c := range s.best {
		row := c.Index
		if s.mask != nil {
			row = int32(s.rows[c.Index])
		}
		if i < k {
			bar = min(bar, c.Score-b.of(0, x.normOf(row)))
		}
		s.top.Push(x.row(row), linalg.Dot(vec, x.vecs[int(row)*x.dim:][:x.dim]))
	}
	closed := len(s.best) < k+spare || s.best[len(s.best)-1].Score+b.of(0, x.mostNorm) < bar
	if !closed || len(s.best) < k {
		var err error
		*dst, err = x.Search(ctx, vec, k, w, *dst)
		return err
	}
	*dst = s.hits(*dst)
	return nil
}
