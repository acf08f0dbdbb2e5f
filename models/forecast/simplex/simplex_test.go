package simplex_test

import (
	"math"
	"testing"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

func TestMinimize(t *testing.T) {
	square := func(x []float64) (sum float64) {
		for i, v := range x {
			sum += (v - float64(i)) * (v - float64(i)) * float64(i+1)
		}
		return sum
	}
	rosenbrock := func(x []float64) float64 {
		return 100*(x[1]-x[0]*x[0])*(x[1]-x[0]*x[0]) + (1-x[0])*(1-x[0])
	}
	// Only x > 0 is allowed; the minimum of x - log x is at 1.
	barrier := func(x []float64) float64 { return x[0] - math.Log(x[0]) }
	for _, c := range []struct {
		name  string
		f     func([]float64) float64
		start []float64
		want  []float64
	}{
		{"one variable", square, []float64{7}, []float64{0}},
		{"four variables", square, []float64{7, -3, 2, 9}, []float64{0, 1, 2, 3}},
		{"banana", rosenbrock, []float64{-1.2, 1}, []float64{1, 1}},
		{"not a number", barrier, []float64{0.01}, []float64{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, value := simplex.Minimize(c.f, c.start, simplex.Options{Restarts: 3, Tolerance: 1e-14, MaxEvals: 5000})
			for i := range x {
				if math.Abs(x[i]-c.want[i]) > 1e-5 {
					t.Errorf("got %v, want %v", x, c.want)
				}
			}
			if value != c.f(x) {
				t.Errorf("value: got %v, want that of the point, %v", value, c.f(x))
			}
		})
	}
}

func TestMinimizeKeepsToItsBudget(t *testing.T) {
	evals := 0
	simplex.Minimize(func(x []float64) float64 { evals++; return x[0]*x[0] + x[1]*x[1] }, []float64{5, 5},
		simplex.Options{MaxEvals: 20})
	if evals > 20+4 {
		t.Errorf("got %d evaluations, want at most 20 and a step", evals)
	}
}
