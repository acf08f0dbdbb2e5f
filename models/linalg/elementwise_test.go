package linalg

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestCombine(t *testing.T) {
	type binary struct {
		name string
		f    func(dst, a, b []float32)
		twin func(dst, a, b float64) (want, mag float64)
	}
	for _, op := range []binary{
		{"AddTo", AddTo, func(_, a, b float64) (float64, float64) { return a + b, math.Abs(a) + math.Abs(b) }},
		{"SubTo", SubTo, func(_, a, b float64) (float64, float64) { return a - b, math.Abs(a) + math.Abs(b) }},
		{"MulTo", MulTo, func(_, a, b float64) (float64, float64) { return a * b, math.Abs(a * b) }},
		{"MulAddTo", MulAddTo, func(d, a, b float64) (float64, float64) { return d + a*b, math.Abs(d) + math.Abs(a*b) }},
		{"ReLUGrad", ReLUGrad, func(_, a, b float64) (float64, float64) {
			if a > 0 {
				return b, math.Abs(b)
			}
			return 0, 0
		}},
	} {
		t.Run(op.name, func(t *testing.T) {
			check(t, func(t *rapid.T, s *sample) {
				n := size(t, "n", 300)
				a, b, dst := s.vec(n), s.vec(n), s.guarded(n)
				for i := range dst {
					dst[i] = float32(i)
				}
				op.f(dst, a, b)
				for i, got := range dst {
					if want, mag := op.twin(float64(i), float64(a[i]), float64(b[i])); !near(got, want, mag, 2) {
						t.Fatalf("element %d of %d: got %g, want %g", i, n, got, want)
					}
				}
				checkGuard(t, dst)
				// In place: the output is an input.
				again := append([]float32(nil), a...)
				if op.name != "MulAddTo" {
					op.f(again, again, b)
					for i := range again {
						if math.Float32bits(again[i]) != math.Float32bits(dst[i]) && !(again[i] != again[i] && dst[i] != dst[i]) {
							t.Fatalf("in place, element %d: got %g, want %g", i, again[i], dst[i])
						}
					}
				}
			})
		})
	}
}

func TestStandardise(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 300)
		x, mean, scale, dst := s.vec(n), s.vec(n), s.vec(n), s.guarded(n)
		for i := range x {
			switch s.r.IntN(6) {
			case 0:
				x[i] = float32(math.NaN())
			case 1:
				x[i] = float32(math.Inf(1 - 2*s.r.IntN(2)))
			case 2:
				scale[i] *= 1000
			case 3:
				scale[i] = 0
			}
		}
		const limit = 1.5
		Standardise(dst, x, mean, scale, limit)
		for i, got := range dst {
			want := float32(math.Max(-limit, math.Min(limit, float64((x[i]-mean[i])*scale[i]))))
			if want != want {
				want = 0
			}
			if got != want {
				t.Fatalf("element %d of %d: got %g, want %g", i, n, got, want)
			}
		}
		checkGuard(t, dst)
		Standardise(x, x, mean, scale, limit)
		if !equal32(x, dst) {
			t.Fatalf("in place: got %v, want %v", x, dst)
		}
	})
}

// ulps is the error of got in units of the last place of want.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	unit := float64(math.Nextafter32(float32(math.Abs(want)), float32(math.Inf(1)))) - math.Abs(float64(w))
	return math.Abs(float64(got)-want) / unit
}

func TestFunctionsError(t *testing.T) {
	for _, f := range []struct {
		name   string
		f      func(dst, x []float32)
		twin   func(float64) float64
		lo, hi float64
	}{
		{"Exp", Exp, math.Exp, -86.8, 88.72},
		{"Sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -86.8, 100},
		{"Tanh", Tanh, math.Tanh, -12, 12},
	} {
		t.Run(f.name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				const n = 200_003
				x, y := make([]float32, n), make([]float32, n)
				for i := range x {
					x[i] = float32(f.lo + (f.hi-f.lo)*float64(i)/(n-1))
					if i%3 == 0 { // also near 0, by magnitude
						x[i] = float32(math.Copysign(math.Exp(-20*float64(i)/n), float64(i%2)-0.5))
					}
				}
				f.f(y, x)
				worst, at := 0.0, float32(0)
				for i, v := range x {
					if e := ulps(y[i], f.twin(float64(v))); !(e <= worst) {
						worst, at = e, v
					}
				}
				t.Logf("worst error %.2f units in the last place, at %g", worst, at)
				if !(worst <= 3) {
					t.Errorf("got an error of %.2f units in the last place at %g, want at most 3", worst, at)
				}
			})
		})
	}
}

func TestFunctionsAtTheEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name    string
		f       func(dst, x []float32)
		x, want float32
	}{
		{"exp", Exp, 0, 1}, {"exp", Exp, -inf, 0}, {"exp", Exp, -100, 0}, {"exp", Exp, inf, inf}, {"exp", Exp, 89, inf}, {"exp", Exp, nan, nan},
		{"sigmoid", Sigmoid, 0, 0.5}, {"sigmoid", Sigmoid, -inf, 0}, {"sigmoid", Sigmoid, inf, 1}, {"sigmoid", Sigmoid, nan, nan},
		{"tanh", Tanh, 0, 0}, {"tanh", Tanh, -inf, -1}, {"tanh", Tanh, inf, 1}, {"tanh", Tanh, nan, nan},
		{"relu", ReLU, -1, 0}, {"relu", ReLU, 2, 2}, {"relu", ReLU, inf, inf}, {"relu", ReLU, -inf, 0}, {"relu", ReLU, nan, nan},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachISA(t, func(t *testing.T) {
				for _, n := range []int{1, 7, 16, 67} { // tail, register, four registers and a tail
					x, dst := make([]float32, n), make([]float32, n)
					for i := range x {
						x[i] = c.x
					}
					c.f(dst, x)
					for i, got := range dst {
						if got != c.want && !(got != got && c.want != c.want) {
							t.Fatalf("%g, element %d of %d: got %g, want %g", c.x, i, n, got, c.want)
						}
					}
				}
			})
		})
	}
}

func TestSoftmax(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		s.strange = false
		n := size(t, "n", 300) + 1
		x, dst := s.vec(n), s.guarded(n)
		for i := range x {
			x[i] *= 20
			if s.r.IntN(6) == 0 && i > 0 {
				x[i] = float32(math.Inf(-1))
			}
		}
		logSum := Softmax(dst, x)
		var sum float64
		for _, v := range x {
			sum += math.Exp(float64(v))
		}
		if want := math.Log(sum); math.Abs(float64(logSum)-want) > 1e-6*(1+math.Abs(want)) {
			t.Fatalf("got log of the sum %g, want %g", logSum, want)
		}
		for i, got := range dst {
			want := math.Exp(float64(x[i])) / sum
			// The distance from the largest is rounded before exp sees it.
			if math.Abs(float64(got)-want) > (1e-6+2*eps*math.Abs(float64(x[i]-largest(x))))*want+1e-37 && want > 0 || want == 0 && got != 0 {
				t.Fatalf("element %d of %d: got %g, want %g", i, n, got, want)
			}
		}
		checkGuard(t, dst)
	})
}

func TestSoftmaxOfNothingFinite(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, bad := range []float64{math.Inf(-1), math.Inf(1), math.NaN()} {
			x := []float32{float32(bad), float32(bad)}
			if got := Softmax(x, x); got == got {
				t.Errorf("%g: got %g, want NaN", bad, got)
			}
		}
	})
}

func TestAdamStep(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		s.strange = false
		n, step := size(t, "n", 200), rapid.IntRange(1, 1000).Draw(t, "step")
		const rate, beta1, beta2, epsilon, decay = 0.01, 0.9, 0.999, 1e-8, 0.1
		w, g, m, v := s.guarded(n), s.vec(n), s.guarded(n), s.guarded(n)
		for i := range w {
			w[i], m[i], v[i] = float32(s.r.NormFloat64()), float32(s.r.NormFloat64()), s.r.Float32()
		}
		old := [3][]float32{append([]float32(nil), w...), append([]float32(nil), m...), append([]float32(nil), v...)}
		a := NewAdamStep(step, rate, beta1, beta2, epsilon, decay)
		a.Apply(w, g, m, v)
		for i := range w {
			d := float64(g[i])
			wm := beta1*float64(old[1][i]) + (1-beta1)*d
			wv := beta2*float64(old[2][i]) + (1-beta2)*d*d
			mHat, vHat := wm/(1-math.Pow(beta1, float64(step))), wv/(1-math.Pow(beta2, float64(step)))
			ww := float64(old[0][i])*(1-rate*decay) - rate*mHat/(math.Sqrt(vHat)+epsilon)
			for j, x := range [][2]float64{{float64(w[i]), ww}, {float64(m[i]), wm}, {float64(v[i]), wv}} {
				if math.Abs(x[0]-x[1]) > 1e-5*(1+math.Abs(x[1])) {
					t.Fatalf("element %d of %d, part %d: got %g, want %g", i, n, j, x[0], x[1])
				}
			}
		}
		checkGuard(t, w)
		checkGuard(t, m)
		checkGuard(t, v)
	})
}
