package mf

import (
	"context"
	"math"

	"github.com/attune-rec/attune/models/linalg"
)

// side is one half of the alternation: the vectors of rows (users or items),
// each solved from the fixed vectors of the columns it is observed with. Row r
// minimises
//
//	Σ_j |w_j|·(t_j − x·y_j)² + x·gram·x + reg_r·|x|²
//
// over its observed columns j, where t_j is 1 for a weight above 0, else 0.
type side struct {
	seen    linalg.CSR // rows by columns, weights scaled to a mean of 1
	vectors linalg.Matrix
	reg     []float32
}

// solver is the scratch memory of one goroutine.
type solver struct {
	matrix  linalg.Matrix
	right   []float32
	gather  []float32
	weights []float32
	targets []float32
	cg      linalg.CG
}

func newSolver(dim int) *solver {
	return &solver{matrix: linalg.NewMatrix(dim, dim), right: make([]float32, dim)}
}

// normal builds W = gram + reg·I + Σ|w|·y·yᵀ in matrix (upper triangle) and
// b = Σ_{w>0} w·y in right. gather has room for 2·len(rows)·dim numbers,
// magnitudes and likes for len(rows).
func normal(gram, fixed linalg.Matrix, rows []int32, weights []float32, reg float32, matrix linalg.Matrix, right, gather, magnitudes, likes []float32) {
	matrix.CopyFrom(gram)
	matrix.AddDiagonal(reg)
	for i, w := range weights {
		magnitudes[i], likes[i] = float32(math.Abs(float64(w))), max(w, 0)
	}
	linalg.SyrkGather(fixed, rows, magnitudes, matrix, gather)
	clear(right)
	linalg.AxpyGather(likes, fixed.Data, rows, right)
}

// grow returns a slice of n numbers, x itself when it is long enough.
func grow(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n+n/2)[:n]
	}
	return x[:n]
}

func ones(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// gramOf is weight·yᵀy with both triangles.
func gramOf(y linalg.Matrix, weight float32, workers int) linalg.Matrix {
	g := linalg.NewMatrix(y.Cols, y.Cols)
	linalg.SyrkParallel(weight, y, 0, g, workers)
	g.MirrorUpper()
	return g
}

// solve replaces every vector of s by its minimum given the fixed vectors and
// their Gramian times the weight of the unobserved, by Cholesky (steps 0) or
// by steps of conjugate gradient from where it is. It returns the minimum's
// value summed over the rows, regularisation of the fixed side left out; with
// conjugate gradient, an upper bound of it. The result does not depend on
// workers.
func (s *side) solve(ctx context.Context, fixed, gram linalg.Matrix, steps, workers int) (float64, error) {
	dim := fixed.Cols
	solvers := make([]*solver, max(workers, 1))
	values := make([]float64, s.seen.Rows)
	failures := make([]error, s.seen.Rows)
	const chunk = 64
	linalg.ParallelN(s.seen.Rows, chunk, workers, func(worker, lo, hi int) {
		if ctx.Err() != nil {
			return
		}
		if solvers[worker] == nil {
			solvers[worker] = newSolver(dim)
		}
		for row := lo; row < hi; row++ {
			values[row], failures[row] = s.row(solvers[worker], row, fixed, gram, steps)
		}
	})
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var total float64
	for row, v := range values {
		if failures[row] != nil {
			return 0, failures[row]
		}
		total += v
	}
	return total, nil
}

func (s *side) row(w *solver, row int, fixed, gram linalg.Matrix, steps int) (float64, error) {
	rows, weights := s.seen.Row(row)
	x := s.vectors.Row(row)
	if len(rows) == 0 {
		clear(x)
		return 0, nil
	}
	if weights == nil {
		if len(w.targets) < len(rows) {
			w.targets = ones(len(rows) + len(rows)/2)
		}
		weights = w.targets[:len(rows)]
	}
	n := len(rows)
	w.gather, w.weights = grow(w.gather, 2*n*fixed.Cols), grow(w.weights, 2*n)
	magnitudes, likes := w.weights[:n], w.weights[n:]
	if steps > 0 {
		return s.gradient(w, x, rows, weights, magnitudes, likes, fixed, gram, s.reg[row], steps), nil
	}
	normal(gram, fixed, rows, weights, s.reg[row], w.matrix, w.right, w.gather, magnitudes, likes)
	if err := linalg.Cholesky(w.matrix); err != nil {
		return 0, err
	}
	copy(x, w.right)
	linalg.CholeskySolve(w.matrix, x)
	// At the minimum the value is Σ w·t² − b·x.
	return float64(linalg.Sum(likes)) - float64(linalg.Dot(w.right, x)), nil
}

// gradient solves by conjugate gradient; the value at x is
// Σ w·t² − 2·b·x + x·W·x, computed from the residuals of the observed.
func (s *side) gradient(w *solver, x []float32, rows []int32, weights, magnitudes, likes []float32, fixed, gram linalg.Matrix, reg float32, steps int) float64 {
	for i, v := range weights {
		magnitudes[i], likes[i] = float32(math.Abs(float64(v))), max(v, 0)
	}
	clear(w.right)
	linalg.AxpyGather(likes, fixed.Data, rows, w.right)
	w.matrix.CopyFrom(gram)
	w.matrix.AddDiagonal(reg)
	w.cg.Solve(w.matrix, fixed, rows, magnitudes, w.right, x, steps, 0)
	w.gather = grow(w.gather, max(len(rows), len(x)))
	scores := w.gather[:len(rows)]
	linalg.DotGather(x, fixed.Data, rows, scores)
	var value float64
	for i, score := range scores {
		target := float64(0)
		if weights[i] > 0 {
			target = 1
		}
		value += float64(magnitudes[i]) * (target - float64(score)) * (target - float64(score))
	}
	product := w.gather[:len(x)]
	linalg.DotRows(x, w.matrix.Data, product)
	return value + float64(linalg.Dot(x, product))
}
