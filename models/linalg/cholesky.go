package linalg

import (
	"errors"
	"fmt"
	"math"
)

// ErrNotPositiveDefinite says that a matrix has no Cholesky factor: a pivot was zero, negative,
// infinite or NaN. A larger term on the diagonal mends what rounding broke.
var ErrNotPositiveDefinite = errors.New("matrix is not positive definite")

// Heights of the panels that the blocked algorithms work on. Up to blockFactor rows a matrix is
// factored in one go; it lies in the second-level cache then.
const (
	blockFactor  = 384
	blockInverse = 192
)

// Cholesky factors the symmetric positive definite matrix a in place: it reads the triangle on and
// above the diagonal and overwrites it with U, where UᵀU = a (Uᵀ is the usual lower factor L).
// What lies below the diagonal is neither read nor kept. On [ErrNotPositiveDefinite] the content
// of a is unspecified.
func Cholesky(a Matrix) error { return CholeskyParallel(a, 1) }

// CholeskyParallel is [Cholesky] on up to workers goroutines, with the same bits for any number.
func CholeskyParallel(a Matrix, workers int) error {
	a.check("Cholesky")
	checkShape("Cholesky", "a", a, a.Rows, a.Rows)
	n := a.Rows
	for k0 := 0; k0 < n; k0 += blockFactor {
		kb := min(blockFactor, n-k0)
		d := a.Sub(k0, k0, kb, kb)
		if i := factorBlock(d); i >= 0 {
			return fmt.Errorf("pivot %d of %d: %w", k0+i, n, ErrNotPositiveDefinite)
		}
		rest := k0 + kb
		if rest == n {
			break
		}
		panel := a.Sub(k0, rest, kb, n-rest)
		triSolveTParallel(d, panel, workers)
		SyrkParallel(-1, panel, 1, a.Sub(rest, rest, n-rest, n-rest), workers)
	}
	return nil
}

// factorBlock factors a small matrix, tile row by tile row, and returns the row of the first bad
// pivot or -1.
func factorBlock(a Matrix) int {
	mr, nr := tileShape()
	n, s := a.Rows, a.Stride
	for r := 0; r < n; r += mr {
		m := min(mr, n-r)
		if r > 0 {
			j := r &^ 15
			c := a.Data[r*s+j:]
			tile(m, n-j, r, -1, a.Data[r:], s, 1, a.Data[j:], s, nr, c, s, c, s)
		}
		if i := factorRows(m, n-r, a.Data[r*s+r:], s); i >= 0 {
			return r + i
		}
	}
	return -1
}

// factorRowsGeneric factors the m rows of n columns at a, whose first m columns hold the pivots and
// from which all earlier rows were taken out already: each row is divided by the root of its pivot
// and taken out of the rows below. It returns the row of the first bad pivot, or -1.
func factorRowsGeneric(m, n int, a []float32, stride int) int {
	for i := range m {
		row := a[i*stride+i : i*stride+n]
		d := row[0]
		if !(d > 0 && d <= math.MaxFloat32) {
			return i
		}
		scale(1/float32(math.Sqrt(float64(d))), row)
		for t := i + 1; t < m; t++ {
			axpy(-row[t-i], row[t-i:], a[t*stride+t:t*stride+n])
		}
	}
	return -1
}

// CholeskySolve solves UᵀU·x = b in place of b, where u is what [Cholesky] left.
func CholeskySolve(u Matrix, b []float32) {
	n := u.Rows
	checkLen("CholeskySolve", len(b), n)
	TriSolveT(u, b)
	TriSolve(u, b)
}

// TriSolve solves U·x = b in place of b; of u it reads the triangle on and above the diagonal.
func TriSolve(u Matrix, b []float32) {
	u.check("TriSolve")
	checkShape("TriSolve", "u", u, len(b), len(b))
	for i := len(b) - 1; i >= 0; i-- {
		row := u.Row(i)
		b[i] = (b[i] - dot(row[i+1:], b[i+1:])) / row[i]
	}
}

// TriSolveT solves Uᵀ·x = b in place of b; of u it reads the triangle on and above the diagonal.
func TriSolveT(u Matrix, b []float32) {
	u.check("TriSolveT")
	checkShape("TriSolveT", "u", u, len(b), len(b))
	for i := range b {
		row := u.Row(i)
		b[i] /= row[i]
		axpy(-b[i], row[i+1:], b[i+1:])
	}
}

// CholeskySolveMany solves UᵀU·X = B in place of b, whose columns are the right-hand sides, on up
// to workers goroutines.
func CholeskySolveMany(u, b Matrix, workers int) {
	u.check("CholeskySolveMany")
	b.check("CholeskySolveMany")
	checkShape("CholeskySolveMany", "u", u, b.Rows, b.Rows)
	const cols = 256
	if b.Cols <= cols {
		triSolveTBlock(u, b)
		triSolveBlock(u, b)
		return
	}
	triSolveTParallel(u, b, workers)
	ParallelN(b.Cols, cols, workers, func(_, lo, hi int) {
		triSolveBlock(u, b.Sub(0, lo, b.Rows, hi-lo))
	})
}

// triSolveBlock solves U·X = B in place of x, tile row by tile row from the last one up.
func triSolveBlock(u, x Matrix) {
	mr, nr := tileShape()
	n := u.Rows
	for r := (n - 1) / mr * mr; r >= 0; r -= mr {
		m := min(mr, n-r)
		if below := r + m; below < n {
			c := x.Data[r*x.Stride:]
			tile(m, x.Cols, n-below, -1, u.Data[r*u.Stride+below:], 1, u.Stride, x.Data[below*x.Stride:], x.Stride, nr,
				c, x.Stride, c, x.Stride)
		}
		for i := r + m - 1; i >= r; i-- {
			row := x.Row(i)
			for t := i + 1; t < r+m; t++ {
				axpy(-u.Data[i*u.Stride+t], x.Row(t), row)
			}
			scale(1/u.Data[i*u.Stride+i], row)
		}
	}
}

// triSolveTParallel solves Uᵀ·X = B in place of b, column block by column block.
func triSolveTParallel(u, b Matrix, workers int) {
	const cols = 256
	ParallelN(b.Cols, cols, workers, func(_, lo, hi int) {
		triSolveTBlock(u, b.Sub(0, lo, b.Rows, hi-lo))
	})
}

func triSolveTBlock(u, x Matrix) {
	mr, nr := tileShape()
	n := u.Rows
	for r := 0; r < n; r += mr {
		m := min(mr, n-r)
		if r > 0 {
			c := x.Data[r*x.Stride:]
			tile(m, x.Cols, r, -1, u.Data[r:], u.Stride, 1, x.Data, x.Stride, nr, c, x.Stride, c, x.Stride)
		}
		for i := r; i < r+m; i++ {
			row := x.Row(i)
			for t := r; t < i; t++ {
				axpy(-u.Data[t*u.Stride+i], x.Row(t), row)
			}
			scale(1/u.Data[i*u.Stride+i], row)
		}
	}
}

// CholeskyInverse replaces the factor U that [CholeskyParallel] left in u by the inverse of UᵀU,
// in place: the triangle on and above the diagonal holds it, what lies below is unspecified
// ([Matrix.MirrorUpper] fills it). Beyond u it needs a few panels of u.Rows by 192 values. It runs
// on up to workers goroutines and has the same bits for any number of them.
func CholeskyInverse(u Matrix, workers int) {
	u.check("CholeskyInverse")
	checkShape("CholeskyInverse", "u", u, u.Rows, u.Rows)
	invertUpper(u, workers)
	squareUpper(u, workers)
}

// invertUpper replaces U by its inverse, block column by block column: with the leading part V
// inverted already, the next block column becomes -V·U₁₂·U₂₂⁻¹.
func invertUpper(u Matrix, workers int) {
	n := u.Rows
	panel := make([]float32, n*blockInverse)
	for k0 := 0; k0 < n; k0 += blockInverse {
		kb := min(blockInverse, n-k0)
		d := u.Sub(k0, k0, kb, kb)
		inv := invertUpperBlock(d)
		if k0 == 0 {
			continue
		}
		t := MatrixOf(k0, kb, panel[:k0*kb])
		col := u.Sub(0, k0, k0, kb)
		// t = U₁₂·U₂₂⁻¹, then col = -V·t, where V has nothing below its diagonal.
		GemmParallel(false, false, 1, col, inv, 0, t, workers)
		blocks := (k0 + blockInverse - 1) / blockInverse
		ParallelN(blocks, 1, workers, func(_, b, _ int) {
			i := b * blockInverse
			m := min(blockInverse, k0-i)
			out := col.Sub(i, 0, m, kb)
			buf := scratches.Get().(*scratch)
			defer scratches.Put(buf)
			Gemm(false, false, -1, buf.cleanUpper(u.Sub(i, i, m, m)), t.Sub(i, 0, m, kb), 0, out)
			if rest := i + m; rest < k0 {
				Gemm(false, false, -1, u.Sub(i, rest, m, k0-rest), t.Sub(rest, 0, k0-rest, kb), 1, out)
			}
		})
	}
}

// invertUpperBlock replaces a small upper triangle by its inverse V and returns a copy of it with
// zeros below the diagonal. From the last row up, row i of V is -1/uᵢᵢ·Σ_{t>i} uᵢₜ·V[t].
func invertUpperBlock(u Matrix) Matrix {
	n := u.Rows
	v := NewMatrix(n, n)
	for i := n - 1; i >= 0; i-- {
		row := u.Row(i)[i:]
		inv := 1 / row[0]
		y := v.Row(i)[i:]
		y[0] = inv
		if i < n-1 {
			axpyRows(row[1:], v.Data[(i+1)*n+i+1:], n, y[1:])
			scale(-inv, y[1:])
		}
		copy(row, y)
	}
	return v
}

// squareUpper replaces the upper triangle V by the upper triangle of V·Vᵀ. Block row i needs only
// block rows from i on, so the rows are overwritten from the top.
func squareUpper(v Matrix, workers int) {
	n := v.Rows
	panel := make([]float32, n*blockInverse)
	for i := 0; i < n; i += blockInverse {
		m := min(blockInverse, n-i)
		top := MatrixOf(m, n-i, panel[:m*(n-i)]) // block row i of V, from its diagonal on
		top.CopyFrom(v.Sub(i, i, m, n-i))
		clearLower(top.Sub(0, 0, m, m))
		blocks := (n - i + blockInverse - 1) / blockInverse
		ParallelN(blocks, 1, workers, func(_, b, _ int) {
			j := i + b*blockInverse
			w := min(blockInverse, n-j)
			out := v.Sub(i, j, m, w)
			buf := scratches.Get().(*scratch)
			defer scratches.Put(buf)
			d := buf.cleanUpper(v.Sub(j, j, w, w))
			if b == 0 {
				d = top.Sub(0, 0, m, m)
			}
			Gemm(false, true, 1, top.Sub(0, j-i, m, w), d, 0, out)
			if rest := j + w; rest < n {
				right := v.Sub(j, rest, w, n-rest)
				if b == 0 {
					right = top.Sub(0, w, m, n-rest)
				}
				Gemm(false, true, 1, top.Sub(0, rest-i, m, n-rest), right, 1, out)
			}
		})
	}
}

// cleanUpper returns a copy of a square block with zeros below its diagonal; it lasts until the next
// call on s.
func (s *scratch) cleanUpper(m Matrix) Matrix {
	s.triangle = grow(s.triangle, m.Rows*m.Cols)
	c := MatrixOf(m.Rows, m.Cols, s.triangle)
	c.CopyFrom(m)
	clearLower(c)
	return c
}

func clearLower(m Matrix) {
	for i := range m.Rows {
		clear(m.Row(i)[:i])
	}
}
