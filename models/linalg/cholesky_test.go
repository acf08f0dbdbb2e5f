package linalg

import (
	"errors"
	"math"
	"testing"

	"github.com/attune-rec/attune/features/raced"
)

// sizes of the factor tests lie on both sides of the tile and of the block.
// Under the race detector they are few: it makes the twins a hundred times as slow,
// and has nothing to find in them.
var choleskySizes = func() []int {
	sizes := []int{0, 1, 2, 7, 8, 12, 13, 31, 64, 65, 100, 128, 191, 192, 193, 256, 383, 385, 410}
	if raced.On {
		sizes = []int{7, 64, 193}
	}
	return sizes
}()

func TestCholesky(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range choleskySizes {
			a := randomSPD(newRand(uint64(n)), n)
			u := a.Clone()
			for i := range n { // what lies below the diagonal must not matter
				for j := range i {
					u.Set(i, j, float32(math.NaN()))
				}
			}
			if err := Cholesky(u); err != nil {
				t.Fatalf("n=%d: %v", n, err)
			}
			clearLower(u)
			if d := maxDiff(mulTwin(transposed(u), u), a); d > 2e-4*float64(n+1) {
				t.Errorf("n=%d: UᵀU is off by %g", n, d)
			}
			p := a.Clone()
			if err := CholeskyParallel(p, 3); err != nil {
				t.Fatalf("n=%d: %v", n, err)
			}
			clearLower(p)
			if !equal32(p.Data, u.Data) {
				t.Errorf("n=%d: got other bits from 3 workers than from one", n)
			}
		}
	})
}

func TestCholeskyNotPositiveDefinite(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, bad := range []float32{0, -1, float32(math.NaN()), float32(math.Inf(1))} {
			for _, at := range []int{0, 5, 40, 210} {
				a := randomSPD(newRand(1), 220)
				a.Set(at, at, bad)
				if err := Cholesky(a); !errors.Is(err, ErrNotPositiveDefinite) {
					t.Errorf("%g at %d: got %v, want %v", bad, at, err, ErrNotPositiveDefinite)
				}
			}
		}
	})
}

func TestCholeskySolve(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range choleskySizes {
			r := newRand(uint64(n) + 100)
			a := randomSPD(r, n)
			u := a.Clone()
			if err := Cholesky(u); err != nil {
				t.Fatal(err)
			}
			const cols = 37
			x := NewMatrix(n, cols)
			for i := range x.Data {
				x.Data[i] = float32(r.NormFloat64())
			}
			b := mulTwin(a, x)
			for j := range cols {
				v := make([]float32, n)
				for i := range v {
					v[i] = b.At(i, j)
				}
				CholeskySolve(u, v)
				for i := range v {
					if d := math.Abs(float64(v[i] - x.At(i, j))); d > 1e-4 {
						t.Fatalf("n=%d: element %d of solution %d is off by %g", n, i, j, d)
					}
				}
			}
			CholeskySolveMany(u, b, 2)
			if d := maxDiff(b, x); d > 1e-4 {
				t.Errorf("n=%d: many solutions are off by %g", n, d)
			}
		}
	})
}

func TestCholeskyInverse(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range choleskySizes {
			a := randomSPD(newRand(uint64(n)+200), n)
			u := a.Clone()
			if err := Cholesky(u); err != nil {
				t.Fatal(err)
			}
			two := u.Clone()
			CholeskyInverse(u, 1)
			u.MirrorUpper()
			id := mulTwin(a, u)
			id.AddDiagonal(-1)
			if d := maxDiff(id, NewMatrix(n, n)); d > 1e-4 {
				t.Errorf("n=%d: a·inverse is off the identity by %g", n, d)
			}
			CholeskyInverse(two, 2)
			two.MirrorUpper()
			if !equal32(u.Data, two.Data) {
				t.Errorf("n=%d: got other bits from 2 workers than from one", n)
			}
		}
	})
}

func TestTriSolve(t *testing.T) {
	u := MatrixOf(2, 2, []float32{2, 1, 99, 4})
	b := []float32{4, 8}
	TriSolve(u, b)
	if b[0] != 1 || b[1] != 2 {
		t.Errorf("got %v, want [1 2]", b)
	}
	b = []float32{2, 9}
	TriSolveT(u, b)
	if b[0] != 1 || b[1] != 2 {
		t.Errorf("transposed: got %v, want [1 2]", b)
	}
}
