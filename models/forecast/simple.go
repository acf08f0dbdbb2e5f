package forecast

// A point method expects the next h values of y, which has at least one. It
// returns nil where y is too short for it.
type point func(y []float64, h int) []float64

// naive repeats the last value.
func naive(y []float64, h int) []float64 {
	return constant(y[len(y)-1], h)
}

func constant(v float64, h int) []float64 {
	out := make([]float64, h)
	for i := range out {
		out[i] = v
	}
	return out
}

// drift goes on from the last value by the mean step.
func drift(y []float64, h int) []float64 {
	out := naive(y, h)
	if n := len(y); n > 1 {
		step := (y[n-1] - y[0]) / float64(n-1)
		for i := range out {
			out[i] += step * float64(i+1)
		}
	}
	return out
}

// seasonalNaive repeats the mean of the last cycles seasons of length m, slot by
// slot.
func seasonalNaive(m, cycles int) point {
	return func(y []float64, h int) []float64 {
		if len(y) < m*cycles {
			return nil
		}
		out := make([]float64, h)
		for i := range out {
			for c := 1; c <= cycles; c++ {
				out[i] += y[len(y)-c*m+i%m]
			}
			out[i] /= float64(cycles)
		}
		return out
	}
}

// seasonalChange goes on from the last value by what changed from the same slot
// in earlier seasons of length m, on average over up to three.
func seasonalChange(m int) point {
	return func(y []float64, h int) []float64 {
		n := len(y)
		cycles := min(3, (n-1)/m)
		if cycles < 1 || h > m {
			return nil
		}
		out := naive(y, h)
		for c := 1; c <= cycles; c++ {
			from := n - 1 - c*m
			for i := range out {
				out[i] += (y[from+1+i] - y[from]) / float64(cycles)
			}
		}
		return out
	}
}
