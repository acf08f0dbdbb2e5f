package forecast

import (
	"math"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

// shifted repeats the last season of length m, moved by a share of what the
// level over the last few values has changed since that season.
func shifted(m, few int, share float64) point {
	return func(y []float64, h int) []float64 {
		n := len(y)
		if n < m+few {
			return nil
		}
		out := seasonalNaive(m, 1)(y, h)
		shift := mean(y[n-few:]) - mean(y[n-few-m:n-m])
		for i := range out {
			out[i] += share * shift
		}
		return out
	}
}

// doubleSeason smooths the level and two seasons together, with the last error
// carried on (Taylor, "Short-term electricity demand forecasting using double
// seasonal exponential smoothing", JORS 54, 2003; without a trend). The long
// season is a multiple of the short one.
func doubleSeason(short, long int) point {
	return func(y []float64, h int) []float64 {
		if len(y) < 2*long+2 || long%short != 0 {
			return nil
		}
		inner, ok := findPattern(y, short, 1)
		if !ok {
			return nil
		}
		outer, ok := findPattern(inner.remove(y), long, 1)
		if !ok || inner.multiply && !outer.multiply {
			return nil
		}
		level := mean(outer.remove(inner.remove(y[:long])))
		fit := func(x []float64) double {
			return double{
				alpha: logistic(x[0], 0.001, 0.6), inner: logistic(x[1], 0, 0.6),
				outer: logistic(x[2], 0, 0.6), carry: logistic(x[3], 0, 0.99), multiply: inner.multiply,
			}
		}
		a, b := make([]float64, short), make([]float64, long)
		reset := func() {
			copy(a, inner.factors)
			copy(b, outer.factors)
		}
		x, _ := simplex.Minimize(func(x []float64) float64 {
			reset()
			d := fit(x)
			_, _, loss := d.run(y, level, a, b)
			return loss
		}, []float64{-2, -2, -1, 0}, simplex.Options{Step: 1, Tolerance: 1e-5, MaxEvals: 160})
		reset()
		d := fit(x)
		level, last, _ := d.run(y, level, a, b)
		out := make([]float64, h)
		for i := range out {
			last *= d.carry
			out[i] = d.join(level, a[(len(y)+i)%short], b[(len(y)+i)%long]) + last
		}
		return out
	}
}

// double holds the weights of level, short and long season, and what of the last
// error stays at each step.
type double struct {
	alpha, inner, outer, carry float64
	multiply                   bool
}

func (d double) join(level, a, b float64) float64 {
	if d.multiply {
		return level * a * b
	}
	return level + a + b
}

// run smooths y, changing both seasons in place.
func (d double) run(y []float64, level float64, inner, outer []float64) (l, last, loss float64) {
	i, o := 0, 0
	for _, v := range y {
		a, b := inner[i], outer[o]
		e := v - d.join(level, a, b)
		step := e - d.carry*last
		loss += step * step
		last = e
		if d.multiply {
			inner[i] = max(smallestFactor, a+d.inner*e/max(level*b, 1e-9))
			outer[o] = max(smallestFactor, b+d.outer*e/max(level*a, 1e-9))
			level = max(1e-9, level+d.alpha*e/(a*b))
		} else {
			inner[i] += d.inner * e
			outer[o] += d.outer * e
			level += d.alpha * e
		}
		if i++; i == len(inner) {
			i = 0
		}
		if o++; o == len(outer) {
			o = 0
		}
	}
	if math.IsNaN(loss) {
		loss = math.Inf(1)
	}
	return level, last, loss
}
