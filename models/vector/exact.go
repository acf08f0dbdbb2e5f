package vector

import (
	"cmp"
	"context"
	"sync"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Exact finds the true best rows by looking at all of them. It scans 8-bit
// codes first, a quarter of the memory, and then computes the inner products
// of the rows that may still be among the best.
//
// Which rows those are follows from an error bound, so that none is missed:
// with x = x' + e and q = q' + f, where x' and q' are what the codes say,
//
//	|q·x - q'·x'| = |q·e + f·x'| <= |q||e| + |f||x'|
//
// by Cauchy-Schwarz, |e| and |x'| being known for each row. The k best by
// codes give a lower bound of the k-th best inner product, and each row whose
// upper bound reaches it is looked at. Where that leaves too many rows to gain
// anything, it scans the numbers themselves.
//
// Of arrangedFrom rows and more, those that point the same way lie together, in
// runs whose mean and reach are known, |x - m| <= r for each row of a run. So
//
//	q·x = q·m + q·(x-m) <= q·m + |q|r
//
// and a run that cannot hold one of the best is not looked at. Of the others sketches
// say, by a bound of the same kind, whose codes are.
//
// It is immutable and safe for concurrent use; a steady search allocates
// nothing beyond what dst needs.
type Exact struct {
	body
	off  []float32 // |e| of each row; nil when rows are arranged
	norm []float32 // a bound of |x| and |x'| of each row; nil when rows are arranged
	// The largest of off and norm in each run of runRows rows.
	runOff, runNorm []float32
	pool            sync.Pool // of *scan
}

// runRows is the grain of the scan: rows that share a bound, one word of a
// bitmap each.
const runRows = 64

// gatherShare: below one row in so many, allowed rows are visited one by one.
const gatherShare = 16

// scanNumbers: up to so many numbers, which stay in a cache near by, are scanned
// themselves: codes would leave more rows to look at than they save.
const scanNumbers = 1 << 17

// arrangedFrom rows are arranged; fewer are scanned faster than sorted out.
const arrangedFrom = 4097

// NewExact indexes vecs, row-major with dim numbers a row; row i is
// features.Row(i). vecs may be kept and must not change. It reports ErrVectors when
// the length is not whole rows or a number is not finite. It works on up to
// workers goroutines.
func NewExact(vecs []float32, dim, workers int) (*Exact, error) {
	if err := checkVectors(vecs, dim); err != nil {
		return nil, err
	}
	n := len(vecs) / dim
	if n >= arrangedFrom {
		x := &Exact{body: newBody(vecs, dim, workers)}
		x.ready()
		return x, nil
	}
	x := &Exact{
		body: body{dim: dim, n: n, vecs: vecs, q8: linalg.QuantiseRows(vecs, dim, workers)},
		off:  make([]float32, n), norm: make([]float32, n),
	}
	linalg.ParallelN(n, blockRows, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			x.measure(i)
		}
	})
	x.ready()
	return x, nil
}

// ready sets what follows from the rest.
func (x *Exact) ready() {
	x.pool.New = func() any { return new(scan) }
	if x.runs != nil {
		return
	}
	runs := (x.n + runRows - 1) / runRows
	x.runOff, x.runNorm = make([]float32, runs), make([]float32, runs)
	for i := range x.n {
		run := i / runRows
		x.runOff[run] = max(x.runOff[run], x.off[i])
		x.runNorm[run] = max(x.runNorm[run], x.norm[i])
		x.mostOff, x.mostNorm = max(x.mostOff, x.off[i]), max(x.mostNorm, x.norm[i])
	}
}

// normOf bounds the length of the row at a place.
func (x *Exact) normOf(place int32) float32 {
	if x.runs == nil {
		return x.norm[place]
	}
	return x.mostNorm
}

// Len implements models.Index.
func (x *Exact) Len() int { return x.n }

// Dim is the dimension of the vectors.
func (x *Exact) Dim() int { return x.dim }

// Close implements models.Index. It closes the file of OpenAt.
func (x *Exact) Close() error {
	if x.numbers == nil {
		return nil
	}
	return x.numbers.file.Close()
}

// Search implements models.Index. Inner products are linalg.Dot's.
func (x *Exact) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	if err := cmp.Or(checkQuery(vec, x.dim), checkWhere(w)); err != nil {
		return dst, err
	}
	k = min(k, x.n)
	if k <= 0 {
		return dst, ctx.Err()
	}
	s := x.pool.Get().(*scan)
	defer x.pool.Put(s)
	allowed := s.allow(x.n, w)
	if x.runs != nil {
		if err := x.searchRuns(ctx, vec, k, allowed, s); err != nil {
			return dst, err
		}
		return s.hits(dst), nil
	}
	bound := queryBounds(vec, &s.query)
	if allowed*gatherShare <= x.n || allowed <= k || x.overflows(bound.off) {
		s.top.Reset(k)
		if err := x.gather(ctx, vec, s); err != nil {
			return dst, err
		}
		return s.hits(dst), nil
	}
	coded := x.n*x.dim > scanNumbers
	if coded {
		if err := x.scanCodes(ctx, s); err != nil {
			return dst, err
		}
		coded = x.rerank(vec, k, bound, s)
	}
	if !coded {
		if err := x.scanFloats(ctx, vec, s); err != nil {
			return dst, err
		}
		if b := x.rounding(vec); !x.sampled(vec, k, b, s) {
			x.rerank(vec, k, b, s)
		}
	}
	return s.hits(dst), nil
}
