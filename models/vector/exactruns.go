package vector

import (
	"context"
	"math"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// pickShare: of arranged rows, allowed ones are visited one by one below one in
// so many: a row out of order costs about as much as so many in order.
const pickShare = 8

// askShare: of a group of which fewer are expected to pass, it is asked first whether any does.
const askShare = 1. / runRows

// searchRuns leaves the k best of the allowed rows in s.top: first by the runs
// that promise most, then by all others that may hold one as good.
func (x *Exact) searchRuns(ctx context.Context, vec []float32, k, allowed int, s *scan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.candidates, s.picked = s.candidates[:0], s.picked[:0]
	k = min(k, allowed)
	s.top.Reset(k)
	s.floor = minusInf
	if k == 0 {
		return nil
	}
	err := queryBounds(vec, &s.query)
	length := err.off
	if x.overflows(length) {
		return x.direct(ctx, vec, k, s)
	}
	if s.mask != nil && allowed <= x.n/pickShare {
		if err := x.pick(ctx, err, s); err != nil {
			return err
		}
		return x.settle(vec, k, length, s)
	}
	p := &s.plan
	p.begin(x.runs, &s.query, length, s.mask, allowed, k)
	strict := doubting(err)
	p.bound(err, length)
	done := false
	if s.mask != nil {
		var failed error
		if done, failed = x.inOrder(ctx, err, length, strict, s); failed != nil {
			return failed
		}
	}
	if !done {
		if _, err := x.sweep(ctx, err, strict, x.n, s); err != nil {
			return err
		}
		p.eachSeen(func(run int) { p.most[run] = minusInf })
		if err := x.rest(ctx, err, strict, s); err != nil {
			return err
		}
	}
	if len(s.candidates) > x.telling(k) { // codes tell nothing
		return x.direct(ctx, vec, k, s)
	}
	return x.settle(vec, k, length, s)
}

// telling is how many candidates are left at most where codes tell something.
func (x *Exact) telling(k int) int { return 8*k + x.n/4 }

const (
	// Where more than one row in so many has to be looked at whatever is found, all are, in the order in
	// which they lie.
	inOrderShare = 8
	// nearlySurely is how many times as many rows as are asked for a first bar is to leave.
	nearlySurely = 12
	// firstRuns of those that promise most are compared at a time before them.
	firstRuns = 32
)

// inOrder looks at all runs that may hold a row above a bar that is guessed, in their order: where all
// have to be, memory is read fastest so, and all that matters is a high bar from the beginning. It
// reports false where those runs are few, or no k rows are above the bar.
func (x *Exact) inOrder(ctx context.Context, err bounds, length float32, strict slack, s *scan) (done bool, _ error) {
	p := &s.plan
	if s.floor = p.guess(nearlySurely * float32(p.k)); s.floor == minusInf || p.above(s.floor)*inOrderShare < float32(x.n) {
		s.floor = minusInf
		return false, nil
	}
	for some := range slices.Chunk(p.promising(s.floor), firstRuns) {
		x.compare(some, err, x.trusting(length), s)
	}
	if s.top.Len() == p.k {
		s.floor = math.Nextafter32(s.top.Threshold(), minusInf) // which the same rows are above again
	}
	s.top.Reset(p.k)
	s.candidates = s.candidates[:0]
	failed := x.rest(ctx, err, strict, s)
	s.floor = minusInf
	if done = s.top.Len() == p.k; !done {
		s.top.Reset(p.k)
		s.candidates = s.candidates[:0]
	}
	return done, failed
}

// rest looks at the runs that may hold a row above the bar. It stops when codes tell nothing.
func (x *Exact) rest(ctx context.Context, err bounds, strict slack, s *scan) error {
	p := &s.plan
	bar, some := s.bar(), p.some[:0]
	asked, passes := int32(-1), true
	for run := 0; ; run++ {
		if run >= len(p.most) || !(p.most[run] >= bar) {
			run += linalg.IndexAbove(p.most[min(run, len(p.most)):], math.Nextafter32(bar, minusInf))
		}
		if run < len(p.most) {
			if g := x.runs.groupOf[run]; s.mask != nil && g != asked {
				asked = g
				passes = p.share[g] > askShare || x.anyPasses(g, s)
			}
			if passes {
				some = append(some, int32(run))
			}
		}
		if len(some) < someRuns && run+1 < len(p.most) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		x.compare(some, err, strict, s)
		if bar, some = s.bar(), some[:0]; run+1 >= len(p.most) || len(s.candidates) > x.telling(p.k) {
			break
		}
	}
	p.some = some
	return nil
}

// anyPasses reports whether a row of a group passes.
func (x *Exact) anyPasses(g int32, s *scan) bool {
	r := x.runs
	return linalg.AnyBit(s.mask, r.rowAt[r.start[r.runAt[g]]:r.start[r.runAt[g+1]]])
}

// overflows reports whether scores of a query of that length may overflow: then
// neither codes nor bounds say anything.
func (x *body) overflows(length float32) bool {
	return !(float64(length)*float64(x.mostNorm) < math.MaxFloat32/4)
}

// direct looks at the numbers of all allowed rows.
func (x *body) direct(ctx context.Context, vec []float32, k int, s *scan) error {
	s.top.Reset(k)
	for place := range x.n {
		if place%blockRows == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if row := x.row(int32(place)); s.mask == nil || s.passes(row) {
			s.top.Push(row, linalg.Dot(vec, x.vecs[place*x.dim:][:x.dim]))
		}
	}
	return nil
}

// newBody arranges vecs.
func newBody(vecs []float32, dim, workers int) body {
	o := arrange(vecs, dim, workers)
	b := body{dim: dim, n: len(o.rowAt), vecs: inOrder(vecs, dim, o.rowAt, workers)}
	b.q8 = linalg.QuantiseRows(b.vecs, dim, workers)
	b.runs = newRuns(b.vecs, b.q8, o, workers)
	b.bound()
	return b
}
