package linalg

import (
	"errors"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"
)

// ErrSVD is returned when a decomposition does not converge.
var ErrSVD = errors.New("singular value decomposition did not converge")

// SVDOptions steers [SVD]. The zero value takes the defaults.
type SVDOptions struct {
	Iterations int // of the subspace; 0 means 4
	Oversample int // extra directions; 0 means 16
	Seed       uint64
	Workers    int // goroutines at most; 0 means Workers()
}

// SVD is the truncated singular value decomposition m ≈ u·diag(s)·vᵀ with k
// singular values, descending, by randomised subspace iteration (Halko,
// Martinsson & Tropp 2011, algorithm 4.4, orthonormalised by Cholesky QR
// twice). t is m's transpose. k is cut to the smaller side of m; directions
// whose singular value is nothing are zero. u is m.Rows x k, v m.Cols x k. The
// bits depend on the seed, not on the number of workers.
func SVD(m, t CSR, k int, o SVDOptions) (u Matrix, s []float32, v Matrix, err error) {
	m.checkTranspose("SVD", t)
	if o.Iterations == 0 {
		o.Iterations = 4
	}
	if o.Oversample == 0 {
		o.Oversample = 16
	}
	if o.Workers == 0 {
		o.Workers = Workers()
	}
	k = min(k, m.Rows, m.Cols)
	p := min(k+o.Oversample, m.Rows, m.Cols)
	right, left := NewMatrix(m.Cols, p), NewMatrix(m.Rows, p)
	random := rand.New(rand.NewPCG(o.Seed, 0x5ed))
	for i := range right.Data {
		right.Data[i] = float32(random.NormFloat64())
	}
	for range o.Iterations {
		m.MulDense(right, left, o.Workers)
		if err := orthonormalise(left, o.Workers); err != nil {
			return Matrix{}, nil, Matrix{}, err
		}
		t.MulDense(left, right, o.Workers)
		if err := orthonormalise(right, o.Workers); err != nil {
			return Matrix{}, nil, Matrix{}, err
		}
	}
	// m·right = left·B with right orthonormal: the decomposition of the small
	// Gram matrix of left gives that of m within the subspace.
	m.MulDense(right, left, o.Workers)
	values, vectors, err := eigenGram(left, o.Workers)
	if err != nil {
		return Matrix{}, nil, Matrix{}, err
	}
	s = make([]float32, k)
	scaled := NewMatrix(p, k) // vectors, each divided by its singular value
	for j := range k {
		s[j] = float32(math.Sqrt(max(values[j], 0)))
		if s[j] <= 1e-6*s[0] {
			s[j] = 0
			continue
		}
		for i := range p {
			scaled.Set(i, j, vectors.At(i, j)/s[j])
		}
	}
	kept := vectors.Sub(0, 0, p, k)
	for j := range k {
		if s[j] == 0 {
			for i := range p {
				kept.Set(i, j, 0)
			}
		}
	}
	u, v = NewMatrix(m.Rows, k), NewMatrix(m.Cols, k)
	GemmParallel(false, false, 1, left, scaled, 0, u, o.Workers)
	GemmParallel(false, false, 1, right, kept, 0, v, o.Workers)
	return u, s, v, nil
}

// orthonormalise makes the columns of a orthonormal, through the eigenvectors
// of its Gram matrix, twice for accuracy. Columns that depend on others become
// zero.
func orthonormalise(a Matrix, workers int) error {
	out := NewMatrix(a.Rows, a.Cols)
	for range 2 {
		values, vectors, err := eigenGram(a, workers)
		if err != nil {
			return err
		}
		for j := range a.Cols {
			inv := float32(0)
			if values[j] > 1e-10*values[0] {
				inv = float32(1 / math.Sqrt(values[j]))
			}
			for i := range a.Cols {
				vectors.Set(i, j, vectors.At(i, j)*inv)
			}
		}
		GemmParallel(false, false, 1, a, vectors, 0, out, workers)
		a.CopyFrom(out)
	}
	return nil
}

// eigenGram is the eigenvalues of aᵀa, descending, and its eigenvectors by
// column, worked out in float64.
func eigenGram(a Matrix, workers int) ([]float64, Matrix, error) {
	n := a.Cols
	gram := NewMatrix(n, n)
	SyrkParallel(1, a, 0, gram, workers)
	sym := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sym.SetSym(i, j, float64(gram.At(i, j)))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(sym, true) {
		return nil, Matrix{}, ErrSVD
	}
	ascending := eigen.Values(nil)
	var by mat.Dense
	eigen.VectorsTo(&by)
	values, vectors := make([]float64, n), NewMatrix(n, n)
	for j := range n {
		values[j] = ascending[n-1-j]
		for i := range n {
			vectors.Set(i, j, float32(by.At(i, n-1-j)))
		}
	}
	return values, vectors, nil
}
