package forecast

import "math"

// SMAPE is the mean of 200 |x-f| / (|x|+|f|), the symmetric percentage error of
// the M3 and M4 competitions. Two zeros count as no error. It is NaN for no
// values.
func SMAPE(actual, forecast []float64) float64 {
	sum := 0.0
	for i, x := range actual {
		sum += smapeOf(x, forecast[i])
	}
	return sum / float64(len(actual))
}

func smapeOf(x, f float64) float64 {
	whole := math.Abs(x) + math.Abs(f)
	if whole == 0 {
		return 0
	}
	return 200 * math.Abs(x-f) / whole
}

// Coverage counts the values within their bounds, bounds included.
func Coverage(actual, low, high []float64) (within, all int) {
	for i, x := range actual {
		if x >= low[i] && x <= high[i] {
			within++
		}
	}
	return within, len(actual)
}

// QuantileLoss is the sum of the pinball losses of forecasts of the q quantile.
func QuantileLoss(actual, forecast []float64, q float64) float64 {
	sum := 0.0
	for i, x := range actual {
		if d := x - forecast[i]; d >= 0 {
			sum += q * d
		} else {
			sum += (q - 1) * d
		}
	}
	return sum
}

func mean(y []float64) float64 {
	sum := 0.0
	for _, v := range y {
		sum += v
	}
	return sum / float64(len(y))
}

// line is the least-squares line through y at 0, 1, 2 ...
func line(y []float64) (start, slope float64) {
	n := float64(len(y))
	if n < 2 {
		return y[0], 0
	}
	centre, level := (n-1)/2, mean(y)
	cross, square := 0.0, 0.0
	for i, v := range y {
		d := float64(i) - centre
		cross += d * (v - level)
		square += d * d
	}
	slope = cross / square
	return level - slope*centre, slope
}
