package linalg

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestGemm(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		m, n, k := size(t, "m", 60), size(t, "n", 90), size(t, "k", 300)
		ta, tb := rapid.Bool().Draw(t, "transA"), rapid.Bool().Draw(t, "transB")
		a, b := s.matrix(m, k), s.matrix(k, n)
		if ta {
			a = s.matrix(k, m)
		}
		if tb {
			b = s.matrix(n, k)
		}
		alpha := float32(s.r.NormFloat64())
		beta := []float32{0, 1, -0.5}[s.r.IntN(3)]
		c := Matrix{Rows: m, Cols: n, Stride: n + 3, Data: s.guarded(m * (n + 3))}
		for i := range m {
			for j := range n {
				c.Set(i, j, float32(s.r.NormFloat64()))
			}
		}
		if beta == 0 && m*n > 0 {
			c.Set(0, 0, float32(math.NaN()))
		}
		old := c.Clone()
		Gemm(ta, tb, alpha, a, b, beta, c)
		for i := range m {
			for j := range n {
				var sum, mag float64
				for p := range k {
					x, y := a, b
					var u, v float64
					if ta {
						u = float64(x.At(p, i))
					} else {
						u = float64(x.At(i, p))
					}
					if tb {
						v = float64(y.At(j, p))
					} else {
						v = float64(y.At(p, j))
					}
					sum += u * v
					mag += math.Abs(u * v)
				}
				sum *= float64(alpha)
				mag *= math.Abs(float64(alpha))
				if beta != 0 {
					o := float64(beta) * float64(old.At(i, j))
					sum += o
					mag += math.Abs(o)
				}
				if got := c.At(i, j); !near(got, sum, mag, k+3) {
					t.Fatalf("(%d, %d) of %d x %d x %d, ta %v tb %v: got %g, want %g", i, j, m, n, k, ta, tb, got, sum)
				}
			}
			gap := c.Data[i*c.Stride+n : (i+1)*c.Stride]
			for _, v := range gap {
				if v != guard {
					t.Fatalf("row %d: wrote %g into the gap behind it", i, v)
				}
			}
		}
		checkGuard(t, c.Data)
	})
}

// The blocks of a large product are cut at multiples of the panel, which small sizes never reach.
func TestGemmLarge(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		s := &sample{r: newRand(3)}
		a, b := s.matrix(301, 530), s.matrix(530, 611)
		c := NewMatrix(301, 611)
		Gemm(false, false, 1, a, b, 0, c)
		if d := maxDiff(c, mulTwin(a, b)); d > 1e-3 {
			t.Errorf("got a difference of %g, want below 1e-3", d)
		}
		for _, workers := range []int{1, 2, 5} {
			p := NewMatrix(301, 611)
			GemmParallel(false, false, 1, a, b, 0, p, workers)
			if !equal32(c.Data, p.Data) {
				t.Errorf("%d workers: got other bits than from one", workers)
			}
		}
	})
}

func TestGemmPanicsOnBadShape(t *testing.T) {
	mustPanic(t, func() { Gemm(false, false, 1, NewMatrix(2, 3), NewMatrix(4, 2), 0, NewMatrix(2, 2)) })
	mustPanic(t, func() {
		Gemm(false, false, 1, Matrix{2, 3, 3, make([]float32, 5)}, NewMatrix(3, 2), 0, NewMatrix(2, 2))
	})
}
