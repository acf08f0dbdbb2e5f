package forecast

import (
	"cmp"
	"math"
	"slices"
)

// spreadModel turns what is known at an origin into the size of error to expect,
// and sizes into intervals. It is learned from the errors of a group's back-test
// as split conformal prediction: a quantile of absolute errors over their
// expected size, by step ahead. Errors from earlier origins count less (Barber,
// Candes, Ramdas and Tibshirani, "Conformal prediction beyond exchangeability",
// Annals of Statistics 2023).
type spreadModel struct {
	weights        []float64 // of signs, on the scale of logarithms
	half80, half95 []float64 // by step ahead, in sizes
}

// signs are the hints at the size of errors from one origin: logarithms, the
// first being that of the mean absolute step.
func signs(t trial, seasons []int) []float64 {
	base := math.Log(spread(t.past))
	longest := 1
	if k := len(seasons); k > 0 {
		longest = seasons[k-1]
	}
	relative := func(v float64) float64 {
		if v <= 0 {
			return 0
		}
		return min(max(math.Log(v)-base, -6), 6)
	}
	level, season, recent := 0.0, 0.0, 0.0
	n := len(t.past)
	for i := longest; i < n; i++ {
		season += abs(t.past[i] - t.past[i-longest])
	}
	from := max(1, n-max(4, longest))
	for i := from; i < n; i++ {
		recent += abs(t.past[i] - t.past[i-1])
		level += abs(t.past[i])
	}
	apart := 0.0 // how far the methods are apart
	middle := t.mix(slices.Repeat([]float64{1 / float64(len(t.forecasts))}, len(t.forecasts)))
	for _, f := range t.forecasts {
		for k, v := range f {
			apart += abs(v - middle[k])
		}
	}
	return []float64{
		base, 1,
		relative(season / float64(max(1, n-longest))),
		relative(recent / float64(max(1, n-from))),
		relative(level / float64(max(1, n-from))),
		relative(apart / float64(len(t.forecasts)*len(middle))),
		math.Log(float64(n)),
	}
}

// size is the error to expect from an origin.
func (s spreadModel) size(signs []float64) float64 {
	sum := signs[0]
	for i, w := range s.weights {
		sum += w * signs[i+1]
	}
	return math.Exp(sum)
}

// learnSpread learns the spread of a combination's errors from the back-test of
// a group. Errors are those of the combination that was chosen without the
// series, so that they are no smaller than those to come.
func learnSpread(group []history, choices [2]combination, h int) spreadModel {
	var rows [][]float64   // signs by trial
	var errors [][]float64 // absolute errors by trial and step
	var weights []float64  // by trial
	for i, x := range group {
		c := choices[i%2]
		for o, t := range x.back {
			f := t.mix(c.weights(x, o))
			e := make([]float64, h)
			for k := range e {
				e[k] = abs(t.actual[k] - f[k])
			}
			weights = append(weights, faded(o, len(x.back)))
			rows = append(rows, signs(t, x.series.Seasons))
			errors = append(errors, e)
		}
	}
	s := spreadModel{half80: make([]float64, h), half95: make([]float64, h)}
	if len(rows) == 0 {
		for k := range h { // a random walk with errors of the size of its steps
			s.half80[k], s.half95[k] = 1.6*math.Sqrt(float64(k+1)), 2.5*math.Sqrt(float64(k+1))
		}
		return s
	}
	s.weights = fitSigns(rows, errors)
	scaled := make([][]weighed, h)
	var pooled []weighed
	for i, e := range errors {
		size := s.size(rows[i])
		for k, v := range e {
			scaled[k] = append(scaled[k], weighed{v / size, weights[i]})
			pooled = append(pooled, weighed{v / size / growth(k), weights[i]})
		}
	}
	for k := range h {
		if len(scaled[k]) >= enough {
			s.half80[k], s.half95[k] = quantile(scaled[k], 0.80), quantile(scaled[k], 0.95)
		} else {
			s.half80[k], s.half95[k] = quantile(pooled, 0.80)*growth(k), quantile(pooled, 0.95)*growth(k)
		}
	}
	return s
}

// enough errors tell a 95 % quantile.
const enough = 100

// growth is how errors widen with steps ahead where there are too few to tell.
func growth(k int) float64 { return math.Sqrt(float64(k + 1)) }

// fitSigns explains the logarithm of the mean error of trials by their signs, by
// least squares with a penalty that draws towards the mean absolute step alone.
// The last sign is how much was known. To know more cannot make errors larger,
// so where long series merely happen to be harder, it is left out.
func fitSigns(rows, errors [][]float64) []float64 {
	k := len(rows[0]) - 1
	weights := regressSigns(rows, errors, k)
	if weights != nil && weights[k-1] > 0 {
		return regressSigns(rows, errors, k-1)
	}
	return weights
}

// regressSigns is fitSigns with the first k signs after the base.
func regressSigns(rows, errors [][]float64, k int) []float64 {
	normal := make([][]float64, k)
	for j := range normal {
		normal[j] = make([]float64, k+1)
		normal[j][j] = 1
	}
	for i, row := range rows {
		// A perfect forecast would have a logarithm of minus infinity.
		target := math.Log(max(mean(errors[i]), 1e-3*math.Exp(row[0]))) - row[0]
		for j := range k {
			for l := range k {
				normal[j][l] += row[j+1] * row[l+1]
			}
			normal[j][k] += row[j+1] * target
		}
	}
	return solve(normal)
}

// weighed is an error and how much it counts.
type weighed struct{ value, weight float64 }

// fade is the weight of an origin's errors beside those of the next later one.
// Of 1, .7, .5, .25, .1 and 0 it brought the coverage of M3's and M4's last two
// horizons inside the training part nearest to what is promised.
const fade = 0.1

// faded is the weight of a series' errors from one of its origins, the latest
// being 0. All its weights make 1, as every series counts once.
func faded(origin, origins int) float64 {
	return math.Pow(fade, float64(origin)) * (1 - fade) / (1 - math.Pow(fade, float64(origins)))
}

// quantile is the conformal quantile: the value such that the errors up to it
// make q of all weight, a further error of full weight and infinite size
// included, in a straight line between the two errors around it: the error
// above alone promises more than is asked for. It is the largest where there is
// too little weight for q.
func quantile(values []weighed, q float64) float64 {
	values = slices.Clone(values)
	slices.SortFunc(values, func(a, b weighed) int { return cmp.Compare(a.value, b.value) })
	total := 1.0
	for _, v := range values {
		total += v.weight
	}
	sum, last := 0.0, values[0].value
	for _, v := range values {
		if sum+v.weight >= q*total {
			return last + (v.value-last)*(q*total-sum)/v.weight
		}
		sum, last = sum+v.weight, v.value
	}
	return last
}

// bounds sets the intervals of f around its mean.
func (s spreadModel) bounds(f *Forecast, size float64, positive bool) {
	h := len(f.Mean)
	f.Low80, f.High80 = make([]float64, h), make([]float64, h)
	f.Low95, f.High95 = make([]float64, h), make([]float64, h)
	for k, v := range f.Mean {
		inner, outer := size*s.half80[k], size*max(s.half80[k], s.half95[k])
		f.Low80[k], f.High80[k] = v-inner, v+inner
		f.Low95[k], f.High95[k] = v-outer, v+outer
		if positive {
			f.Low80[k], f.Low95[k] = max(0, f.Low80[k]), max(0, f.Low95[k])
		}
	}
}
