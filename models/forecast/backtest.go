package forecast

// trial is one forecast by every method, from an origin inside a series or from
// its end.
type trial struct {
	past      []float64   // what was known
	actual    []float64   // what came, nil at the end of the series
	forecasts [][]float64 // by method
	errors    []float64   // by method, nil at the end
}

// history is a series with its trials.
type history struct {
	series Series
	now    trial
	back   []trial // from the latest origin to the earliest
}

// fewOrigins is how many origins a back-test has where the series allows, and
// more where it takes more to go through one longest season.
const fewOrigins = 5

// origins returns where to stand for the back-test of n values: h before the end
// and earlier by halves of h, as long as enough is left to learn from.
func origins(n, h int, seasons []int) []int {
	least, most, step := max(6, h), fewOrigins, h
	if k := len(seasons); k > 0 {
		longest := seasons[k-1]
		least = max(least, min(2*longest+2, n-h))
		most = max(most, (longest+step-1)/step)
	}
	var out []int
	for at := n - h; at >= least && len(out) < most; at -= step {
		out = append(out, at)
	}
	return out
}

// runTrials forecasts a series from its end and from its origins.
func runTrials(s Series, h int, list []method, loss Loss) history {
	run := func(past, actual []float64) trial {
		t := trial{past: past, actual: actual}
		first := list[0].expect(past, h, naive(past, h))
		for i, m := range list {
			f := first
			if i > 0 {
				f = m.expect(past, h, first)
			}
			t.forecasts = append(t.forecasts, f)
			if actual != nil {
				t.errors = append(t.errors, loss.of(past, actual, f))
			}
		}
		return t
	}
	x := history{series: s, now: run(s.Values, nil)}
	for _, at := range origins(len(s.Values), h, s.Seasons) {
		x.back = append(x.back, run(s.Values[:at:at], s.Values[at:at+h]))
	}
	return x
}

// Loss is what the choice of a combination makes small.
type Loss int

// The losses.
const (
	// ScaledError is the mean absolute error over the mean absolute step of what
	// was known; it suits series of any sign and with zeros.
	ScaledError Loss = iota
	// SymmetricError is SMAPE, for positive series.
	SymmetricError
)

func (l Loss) of(past, actual, forecast []float64) float64 {
	if l == SymmetricError {
		return SMAPE(actual, forecast)
	}
	sum := 0.0
	for i, x := range actual {
		sum += abs(x - forecast[i])
	}
	return sum / float64(len(actual)) / spread(past)
}

func abs(x float64) float64 {
	if x < 0 {
		return -x
	}
	return x
}
