package vector

import (
	"context"
	"math"

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
	s.candidates = s.candidates[:0]
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
	s.plan.begin(x.runs, &s.query, length, s.mask, allowed, k)
	strict := doubting(err)
	if _, err := x.sweep(ctx, err, strict, x.n, s); err != nil {
		return err
	}
	p := &s.plan
	most := append(p.far[:0], p.means...) // no row of a run is better
	p.far = most
	linalg.Axpy(err.norm, x.runs.norm, most)
	linalg.Axpy(up(float64(length)), x.runs.reach, most)
	p.eachSeen(func(run int) { most[run] = minusInf })
	bar, some := s.bar(), p.some[:0]
	asked, passes := int32(-1), true
	for run := 0; ; run++ {
		run += linalg.IndexAbove(most[run:], math.Nextafter32(bar, minusInf))
		if run < len(most) {
			if g := x.runs.groupOf[run]; s.mask != nil && g != asked {
				asked = g
				passes = p.share[g] > askShare || x.anyPasses(g, s)
			}
			if passes {
				some = append(some, int32(run))
			}
		}
		if len(some) < someRuns && run+1 < len(most) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		x.compare(some, err, strict, s)
		if len(s.candidates) > 8*k+x.n/4 { // codes tell nothing
			return x.direct(ctx, vec, k, s)
		}
		if bar, some = s.bar(), some[:0]; run+1 >= len(most) {
			break
		}
	}
	p.some = some
	return x.settle(vec, k, length, s)
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
