package linalg

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestAxpy(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 500)
		x, y := s.vec(n), s.guarded(n)
		for i := range y {
			y[i] = float32(s.r.NormFloat64())
		}
		old := append([]float32(nil), y...)
		alpha := float32(s.r.NormFloat64())
		Axpy(alpha, x, y)
		for i, v := range y {
			p := float64(alpha) * float64(x[i])
			if want := p + float64(old[i]); !near(v, want, math.Abs(p)+math.Abs(float64(old[i])), 1) {
				t.Fatalf("element %d of %d: got %g, want %g", i, n, v, want)
			}
		}
		checkGuard(t, y)
	})
}

func TestAxpyRowsAndGather(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		d, n, of := size(t, "d", 300)+1, size(t, "n", 60), rapid.IntRange(1, 50).Draw(t, "of")
		alpha, mat, rows := s.vec(n), s.vec(of*d), s.rows(n, of)
		gathered := make([]float32, 0, n*d)
		for _, r := range rows {
			gathered = append(gathered, mat[int(r)*d:][:d]...)
		}
		a, b := s.guarded(d), s.guarded(d)
		for i := range a {
			a[i] = float32(i)
			b[i] = float32(i)
		}
		AxpyRows(alpha, gathered, a)
		AxpyGather(alpha, mat, rows, b)
		for i := range d {
			want, mag := float64(i), float64(i)
			for e, w := range alpha {
				p := float64(w) * float64(gathered[e*d+i])
				want += p
				mag += math.Abs(p)
			}
			if !near(a[i], want, mag, n+1) || !near(b[i], want, mag, n+1) {
				t.Fatalf("element %d of %d: got %g and %g, want %g", i, d, a[i], b[i], want)
			}
		}
		checkGuard(t, a)
		checkGuard(t, b)
	})
}

func TestScaleAndSum(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		n := size(t, "n", 600)
		x := s.guarded(n)
		copy(x, s.vec(n))
		var want, mag float64
		for _, v := range x {
			want += float64(v)
			mag += math.Abs(float64(v))
		}
		if got := Sum(x); !near(got, want, mag, n) {
			t.Fatalf("sum of %d: got %g, want %g", n, got, want)
		}
		old := append([]float32(nil), x...)
		Scale(1.75, x)
		for i, v := range x {
			if p := float64(old[i]) * 1.75; !near(v, p, math.Abs(p), 1) {
				t.Fatalf("element %d: got %g, want %g", i, v, p)
			}
		}
		checkGuard(t, x)
	})
}

func TestNorm2(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range []struct {
			x    []float32
			want float64
		}{
			{nil, 0},
			{[]float32{3, 4}, 5},
			{[]float32{3e30, 4e30}, 5e30},
			{[]float32{3e-30, 4e-30}, 5e-30},
			{[]float32{0, 0, 0}, 0},
			{[]float32{1, float32(math.NaN())}, math.NaN()},
			{[]float32{1, float32(math.Inf(-1))}, math.Inf(1)},
		} {
			if got := Norm2(c.x); !near(got, c.want, c.want, 2) {
				t.Errorf("Norm2(%v): got %g, want %g", c.x, got, c.want)
			}
		}
	})
}

func TestNormalise(t *testing.T) {
	x := []float32{3, 0, 4}
	if got := Normalise(x); got != 5 {
		t.Errorf("got length %g, want 5", got)
	}
	if got := Norm2(x); math.Abs(float64(got)-1) > 1e-6 {
		t.Errorf("got length %g afterwards, want 1", got)
	}
	zero := []float32{0, 0}
	if got := Normalise(zero); got != 0 || zero[0] != 0 {
		t.Errorf("got %g and %v, want zeros as they were", got, zero)
	}
}
