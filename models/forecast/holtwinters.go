package forecast

import (
	"math"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

// holtWinters smooths level, a fading trend and the season of length m together
// (Winters 1960). The season multiplies where all values are positive and
// multiply is set, and else adds.
func holtWinters(m int, multiply bool) point {
	return func(y []float64, h int) []float64 {
		p, ok := findPattern(y, m, 1)
		if !ok || multiply && !p.multiply || len(y) < 2*m+2 {
			return nil
		}
		if !multiply {
			p = additive(y, p)
		}
		plain := p.remove(y)
		start, slope := line(plain[:min(len(y), max(2*m, 6))])
		model := func(x []float64) winters {
			return winters{
				alpha: logistic(x[0], 0.01, 0.99), beta: logistic(x[1], 0, 0.5),
				gamma: logistic(x[2], 0, 0.9), phi: logistic(x[3], 0.8, 0.995), multiply: multiply,
			}
		}
		season := make([]float64, m)
		x, _ := simplex.Minimize(func(x []float64) float64 {
			copy(season, p.factors)
			_, _, loss := model(x).run(y, start-slope, slope, season)
			return loss
		}, []float64{0, -1.5, -1, 1}, simplex.Options{Step: 0.7, Tolerance: 1e-6, MaxEvals: 300})
		copy(season, p.factors)
		w := model(x)
		level, trend, _ := w.run(y, start-slope, slope, season)
		out := make([]float64, h)
		for i := range out {
			trend *= w.phi
			level += trend
			out[i] = w.join(level, season[(len(y)+i)%m])
		}
		return out
	}
}

// additive turns a pattern into one that adds, of about the same shape.
func additive(y []float64, p pattern) pattern {
	if !p.multiply {
		return p
	}
	level := mean(y)
	out := pattern{factors: make([]float64, len(p.factors))}
	for s, f := range p.factors {
		out.factors[s] = (f - 1) * level
	}
	return out
}

// winters holds the weights of level, trend and season, and what of the trend
// stays at each step.
type winters struct {
	alpha, beta, gamma, phi float64
	multiply                bool
}

func (w winters) join(level, season float64) float64 {
	if w.multiply {
		return level * season
	}
	return level + season
}

// run smooths y, changing season in place.
func (w winters) run(y []float64, level, trend float64, season []float64) (l, b, loss float64) {
	m := len(season)
	slot := 0
	for _, v := range y {
		plain := level + w.phi*trend
		s := season[slot]
		e := v - w.join(plain, s)
		loss += e * e
		if w.multiply {
			if plain > 0 {
				season[slot] = max(smallestFactor, s+w.gamma*(1-w.alpha)*e/plain)
			}
			e /= s
		} else {
			season[slot] += w.gamma * (1 - w.alpha) * e
		}
		level = plain + w.alpha*e
		trend = w.phi*trend + w.alpha*w.beta*e
		if slot++; slot == m {
			slot = 0
		}
	}
	if math.IsNaN(loss) {
		loss = math.Inf(1)
	}
	return level, trend, loss
}
