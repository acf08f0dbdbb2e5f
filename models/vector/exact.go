package vector

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"sync"

	"github.com/attune-rec/attune/features"
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

// blockRows is how many rows are scanned between two looks at the context.
const blockRows = 64 * runRows

// smallestStep: a query whose step is below it may have no codes, or products with them that are too small for a number.
const smallestStep = 1e-37

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

// measure sets the bounds of row i, rounded up.
func (x *Exact) measure(i int) {
	var off, length, coded float64
	scale := float64(x.q8.Scale[i])
	for j, v := range x.vecs[i*x.dim:][:x.dim] {
		c := scale * float64(int(x.q8.Codes[i*x.dim+j])-128)
		off += (float64(v) - c) * (float64(v) - c)
		length += float64(v) * float64(v)
		coded += c * c
	}
	x.off[i] = up(math.Sqrt(off))
	x.norm[i] = up(math.Sqrt(max(length, coded)))
}

// up is v as a float32 that is not below it.
func up(v float64) float32 { return float32(v * (1 + 1e-6)) }

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

// scan is the working set of one search.
type scan struct {
	query  linalg.QuantisedQuery
	mask   []uint64 // allowed rows; nil when all are
	words  []uint64 // memory of mask
	scores []float32
	top    linalg.TopK
	best   []linalg.Scored
	rows   []features.Row
	packed []float32
	many   []linalg.TopK
	// Of arranged rows.
	plan       plan
	candidates []candidate
	picked     []int32
	span       []float32 // rows just read from a file
	floor      float32   // some k rows are as good
	gained     int       // rows kept by comparing the last runs
	bars       []float32
	passed     []uint64
	word       [1]uint64
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
		x.rerank(vec, k, x.rounding(vec), s)
	}
	return s.hits(dst), nil
}

// allow fills the mask with the rows that w lets through and counts them.
func (s *scan) allow(n int, w models.Where) int {
	s.mask = nil
	if w.Allow == nil && w.Deny == nil {
		return n
	}
	words := (n + 63) / 64
	if cap(s.words) < words {
		s.words = make([]uint64, words)
	}
	s.mask = s.words[:words]
	if w.Allow != nil {
		clear(s.mask[copy(s.mask, w.Allow.Words()):])
	} else {
		for i := range s.mask {
			s.mask[i] = ^uint64(0)
		}
	}
	if tail := uint(n) & 63; tail != 0 {
		s.mask[words-1] &= 1<<tail - 1
	}
	deny := w.Deny.Words()
	for i := range min(words, len(deny)) {
		s.mask[i] &^= deny[i]
	}
	return count(s.mask)
}

// bounds are the coefficients of a row's error: off*|e| + norm*|x|.
type bounds struct{ off, norm float32 }

func (b bounds) of(off, norm float32) float32 { return b.off*off + b.norm*norm }

// queryBounds prepares the query's codes and says how far scores by codes may be
// off; what it says of off is the query's length.
func queryBounds(vec []float32, codes *linalg.QuantisedQuery) bounds {
	linalg.QuantiseQuery(vec, codes)
	var q float64
	for _, v := range vec {
		q += float64(v) * float64(v)
	}
	q = math.Sqrt(q)
	f := math.Sqrt(codes.Left(vec))
	if q <= smallestStep*127*float64(len(vec)) {
		f = q
	}
	return bounds{off: up(q), norm: up(f*(1+1e-4) + q*float64(len(vec)+16)/(1<<23))}
}

// rounding is how far float sums of different order may be apart.
func (x *Exact) rounding(vec []float32) bounds {
	var q float64
	for _, v := range vec {
		q += float64(v) * float64(v)
	}
	return bounds{norm: up(math.Sqrt(q) * float64(x.dim+16) / (1 << 23))}
}

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

var minusInf = float32(math.Inf(-1))

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

func (s *scan) hits(dst []models.Hit) []models.Hit {
	s.best = s.top.Sorted(s.best[:0])
	for _, c := range s.best {
		dst = append(dst, models.Hit{Row: features.Row(c.Index), Score: c.Score})
	}
	return dst
}
