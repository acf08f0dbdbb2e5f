package linalg

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// tame is s.vec without values at which the twins' magnitudes mean nothing.
func (s *sample) tame(n int) []float32 {
	strange := s.strange
	s.strange = false
	defer func() { s.strange = strange }()
	return s.vec(n)
}

// within draws n values that gates take: between lo and hi.
func (s *sample) within(n int, lo, hi float64) []float32 {
	x := s.tame(n)
	for i := range x {
		x[i] = float32(lo + (hi-lo)*s.r.Float64())
	}
	return x
}

func logistic64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// closeTo fails when a value is further from the twin's than a few roundings of what it is made of.
func closeTo(t *rapid.T, what string, j int, got float32, want float64) {
	t.Helper()
	if !(math.Abs(float64(got)-want) <= 2e-6*(1+math.Abs(want))) {
		t.Fatalf("%s %d: got %g, want %g", what, j, got, want)
	}
}

func TestLSTMCell(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 200)
		gates, bias, c := s.guarded(4*n), s.tame(4*n), s.tame(n)
		given := s.tame(4 * n)
		copy(gates, given)
		cell, bent, out := s.guarded(n), s.guarded(n), s.guarded(n)
		LSTMCell(gates, bias, c, cell, bent, out)
		for j := range n {
			at := func(k int) float64 { return float64(given[k*n+j]) + float64(bias[k*n+j]) }
			i, f, o, g := logistic64(at(0)), logistic64(at(1)), logistic64(at(2)), math.Tanh(at(3))
			for k, want := range []float64{i, f, o, g} {
				closeTo(t, "gate", k*n+j, gates[k*n+j], want)
			}
			want := f*float64(c[j]) + i*g
			closeTo(t, "cell", j, cell[j], want)
			closeTo(t, "bent", j, bent[j], math.Tanh(want))
			closeTo(t, "out", j, out[j], o*math.Tanh(want))
		}
		for _, x := range [][]float32{gates, cell, bent, out} {
			checkGuard(t, x)
		}
		// In place: the cell before is the cell after.
		again := append([]float32(nil), given...)
		LSTMCell(again, bias, c, c, bent, out)
		if !equal32(again, gates) || !equal32(c, cell) {
			t.Fatalf("in place: got cell %v, want %v", c, cell)
		}
	})
}

func TestLSTMCellGrad(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 200)
		dy, dh, bent, c := s.tame(n), s.tame(n), s.within(n, -1, 1), s.tame(n)
		gates := append(s.within(3*n, 0, 1), s.within(n, -1, 1)...)
		given := s.tame(n)
		dGates, dCell := s.guarded(4*n), s.guarded(n)
		copy(dCell, given)
		LSTMCellGrad(dy, dh, gates, bent, c, dGates, dCell)
		for j := range n {
			g := func(k int) float64 { return float64(gates[k*n+j]) }
			d, b := float64(dy[j])+float64(dh[j]), float64(bent[j])
			cell := float64(given[j]) + d*g(2)*(1-b*b)
			for k, want := range []float64{
				cell * g(3) * g(0) * (1 - g(0)), cell * float64(c[j]) * g(1) * (1 - g(1)), d * b * g(2) * (1 - g(2)), cell * g(0) * (1 - g(3)*g(3)),
			} {
				closeTo(t, "gradient of gate", k*n+j, dGates[k*n+j], want)
			}
			closeTo(t, "gradient of cell", j, dCell[j], cell*g(1))
		}
		checkGuard(t, dGates)
		checkGuard(t, dCell)
		LSTMCellGrad(dy, dh, gates, bent, c, gates, given) // in place
		if !equal32(gates, dGates) || !equal32(given, dCell) {
			t.Fatalf("in place: got %v, want %v", gates, dGates)
		}
	})
}

func TestGRUCell(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 200)
		x, hw, bias, own, h := s.tame(3*n), s.tame(3*n), s.tame(3*n), s.tame(n), s.tame(n)
		gates, inner, out := s.guarded(3*n), s.guarded(n), s.guarded(n)
		GRUCell(x, hw, bias, own, h, gates, inner, out)
		for j := range n {
			at := func(k int) float64 { return float64(x[k*n+j]) + float64(bias[k*n+j]) }
			r, z := logistic64(at(0)+float64(hw[j])), logistic64(at(1)+float64(hw[n+j]))
			in := float64(hw[2*n+j]) + float64(own[j])
			c := math.Tanh(at(2) + r*in)
			for k, want := range []float64{r, z, c} {
				closeTo(t, "gate", k*n+j, gates[k*n+j], want)
			}
			closeTo(t, "inner", j, inner[j], in)
			closeTo(t, "out", j, out[j], c+z*(float64(h[j])-c))
		}
		for _, x := range [][]float32{gates, inner, out} {
			checkGuard(t, x)
		}
		// In place: the state before is the state after, and the input the gates.
		GRUCell(x, hw, bias, own, h, x, inner, h)
		if !equal32(h, out) || !equal32(x, gates) {
			t.Fatalf("in place: got %v, want %v", h, out)
		}
	})
}

func TestGRUCellGrad(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 200)
		dy, given, inner, h := s.tame(n), s.tame(n), s.tame(n), s.tame(n)
		gates := append(s.within(2*n, 0, 1), s.within(n, -1, 1)...)
		dh, dx, dhw := s.guarded(n), s.guarded(3*n), s.guarded(3*n)
		copy(dh, given)
		GRUCellGrad(dy, dh, gates, inner, h, dx, dhw)
		for j := range n {
			r, z, c := float64(gates[j]), float64(gates[n+j]), float64(gates[2*n+j])
			d := float64(dy[j]) + float64(given[j])
			cand := d * (1 - z) * (1 - c*c)
			for k, want := range []float64{cand * float64(inner[j]) * r * (1 - r), d * (float64(h[j]) - c) * z * (1 - z), cand} {
				closeTo(t, "gradient of x", k*n+j, dx[k*n+j], want)
				if k == 2 {
					want *= r
				}
				closeTo(t, "gradient of hw", k*n+j, dhw[k*n+j], want)
			}
			closeTo(t, "gradient of h", j, dh[j], d*z)
		}
		for _, x := range [][]float32{dh, dx, dhw} {
			checkGuard(t, x)
		}
		GRUCellGrad(dy, given, gates, inner, h, gates, dhw) // in place
		if !equal32(gates, dx) || !equal32(given, dh) {
			t.Fatalf("in place: got %v, want %v", gates, dx)
		}
	})
}
