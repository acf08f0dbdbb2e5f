package forecast

import (
	"math"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

// golden finds the minimum of f over low..high by golden section, to 2^-20 of it
// or better.
func golden(f func(float64) float64, low, high float64, steps int) float64 {
	const ratio = 0.6180339887498949
	a, b := low, high
	x, y := b-ratio*(b-a), a+ratio*(b-a)
	fx, fy := f(x), f(y)
	for range steps {
		if fx <= fy {
			b, y, fy = y, x, fx
			x = b - ratio*(b-a)
			fx = f(x)
		} else {
			a, x, fx = x, y, fy
			y = a + ratio*(b-a)
			fy = f(y)
		}
	}
	if fx <= fy {
		return x
	}
	return y
}

// sesLevel smooths y with weight alpha from the first value; loss is the sum of
// squared one-step errors.
func sesLevel(y []float64, alpha float64) (level, loss float64) {
	level = y[0]
	for _, v := range y[1:] {
		e := v - level
		loss += e * e
		level += alpha * e
	}
	return level, loss
}

// sesAlpha is the weight of least squared one-step error.
func sesAlpha(y []float64) float64 {
	return golden(func(alpha float64) float64 {
		_, loss := sesLevel(y, alpha)
		return loss
	}, 0.01, 0.99, 20)
}

// ses is simple exponential smoothing.
func ses(y []float64, h int) []float64 {
	level, _ := sesLevel(y, sesAlpha(y))
	return constant(level, h)
}

// trendFit holds the weights of Holt's method: of the level, of the trend, and
// what of the trend stays at each step.
type trendFit struct{ alpha, beta, phi float64 }

// run smooths y from a start of level and trend.
func (t trendFit) run(y []float64, level, trend float64) (l, b, loss float64) {
	for _, v := range y {
		expected := level + t.phi*trend
		e := v - expected
		loss += e * e
		level = expected + t.alpha*e
		trend = t.phi*trend + t.alpha*t.beta*e
	}
	return level, trend, loss
}

// logistic maps any number into low..high.
func logistic(x, low, high float64) float64 {
	return low + (high-low)/(1+math.Exp(-x))
}

// holt is Holt's linear trend; where damped, the trend fades (Gardner and
// McKenzie 1985). The start is a line through the first values, its level then
// fitted with the weights.
func holt(damped bool) point {
	return func(y []float64, h int) []float64 {
		if len(y) < 4 {
			return nil
		}
		start, slope := line(y[:min(len(y), 6)])
		scale := spread(y)
		fit := func(x []float64) (trendFit, float64, float64) {
			t := trendFit{logistic(x[0], 0.02, 0.99), logistic(x[1], 0, 0.9), 1}
			if damped {
				t.phi = logistic(x[3], 0.7, 0.98)
			}
			return t, start - slope + x[2]*scale, slope
		}
		first := []float64{0, -1.5, 0}
		if damped {
			first = append(first, 1)
		}
		x, _ := simplex.Minimize(func(x []float64) float64 {
			t, l, b := fit(x)
			_, _, loss := t.run(y, l, b)
			return loss
		}, first, simplex.Options{Step: 0.7, Tolerance: 1e-6, MaxEvals: 250})
		t, l, b := fit(x)
		level, trend, _ := t.run(y, l, b)
		out := make([]float64, h)
		for i := range out {
			trend *= t.phi
			level += trend
			out[i] = level
		}
		return out
	}
}

// spread is the mean absolute step of y, or 1 for a constant.
func spread(y []float64) float64 {
	sum := 0.0
	for i := 1; i < len(y); i++ {
		sum += math.Abs(y[i] - y[i-1])
	}
	if sum == 0 {
		return 1
	}
	return sum / float64(len(y)-1)
}
