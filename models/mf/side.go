package mf

import (
	"context"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
)

// side is one half of the alternation: the vectors of rows (users or items),
// each solved from the fixed vectors of the columns it is observed with.
type side struct {
	seen    linalg.CSR // rows by columns, weights scaled to a mean of 1
	vectors linalg.Matrix
	reg     []float32
	ones    []float32 // weights of a row where seen has none
	// prior is what vectors are drawn to, by row; without rows it is 0 for all.
	prior linalg.Matrix
	bench []*worker // by worker; nil: not met yet
}

func newSide(seen linalg.CSR, dim int) side {
	s := side{seen: seen, vectors: linalg.NewMatrix(seen.Rows, dim), reg: make([]float32, seen.Rows)}
	if seen.Val != nil {
		return s
	}
	longest := int64(0)
	for row := range seen.Rows {
		longest = max(longest, seen.Ptr[row+1]-seen.Ptr[row])
	}
	s.ones = make([]float32, longest)
	for i := range s.ones {
		s.ones[i] = 1
	}
	return s
}

func (s *side) row(row int) ([]int32, []float32) {
	cols, weights := s.seen.Row(row)
	if weights == nil {
		weights = s.ones[:len(cols)]
	}
	return cols, weights
}

// worker is the memory of one goroutine.
type worker struct {
	scratch features.Scratch
	rows    linalg.Gathered
	failed  int // the row of err
	err     error
}

// solve replaces every vector of s by its minimum in y, exactly (steps 0) or by
// steps of conjugate gradient from where it is. It returns the value summed
// over the rows, the fixed side's regularisation left out. The result does not
// depend on workers.
func (s *side) solve(ctx context.Context, y *system, steps, workers int) (float64, error) {
	if s.bench == nil {
		s.bench = make([]*worker, max(workers, 1))
	}
	const chunk = 64
	values := make([]float64, (s.seen.Rows+chunk-1)/chunk) // by chunk, so that sums do not depend on workers
	linalg.ParallelN(s.seen.Rows, chunk, workers, func(id, lo, hi int) {
		if ctx.Err() != nil {
			return
		}
		if s.bench[id] == nil {
			s.bench[id] = new(worker)
		}
		w := s.bench[id]
		for row := lo; row < hi; row++ {
			value, err := s.solveRow(w, y, row, steps)
			if err != nil && (w.err == nil || row < w.failed) {
				w.failed, w.err = row, err
			}
			values[lo/chunk] += value
		}
	})
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var first *worker
	for _, w := range s.bench {
		if w != nil && w.err != nil && (first == nil || w.failed < first.failed) {
			first = w
		}
	}
	if first != nil {
		return 0, first.err
	}
	var total float64
	for _, v := range values {
		total += v
	}
	return total, nil
}

func (s *side) solveRow(w *worker, y *system, row, steps int) (float64, error) {
	cols, weights := s.row(row)
	x := s.vectors.Row(row)
	var prior []float32
	if s.prior.Rows > 0 {
		prior = s.prior.Row(row)
	}
	if len(cols) == 0 {
		clear(x)
		copy(x, prior)
		return 0, nil
	}
	w.scratch.Reset()
	if steps > 0 {
		return w.gradient(y, cols, weights, s.reg[row], x, prior, steps), nil
	}
	out, err := y.solve(cols, weights, s.reg[row], x, &w.scratch)
	if err != nil || prior == nil {
		return out.value, err
	}
	// The prior adds reg·A⁻¹·prior to the minimum at x.
	more := w.scratch.Floats(len(x))
	copy(more, prior)
	out.apply(more, &w.scratch)
	linalg.Scale(s.reg[row], more)
	out.value += float64(s.reg[row]) * float64(linalg.Dot(prior, prior)-2*linalg.Dot(prior, x)-linalg.Dot(prior, more))
	linalg.Axpy(1, more, x)
	return out.value, nil
}

// penalty is Σ reg·|x|² over the vectors.
func (s *side) penalty() float64 {
	var sum float64
	for row, reg := range s.reg {
		x := s.vectors.Row(row)
		sum += float64(reg) * float64(linalg.Dot(x, x))
	}
	return sum
}
