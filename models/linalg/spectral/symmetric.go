// Package spectral finds the eigenvectors of symmetric matrices and the leading
// singular vectors of sparse ones.
//
// It imports models/linalg. Start reading at Symmetric and Truncate.
package spectral

import (
	"errors"
	"math"
	"sort"

	"github.com/attune-rec/attune/models/linalg"
)

// ErrNoConvergence is returned when the eigenvalues do not settle: as a rule
// the matrix holds NaN or infinities.
var ErrNoConvergence = errors.New("eigenvalues do not converge")

// Symmetric returns the eigenvalues of a by descending value and the
// eigenvectors as rows, orthonormal: a = vectorsᵀ·diag(values)·vectors. Of a it
// reads the triangle on and below the diagonal, in double precision. It runs
// on up to workers goroutines, with the same bits for any number.
//
// The method is Householder's reduction to a tridiagonal matrix, then implicit
// QL (Golub, Van Loan, "Matrix Computations", §8.3), whose rotations are
// recorded first and carried out on strips of columns afterwards.
func Symmetric(a linalg.Matrix, workers int) (values []float64, vectors linalg.Matrix, err error) {
	n := a.Rows
	if n == 0 {
		return nil, linalg.NewMatrix(0, 0), nil
	}
	full := make([]float64, n*n)
	for i := range n {
		for j := range i + 1 {
			v := float64(a.At(i, j))
			full[i*n+j], full[j*n+i] = v, v
		}
	}
	diagonal, off, mirrors := tridiagonal(full, n, workers)
	rotations, err := settle(diagonal, off)
	if err != nil {
		return nil, linalg.Matrix{}, err
	}
	basis := reflect(mirrors, n, workers)
	rotate(basis, n, rotations, workers)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return diagonal[order[i]] > diagonal[order[j]] })
	values, vectors = make([]float64, n), linalg.NewMatrix(n, n)
	for to, from := range order {
		values[to] = diagonal[from]
		row := vectors.Row(to)
		for j, v := range basis[from*n:][:n] {
			row[j] = float32(v)
		}
	}
	return values, vectors, nil
}

// mirror is a reflection I − 2·v·vᵀ with v of length 1, on the coordinates from
// at on; an empty v reflects nothing.
type mirror struct {
	at int
	v  []float64
}

// tridiagonal reduces a, which it overwrites, to diagonal and off-diagonal.
func tridiagonal(a []float64, n, workers int) (diagonal, off []float64, mirrors []mirror) {
	diagonal, off = make([]float64, n), make([]float64, n)
	p := make([]float64, n)
	for k := range n - 1 {
		m := n - k - 1
		v := make([]float64, m)
		var norm float64
		for i := range v {
			v[i] = a[(k+1+i)*n+k]
			norm += v[i] * v[i]
		}
		norm = math.Sqrt(norm)
		alpha := norm
		if v[0] > 0 {
			alpha = -norm
		}
		off[k] = v[0]
		if rest := norm*norm - v[0]*v[0]; m == 1 || !(rest > 0) {
			mirrors = append(mirrors, mirror{at: k + 1})
			continue
		}
		off[k] = alpha
		v[0] -= alpha
		var length float64
		for _, x := range v {
			length += x * x
		}
		length = math.Sqrt(length)
		for i := range v {
			v[i] /= length
		}
		mirrors = append(mirrors, mirror{at: k + 1, v: v})
		// With p = A·v and w = 2·(p − (v·p)·v), the reflected A is A − v·wᵀ − w·vᵀ.
		w := p[:m]
		linalg.ParallelN(m, 128, workers, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				w[i] = dot(a[(k+1+i)*n+k+1:][:m], v)
			}
		})
		along := dot(v, w)
		for i := range w {
			w[i] = 2 * (w[i] - along*v[i])
		}
		linalg.ParallelN(m, 128, workers, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				row, vi, wi := a[(k+1+i)*n+k+1:][:m], v[i], w[i]
				for j := range row {
					row[j] -= vi*w[j] + wi*v[j]
				}
			}
		})
	}
	for i := range n {
		diagonal[i] = a[i*n+i]
	}
	return diagonal, off, mirrors
}

func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// reflect is the transpose of the product of the mirrors, row-major.
func reflect(mirrors []mirror, n, workers int) []float64 {
	basis := make([]float64, n*n)
	linalg.ParallelN(n, 16, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			row := basis[i*n:][:n]
			row[i] = 1
			for m := len(mirrors) - 1; m >= 0; m-- {
				v := mirrors[m].v
				if len(v) == 0 {
					continue
				}
				part := row[mirrors[m].at:]
				s := 2 * dot(part, v)
				if s == 0 {
					continue
				}
				for j, x := range v {
					part[j] -= s * x
				}
			}
		}
	})
	return basis
}

// rotation turns rows at and at+1.
type rotation struct {
	at int32
	c  float64
	s  float64
}

// settle turns d into the eigenvalues of the tridiagonal matrix d, e and returns
// the rotations that did it.
func settle(d, e []float64) ([]rotation, error) {
	n := len(d)
	e[n-1] = 0
	// What is this small beside the whole matrix is rounding: of a matrix of low
	// rank nothing else is left, and it would never settle against itself.
	norm := 0.
	for i := range d {
		norm = max(norm, math.Abs(d[i])+math.Abs(e[i]))
	}
	nothing := 0x1p-54 * norm
	var rotations []rotation
	for l := range n {
		for tries := 0; ; tries++ {
			m := l
			for ; m < n-1; m++ {
				if scale := math.Abs(d[m]) + math.Abs(d[m+1]); math.Abs(e[m]) <= max(0x1p-52*scale, nothing) {
					break
				}
			}
			if m == l {
				break
			}
			if tries == 60 {
				return nil, ErrNoConvergence
			}
			g := (d[l+1] - d[l]) / (2 * e[l])
			g = d[m] - d[l] + e[l]/(g+math.Copysign(math.Hypot(g, 1), g))
			s, c, shift := 1., 1., 0.
			i := m - 1
			for ; i >= l; i-- {
				f, b := s*e[i], c*e[i]
				r := math.Sqrt(f*f + g*g)
				e[i+1] = r
				if r == 0 {
					d[i+1] -= shift
					e[m] = 0
					break
				}
				s, c = f/r, g/r
				g = d[i+1] - shift
				r = (d[i]-g)*s + 2*c*b
				shift = s * r
				d[i+1] = g + shift
				g = c*r - b
				rotations = append(rotations, rotation{at: int32(i), c: c, s: s})
			}
			if i >= l {
				continue
			}
			d[l] -= shift
			e[l], e[m] = g, 0
		}
		if math.IsNaN(d[l]) {
			return nil, ErrNoConvergence
		}
	}
	return rotations, nil
}

// rotate carries out the rotations on the rows of basis, strip by strip.
func rotate(basis []float64, n int, rotations []rotation, workers int) {
	const strip = 16
	linalg.ParallelN(n, strip, workers, func(_, lo, hi int) {
		w := hi - lo
		block := make([]float64, n*w)
		for i := range n {
			copy(block[i*w:], basis[i*n+lo:i*n+hi])
		}
		for _, r := range rotations {
			x, y := block[int(r.at)*w:][:w], block[int(r.at+1)*w:][:w]
			for j, f := range y {
				y[j] = r.s*x[j] + r.c*f
				x[j] = r.c*x[j] - r.s*f
			}
		}
		for i := range n {
			copy(basis[i*n+lo:i*n+hi], block[i*w:])
		}
	})
}
