package mf

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/linalg/spectral"
)

// system is the least squares of one vector x against fixed ones: minimise
//
//	Σ_j |w_j|·(t_j − x·y_j)² + Σ_k spectrum_k·x_k² + reg·|x|²
//
// over observed rows j of fixed, where t_j is 1 for a weight above 0, else 0.
// The second term stands for all the pairs nobody saw: the Gramian of the fixed
// vectors is diagonal, since they are kept in its eigenvectors' basis. That
// makes the matrix of the system a diagonal D plus one rank for each observed
// row, and a system of few observed rows is solved in their number instead of
// the vector's length (Woodbury's identity), just as exactly.
type system struct {
	fixed    linalg.Matrix
	spectrum []float32
	every    []int32 // 0 … dim−1
}

// newSystem turns fixed, in place, into the basis in which its Gramian is
// diagonal, and others, if any, with it. weight is that of an unseen pair.
func newSystem(fixed linalg.Matrix, weight float32, workers int, others ...linalg.Matrix) (*system, error) {
	gram := linalg.NewMatrix(fixed.Cols, fixed.Cols)
	linalg.SyrkParallel(weight, fixed, 0, gram, workers)
	gram.MirrorUpper()
	values, basis, err := spectral.Symmetric(gram, workers)
	if err != nil {
		return nil, err
	}
	for _, m := range append(others, fixed) {
		turn(m, basis, workers)
	}
	spectrum := make([]float32, len(values))
	for k, v := range values {
		spectrum[k] = float32(max(v, 0))
	}
	return systemOf(fixed, spectrum), nil
}

func systemOf(fixed linalg.Matrix, spectrum []float32) *system {
	s := &system{fixed: fixed, spectrum: spectrum, every: make([]int32, fixed.Cols)}
	for k := range s.every {
		s.every[k] = int32(k)
	}
	return s
}

// turn replaces m by m·basisᵀ, block of rows by block of rows.
func turn(m, basis linalg.Matrix, workers int) {
	const rows = 512
	copies := make([]linalg.Matrix, max(workers, 1))
	linalg.ParallelN(m.Rows, rows, workers, func(id, lo, hi int) {
		if copies[id].Rows == 0 {
			copies[id] = linalg.NewMatrix(rows, m.Cols)
		}
		part, was := m.Sub(lo, 0, hi-lo, m.Cols), copies[id].Sub(0, 0, hi-lo, m.Cols)
		was.CopyFrom(part)
		linalg.Gemm(false, true, 1, was, basis, 0, part)
	})
}

// solution is what solving left behind, for further right-hand sides.
type solution struct {
	value  float64       // of the minimum
	factor linalg.Matrix // Cholesky factor, of the vector's size or of the observed rows' number
	small  bool
	z      linalg.Matrix // small: D^-½·Yᵀ·C^½, dim by observed rows
	root   []float32     // small: the diagonal of D^-½
	beta   []float32     // small: what is left of each target, by the root of its weight
}

// solve sets x to the minimum. All memory comes from scratch; the solution is
// valid until it is reset. weights are signed and not empty.
func (s *system) solve(rows []int32, weights []float32, reg float32, x []float32, scratch *features.Scratch) (solution, error) {
	if len(rows) < s.fixed.Cols {
		return s.solveRows(rows, weights, reg, x, scratch)
	}
	n, dim := len(rows), s.fixed.Cols
	magnitudes, likes := scratch.Floats(n), scratch.Floats(n)
	for i, w := range weights {
		magnitudes[i], likes[i] = max(w, -w), max(w, 0)
	}
	out := solution{factor: linalg.MatrixOf(dim, dim, scratch.Floats(dim*dim))}
	for k, v := range s.spectrum {
		out.factor.Data[k*dim+k] = v + reg
	}
	// A long history takes turns in memory that stays in the cache.
	const most = 512
	room := scratch.Floats(2 * min(n, most) * dim)
	for lo := 0; lo < n; lo += most {
		hi := min(lo+most, n)
		linalg.SyrkGather(s.fixed, rows[lo:hi], magnitudes[lo:hi], out.factor, room)
	}
	right := scratch.Floats(dim)
	linalg.AxpyGather(likes, s.fixed.Data, rows, right)
	if err := linalg.Cholesky(out.factor); err != nil {
		return out, err
	}
	copy(x, right)
	linalg.CholeskySolve(out.factor, x)
	// At the minimum the value is Σ w·t² − b·x.
	out.value = float64(linalg.Sum(likes)) - float64(linalg.Dot(right, x))
	return out, nil
}

// solveRows solves (I + ZᵀZ)·β = C^½·t with Z = D^-½·Yᵀ·C^½; then x is
// D^-½·Z·β, and what is left of each target is β over the root of its weight.
func (s *system) solveRows(rows []int32, weights []float32, reg float32, x []float32, scratch *features.Scratch) (solution, error) {
	n, dim := len(rows), s.fixed.Cols
	out := solution{
		small: true, root: scratch.Floats(dim),
		z: linalg.MatrixOf(dim, n, scratch.Floats(dim*n)), factor: linalg.MatrixOf(n, n, scratch.Floats(n*n)),
	}
	for k, v := range s.spectrum {
		out.root[k] = float32(1 / math.Sqrt(float64(v+reg)))
	}
	roots, beta := scratch.Floats(n), scratch.Floats(n)
	for j, w := range weights {
		roots[j] = float32(math.Sqrt(math.Abs(float64(w))))
		if w > 0 {
			beta[j] = roots[j]
		}
		for k, v := range s.fixed.Row(int(rows[j])) {
			out.z.Data[k*n+j] = v * roots[j]
		}
	}
	for k, v := range out.root {
		linalg.Scale(v, out.z.Row(k))
	}
	for j := range n {
		out.factor.Data[j*n+j] = 1
	}
	linalg.SyrkGather(out.z, s.every, nil, out.factor, scratch.Floats(2*dim*n))
	if err := linalg.Cholesky(out.factor); err != nil {
		return out, err
	}
	linalg.CholeskySolve(out.factor, beta)
	out.beta = beta
	linalg.DotRows(beta, out.z.Data, x)
	for k, v := range out.root {
		x[k] *= v
	}
	for j, w := range weights {
		if w > 0 {
			out.value += float64(roots[j]) * float64(beta[j])
		}
	}
	return out, nil
}

// apply multiplies y by the inverse of the system's matrix, in place.
func (s solution) apply(y []float32, scratch *features.Scratch) {
	if !s.small {
		linalg.CholeskySolve(s.factor, y)
		return
	}
	for k, v := range s.root {
		y[k] *= v
	}
	inner := scratch.Floats(s.z.Cols)
	linalg.AxpyRows(y, s.z.Data, inner)
	linalg.CholeskySolve(s.factor, inner)
	outer := scratch.Floats(len(y))
	linalg.DotRows(inner, s.z.Data, outer)
	for k, v := range s.root {
		y[k] = v * (y[k] - outer[k])
	}
}
