package linalg

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The twins are the plainest form of each kernel, in float64. The bound of the rounding error that
// goes with each value is the sum of the magnitudes of its terms.

const eps = 1.0 / (1 << 24)

// near reports whether got may be want, a sum of n terms of total magnitude mag, in float32. It
// demands NaN for NaN and the same infinity for an infinity.
func near(got float32, want, mag float64, n int) bool {
	g := float64(got)
	switch {
	case math.IsNaN(want):
		return math.IsNaN(g)
	case math.IsInf(want, 0):
		return g == want
	}
	return math.Abs(g-want) <= float64(n+4)*eps*mag+1e-37
}

func twinDot(a, b []float32) (sum, mag float64) {
	for i, v := range a {
		p := float64(v) * float64(b[i])
		sum += p
		mag += math.Abs(p)
	}
	return sum, mag
}

func checkDot(t rapid.TB, got float32, a, b []float32) {
	t.Helper()
	if want, mag := twinDot(a, b); !near(got, want, mag, len(a)) {
		t.Fatalf("dot of %d: got %g, want %g", len(a), got, want)
	}
}

// guard surrounds every slice that a kernel writes, to catch a store past its end.
const guard = -12345.5

// sample draws slices at odd alignments, some with NaN or infinities.
type sample struct {
	r       *rand.Rand
	strange bool
}

func newSample(t *rapid.T) *sample {
	return &sample{
		r:       rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)),
		strange: rapid.IntRange(0, 5).Draw(t, "strange") == 0,
	}
}

// vec returns n values at a random offset from an alignment of 64 bytes.
func (s *sample) vec(n int) []float32 {
	off := s.r.IntN(17)
	x := make([]float32, n+off+16)
	for i := range x {
		x[i] = guard
	}
	x = x[off : off+n : off+n]
	for i := range x {
		x[i] = float32(s.r.NormFloat64())
	}
	if s.strange && n > 0 {
		x[s.r.IntN(n)] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0}[s.r.IntN(4)]
	}
	return x
}

// matrix returns a matrix whose rows may have gaps.
func (s *sample) matrix(r, c int) Matrix {
	stride := c + s.r.IntN(2)*s.r.IntN(9)
	return Matrix{Rows: r, Cols: c, Stride: stride, Data: s.vec(r * stride)}
}

func (s *sample) rows(n, of int) []int32 {
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(s.r.IntN(of))
	}
	return rows
}

// checkGuard fails when what follows x in its array was overwritten.
func checkGuard(t rapid.TB, x []float32) {
	t.Helper()
	full := x[:cap(x)]
	for i := len(x); i < len(full); i++ {
		if full[i] != guard {
			t.Fatalf("overwrote %d past the end of %d", i-len(x), len(x))
		}
	}
}

// guarded returns n values that a kernel is to overwrite, with room behind to see overruns.
func (s *sample) guarded(n int) []float32 {
	off := s.r.IntN(17)
	x := make([]float32, off+n+40)
	for i := range x {
		x[i] = guard
	}
	return x[off : off+n]
}

// check runs a property on every instruction set of the machine.
func check(t *testing.T, f func(t *rapid.T, s *sample)) {
	eachISA(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { f(t, newSample(t)) })
	})
}

// size draws lengths around the widths of the registers, and some larger.
func size(t *rapid.T, name string, limit int) int {
	return rapid.OneOf(rapid.IntRange(0, min(limit, 70)), rapid.IntRange(0, limit)).Draw(t, name)
}

func equal32(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func maxDiff(a, b Matrix) (d float64) {
	for i := range a.Rows {
		for j, v := range a.Row(i) {
			d = max(d, math.Abs(float64(v)-float64(b.At(i, j))))
		}
	}
	return d
}

// randomSPD returns a well conditioned symmetric positive definite matrix of n rows.
func randomSPD(r *rand.Rand, n int) Matrix {
	x := NewMatrix(n+8, n)
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
	}
	a := NewMatrix(n, n)
	for i := range n {
		for j := range n {
			var s float64
			for t := range x.Rows {
				s += float64(x.At(t, i)) * float64(x.At(t, j))
			}
			a.Set(i, j, float32(s))
		}
	}
	a.AddDiagonal(float32(n) + 1)
	return a
}

func mulTwin(a, b Matrix) Matrix {
	c := NewMatrix(a.Rows, b.Cols)
	for i := range a.Rows {
		for j := range b.Cols {
			var s float64
			for p := range a.Cols {
				s += float64(a.At(i, p)) * float64(b.At(p, j))
			}
			c.Set(i, j, float32(s))
		}
	}
	return c
}

func transposed(a Matrix) Matrix {
	c := NewMatrix(a.Cols, a.Rows)
	for i := range a.Rows {
		for j := range a.Cols {
			c.Set(j, i, a.At(i, j))
		}
	}
	return c
}
