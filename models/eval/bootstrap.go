package eval

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// Resamples is how often intervals resample the cases.
const Resamples = 2000

// Interval is a 95 % percentile interval of a mean under resampling.
type Interval struct{ Low, High float64 }

// Intervals are the bootstrap intervals of the means of several series over the
// same cases, series[s][case], NaN left out; every series sees the same
// resamples. The seed makes them the same for any number of workers.
func Intervals(series [][]float64, seed uint64, workers int) []Interval {
	out := make([]Interval, len(series))
	if len(series) == 0 || len(series[0]) == 0 {
		return out
	}
	n := len(series[0])
	// Values and their weights, case by case, so that a draw touches one place.
	width := 2 * len(series)
	table := make([]float64, n*width)
	for s, values := range series {
		for c, v := range values {
			if !math.IsNaN(v) {
				table[c*width+2*s], table[c*width+2*s+1] = v, 1
			}
		}
	}
	for s, means := range ratios(table, width, seed, workers) {
		out[s] = percentiles(means)
	}
	return out
}

// ratioInterval is the interval of Σa/Σb under resampling of the cases.
func ratioInterval(a, b []float64, seed uint64, workers int) Interval {
	table := make([]float64, 2*len(a))
	for c := range a {
		table[2*c], table[2*c+1] = a[c], b[c]
	}
	return percentiles(ratios(table, 2, seed, workers)[0])
}

// ratios sums resampled rows of the table and returns, for each pair of
// columns, the sum of the first by that of the second, resample by resample.
func ratios(table []float64, width int, seed uint64, workers int) [][]float64 {
	n := len(table) / width
	out := make([][]float64, width/2)
	for s := range out {
		out[s] = make([]float64, Resamples)
	}
	if workers <= 0 {
		workers = linalg.Workers()
	}
	linalg.ParallelN(Resamples, 16, workers, func(_, lo, hi int) {
		sums := make([]float64, width)
		for b := lo; b < hi; b++ {
			rng := rand.NewPCG(seed, uint64(b))
			clear(sums)
			for range n {
				draw := table[pick(rng.Uint64(), n)*width:][:width]
				for i, v := range draw {
					sums[i] += v
				}
			}
			for s := range out {
				out[s][b] = sums[2*s] / sums[2*s+1]
			}
		}
	})
	return out
}

// pick turns 64 random bits into a number below n.
func pick(bits uint64, n int) int { return int((bits >> 32) * uint64(n) >> 32) }

// percentiles is the 2.5th and the 97.5th of what is not NaN.
func percentiles(values []float64) Interval {
	values = slices.DeleteFunc(values, math.IsNaN)
	if len(values) == 0 {
		return Interval{math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	at := func(q float64) float64 {
		x := q * float64(len(values)-1)
		i := int(x)
		if i+1 == len(values) {
			return values[i]
		}
		return values[i] + (x-float64(i))*(values[i+1]-values[i])
	}
	return Interval{at(.025), at(.975)}
}

// Differences is a less b, case by case.
func Differences(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}
