package forecast

import (
	"math"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

// theta is the method of Assimakopoulos and Nikolopoulos ("The theta model",
// International Journal of Forecasting 16, 2000): the mean of the line through
// the data and of exponential smoothing of the line that bends twice as much.
func theta(y []float64, h int) []float64 {
	start, slope := line(y)
	bent := make([]float64, len(y))
	for i, v := range y {
		bent[i] = 2*v - start - slope*float64(i)
	}
	out := ses(bent, h)
	for i := range out {
		out[i] = (out[i] + start + slope*float64(len(y)+i)) / 2
	}
	return out
}

// dynamicTheta is the dynamic optimised theta model of Fiorucci et al. ("Models
// for optimising the theta method", International Journal of Forecasting 32,
// 2016): the line is fitted anew at each step, and the start, the smoothing
// weight and theta itself are those of least squared one-step error.
func dynamicTheta(y []float64, h int) []float64 {
	if len(y) < 5 {
		return nil
	}
	scale := spread(y)
	model := func(x []float64) thetaModel {
		return thetaModel{level: y[0] + x[0]*scale, alpha: logistic(x[1], 0.05, 0.99), share: logistic(x[2], 0, 0.98)}
	}
	x, _ := simplex.Minimize(func(x []float64) float64 {
		_, loss := model(x).run(y, 0)
		return loss
	}, []float64{0, 0, 0}, simplex.Options{Step: 0.7, Tolerance: 1e-6, MaxEvals: 250})
	out, _ := model(x).run(y, h)
	return out
}

// thetaModel is the state at the start; share is 1 - 1/theta.
type thetaModel struct{ level, alpha, share float64 }

// run goes through y and then h steps beyond on its own expectations. The loss
// leaves out the first two steps, before there is a line.
func (m thetaModel) run(y []float64, h int) (out []float64, loss float64) {
	level, slope, average := m.level, 0.0, 0.0
	expected := 0.0
	decay := 1.0 // (1-alpha)^t
	if h > 0 {
		out = make([]float64, 0, h)
	}
	for i := range len(y) + h {
		t := float64(i + 1)
		v := expected
		if i < len(y) {
			v = y[i]
			if i > 1 {
				loss += (v - expected) * (v - expected)
			}
		} else {
			out = append(out, v)
		}
		level += m.alpha * (v - level)
		if i > 0 {
			slope = ((t-2)*slope + 6*(v-average)/t) / (t + 1)
		}
		average += (v - average) / t
		origin := average - slope*(t+1)/2
		decay *= 1 - m.alpha
		expected = level + m.share*(decay*origin+(1-decay*(1-m.alpha))/m.alpha*slope)
	}
	if math.IsNaN(loss) {
		loss = math.Inf(1)
	}
	return out, loss
}
