package spectral

import (
	"context"
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/linalg"
)

// Truncate returns the k largest singular values of x, descending, and the
// right singular vectors as rows, orthonormal: rows of v are x.Cols long. There
// are fewer than k where x has no more. workers and the order of work do not
// change the bits; seed and rounds do: more rounds make the smaller ones more
// exact, 4 are enough for ranking.
//
// The method is randomised subspace iteration (Halko, Martinsson, Tropp 2011,
// "Finding Structure with Randomness").
func Truncate(ctx context.Context, x linalg.CSR, k, rounds int, seed uint64, workers int) ([]float64, linalg.Matrix, error) {
	const extra = 20
	width := min(k+extra, x.Cols, x.Rows)
	k = min(k, width)
	t := x.Transpose()
	rng := rand.New(rand.NewPCG(seed, 0x5bd))
	right, left := linalg.NewMatrix(x.Cols, width), linalg.NewMatrix(x.Rows, width)
	for i := range right.Data {
		right.Data[i] = float32(rng.NormFloat64())
	}
	for range rounds {
		x.MulDense(right, left, workers)
		spread(left, workers)
		t.MulDense(left, right, workers)
		spread(right, workers)
		if err := ctx.Err(); err != nil {
			return nil, linalg.Matrix{}, err
		}
	}
	basis, err := orthonormal(right, workers)
	if err != nil {
		return nil, linalg.Matrix{}, err
	}
	// The singular values within the subspace are those of x·basis.
	left = linalg.NewMatrix(x.Rows, basis.Cols)
	x.MulDense(basis, left, workers)
	squares, turn, err := Symmetric(gramian(left, workers), workers)
	if err != nil {
		return nil, linalg.Matrix{}, err
	}
	found := 0
	for found < min(k, len(squares)) && squares[found] > 1e-10*squares[0] {
		found++
	}
	values := make([]float64, found)
	for i := range values {
		values[i] = math.Sqrt(squares[i])
	}
	vectors := linalg.NewMatrix(found, x.Cols)
	linalg.GemmParallel(false, true, 1, turn.Sub(0, 0, found, turn.Cols), basis, 0, vectors, workers)
	return values, vectors, ctx.Err()
}

func gramian(y linalg.Matrix, workers int) linalg.Matrix {
	g := linalg.NewMatrix(y.Cols, y.Cols)
	linalg.SyrkParallel(1, y, 0, g, workers)
	g.MirrorUpper()
	return g
}

// spread makes the columns of y nearly orthonormal by Cholesky of its Gramian,
// lifted a little where the columns depend on each other. It keeps the
// subspace and stops the columns from all turning to the first vector.
func spread(y linalg.Matrix, workers int) {
	g := gramian(y, workers)
	var trace float64
	for i := range g.Rows {
		trace += float64(g.At(i, i))
	}
	for lift := 1e-6; lift < 1; lift *= 10 {
		u := g.Clone()
		u.AddDiagonal(float32(lift * trace / float64(max(g.Rows, 1))))
		if linalg.Cholesky(u) != nil {
			continue
		}
		divide(y, u, workers)
		return
	}
}

// divide replaces y by y·U⁻¹: each row solves Uᵀ·x = y.
func divide(y, u linalg.Matrix, workers int) {
	linalg.ParallelN(y.Rows, 256, workers, func(_, lo, hi int) {
		part := y.Sub(lo, 0, hi-lo, y.Cols)
		turned := linalg.NewMatrix(y.Cols, hi-lo)
		for i := range part.Rows {
			for j, v := range part.Row(i) {
				turned.Set(j, i, v)
			}
		}
		forward(u, turned)
		for i := range part.Rows {
			row := part.Row(i)
			for j := range row {
				row[j] = turned.At(j, i)
			}
		}
	})
}

// forward solves Uᵀ·X = B in place of b, block row by block row.
func forward(u, b linalg.Matrix) {
	const block = 64
	for r := 0; r < u.Rows; r += block {
		m := min(block, u.Rows-r)
		here := b.Sub(r, 0, m, b.Cols)
		if r > 0 {
			linalg.Gemm(true, false, -1, u.Sub(0, r, r, m), b.Sub(0, 0, r, b.Cols), 1, here)
		}
		for i := range m {
			row := here.Row(i)
			for t := range i {
				linalg.Axpy(-u.At(r+t, r+i), here.Row(t), row)
			}
			linalg.Scale(1/u.At(r+i, r+i), row)
		}
	}
}

// orthonormal returns an orthonormal basis of the columns of y, directions that
// are all but empty left out.
func orthonormal(y linalg.Matrix, workers int) (linalg.Matrix, error) {
	squares, turn, err := Symmetric(gramian(y, workers), workers)
	if err != nil {
		return linalg.Matrix{}, err
	}
	rank := 0
	for rank < len(squares) && squares[rank] > 1e-5*squares[0] {
		linalg.Scale(float32(1/math.Sqrt(squares[rank])), turn.Row(rank))
		rank++
	}
	basis := linalg.NewMatrix(y.Rows, rank)
	linalg.GemmParallel(false, true, 1, y, turn.Sub(0, 0, rank, turn.Cols), 0, basis, workers)
	return basis, nil
}
