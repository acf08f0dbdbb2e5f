package linalg

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

func TestSyrk(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n, k := size(t, "n", 80), size(t, "k", 130)
		a := s.matrix(n, k)
		beta := []float32{0, 1, 2}[s.r.IntN(3)]
		c := Matrix{Rows: k, Cols: k, Stride: k, Data: s.guarded(k * k)}
		for i := range c.Data {
			c.Data[i] = float32(s.r.NormFloat64())
		}
		old := c.Clone()
		Syrk(-0.5, a, beta, c)
		for i := range k {
			for j := i; j < k; j++ {
				want, mag := 0.0, 0.0
				for p := range n {
					v := -0.5 * float64(a.At(p, i)) * float64(a.At(p, j))
					want += v
					mag += math.Abs(v)
				}
				if beta != 0 {
					o := float64(beta) * float64(old.At(i, j))
					want += o
					mag += math.Abs(o)
				}
				if got := c.At(i, j); !near(got, want, mag, n+3) {
					t.Fatalf("(%d, %d) of k=%d n=%d: got %g, want %g", i, j, k, n, got, want)
				}
			}
		}
		checkGuard(t, c.Data)
	})
}

func TestSyrkGather(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n, k, of := size(t, "n", 80), size(t, "k", 130), rapid.IntRange(1, 40).Draw(t, "of")
		mat, rows := s.matrix(of, k), s.rows(n, of)
		var weights []float32
		if rapid.Bool().Draw(t, "weighted") {
			weights = s.vec(n)
		}
		c := Matrix{Rows: k, Cols: k, Stride: k, Data: s.guarded(k * k)}
		for i := range c.Data {
			c.Data[i] = 1
		}
		SyrkGather(mat, rows, weights, c, nil)
		for i := range k {
			for j := i; j < k; j++ {
				want, mag := 1.0, 1.0
				for e, r := range rows {
					v := float64(mat.At(int(r), i)) * float64(mat.At(int(r), j))
					if weights != nil {
						v *= float64(weights[e])
					}
					want += v
					mag += math.Abs(v)
				}
				if got := c.At(i, j); !near(got, want, mag, n+3) {
					t.Fatalf("(%d, %d) of k=%d n=%d: got %g, want %g", i, j, k, n, got, want)
				}
			}
		}
		checkGuard(t, c.Data)
	})
}

// A base that is elsewhere, or none, gives what adding in place gives.
func TestSyrkGatherTo(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		s.strange = false
		n, k := size(t, "n", 40), size(t, "k", 100)
		mat, rows, weights := s.matrix(9, k), s.rows(n, 9), s.vec(n)
		base := s.matrix(k, k)
		inPlace, to, none, zeros := base.Clone(), NewMatrix(k, k), NewMatrix(k, k), NewMatrix(k, k)
		for i := range to.Data {
			to.Data[i], none.Data[i] = guard, guard
		}
		SyrkGather(mat, rows, weights, inPlace, nil)
		SyrkGatherTo(base, mat, rows, weights, to, nil)
		SyrkGather(mat, rows, weights, zeros, nil)
		SyrkGatherTo(Matrix{}, mat, rows, weights, none, nil)
		for _, m := range []Matrix{inPlace, to, none, zeros} {
			m.MirrorUpper()
		}
		if maxDiff(inPlace, to) > 0 || maxDiff(none, zeros) > 0 {
			t.Fatalf("n=%d k=%d: got another sum than in place", n, k)
		}
	})
}

func TestSyrkParallelBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		s := &sample{r: newRand(9)}
		a := s.matrix(300, 511)
		c, p := NewMatrix(511, 511), NewMatrix(511, 511)
		Syrk(1, a, 0, c)
		SyrkParallel(1, a, 0, p, 3)
		c.MirrorUpper()
		p.MirrorUpper()
		if !equal32(c.Data, p.Data) {
			t.Error("got other bits from 3 workers than from one")
		}
		if d := maxDiff(c, mulTwin(transposed(a), a)); d > 1e-3 {
			t.Errorf("got a difference of %g, want below 1e-3", d)
		}
	})
}

// Tall matrices are summed in parts of rows.
func TestSyrkTall(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		s := &sample{r: newRand(11)}
		for _, n := range []int{2*syrkTallRows - 1, 2 * syrkTallRows, 5*syrkTallRows + 77} {
			const k = 5
			a := s.matrix(n, k)
			c := NewMatrix(k, k)
			for i := range c.Data {
				c.Data[i] = 1
			}
			p := c.Clone()
			Syrk(0.5, a, -2, c)
			SyrkParallel(0.5, a, -2, p, 3)
			for i := range k {
				for j := i; j < k; j++ {
					want, mag := -2.0, 2.0
					for r := range n {
						v := 0.5 * float64(a.At(r, i)) * float64(a.At(r, j))
						want += v
						mag += math.Abs(v)
					}
					if got := c.At(i, j); !near(got, want, mag, n) || got != p.At(i, j) {
						t.Fatalf("(%d, %d) of n=%d: got %g, and %g from 3 workers, want %g", i, j, n, got, p.At(i, j), want)
					}
				}
			}
		}
	})
}
