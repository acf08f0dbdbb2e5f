package forecast

import "math"

// pattern holds the seasonal factors of a series, slot 0 first.
type pattern struct {
	factors  []float64
	multiply bool // factors multiply, or else add
}

// remove takes the season out of y.
func (p pattern) remove(y []float64) []float64 {
	out := make([]float64, len(y))
	m := len(p.factors)
	for i, v := range y {
		if p.multiply {
			out[i] = v / p.factors[i%m]
		} else {
			out[i] = v - p.factors[i%m]
		}
	}
	return out
}

// restore puts the season back into forecasts that begin after n values.
func (p pattern) restore(forecast []float64, n int) {
	m := len(p.factors)
	for i := range forecast {
		if p.multiply {
			forecast[i] *= p.factors[(n+i)%m]
		} else {
			forecast[i] += p.factors[(n+i)%m]
		}
	}
}

// smallestFactor keeps a multiplicative season away from division by zero.
const smallestFactor = 0.01

// findPattern estimates the season of length m by classical decomposition:
// ratios to, or differences from, a centred moving average, averaged by slot.
// Half of the weight goes to each cycle before a later one when recent is set.
// It multiplies where all values are positive. It needs two cycles.
func findPattern(y []float64, m int, recent float64) (pattern, bool) {
	n := len(y)
	if n < 2*m || m < 2 {
		return pattern{}, false
	}
	p := pattern{factors: make([]float64, m), multiply: true}
	for _, v := range y {
		if v <= 0 {
			p.multiply = false
		}
	}
	trend := centred(y, m)
	weights := make([]float64, m)
	half := m / 2
	for i := half; i < n-half; i++ {
		weight := math.Pow(recent, float64((n-1-i)/m))
		part := y[i] - trend[i]
		if p.multiply {
			part = y[i] / trend[i]
		}
		p.factors[i%m] += weight * part
		weights[i%m] += weight
	}
	total := 0.0
	for s := range p.factors {
		if weights[s] == 0 {
			return pattern{}, false
		}
		p.factors[s] /= weights[s]
		total += p.factors[s]
	}
	for s := range p.factors {
		if p.multiply {
			p.factors[s] = max(smallestFactor, p.factors[s]*float64(m)/total)
		} else {
			p.factors[s] -= total / float64(m)
		}
	}
	return p, true
}

// centred is the centred moving average of length m; for an even m both ends
// count half. The first and last m/2 places are 0.
func centred(y []float64, m int) []float64 {
	out := make([]float64, len(y))
	half := m / 2
	sum := 0.0
	for _, v := range y[:2*half+1] {
		sum += v
	}
	for i := half; i < len(y)-half; i++ {
		if i > half {
			sum += y[i+half] - y[i-half-1]
		}
		if m%2 == 0 {
			out[i] = (sum - (y[i-half]+y[i+half])/2) / float64(m)
		} else {
			out[i] = sum / float64(m)
		}
	}
	return out
}

// seasonalZ is how sure the test for a season is: 90 % two-sided, as in the M3
// and M4 competitions.
const seasonalZ = 1.645

// isSeasonal tests the autocorrelation at lag m against the bound of Bartlett
// as far as seasonalZ asks.
func isSeasonal(y []float64, m int) bool {
	n := len(y)
	if m < 2 || n < 3*m {
		return false
	}
	level := mean(y)
	square := 0.0
	for _, v := range y {
		square += (v - level) * (v - level)
	}
	if square == 0 {
		return false
	}
	acf := func(lag int) float64 {
		sum := 0.0
		for i := lag; i < n; i++ {
			sum += (y[i] - level) * (y[i-lag] - level)
		}
		return sum / square
	}
	bound := 1.0
	for lag := 1; lag < m; lag++ {
		a := acf(lag)
		bound += 2 * a * a
	}
	return math.Abs(acf(m)) > seasonalZ*math.Sqrt(bound/float64(n))
}

// adjusted runs a method without seasons on y with the seasons taken out, where
// the test finds them; longer seasons are looked for in what shorter ones leave.
func adjusted(f point, seasons []int, recent float64) point {
	return func(y []float64, h int) []float64 {
		n := len(y)
		rest := y
		var found []pattern
		for _, m := range seasons {
			if !isSeasonal(rest, m) {
				continue
			}
			if p, ok := findPattern(rest, m, recent); ok {
				rest = p.remove(rest)
				found = append(found, p)
			}
		}
		out := f(rest, h)
		if out == nil {
			return nil
		}
		for i := len(found) - 1; i >= 0; i-- {
			found[i].restore(out, n)
		}
		return out
	}
}
