package forecast

// Demand that is zero at most times. Croston (1972) smooths the size of demand
// and the time between demands apart; Syntetos and Boylan (2005) take out the
// bias of their ratio; Teunter, Syntetos and Babai (2011) smooth the
// probability of demand at every step, so that it falls when demand ends.

// croston returns Croston's method, or SBA where corrected is set.
func croston(corrected bool) point {
	return func(y []float64, h int) []float64 {
		alpha := golden(func(alpha float64) float64 { return crostonRate(y, alpha, corrected).loss }, 0.02, 0.4, 12)
		return constant(crostonRate(y, alpha, corrected).rate, h)
	}
}

// intermittentFit is the demand expected per step, and the squared error of
// expecting it one step ahead.
type intermittentFit struct{ rate, loss float64 }

func crostonRate(y []float64, alpha float64, corrected bool) (f intermittentFit) {
	factor := 1.0
	if corrected {
		factor = 1 - alpha/2
	}
	size, gap, since := 0.0, 0.0, 1.0
	for _, v := range y {
		if gap > 0 {
			f.loss += (v - f.rate) * (v - f.rate)
		}
		if v == 0 {
			since++
			continue
		}
		if gap == 0 {
			size, gap = v, since
		} else {
			size += alpha * (v - size)
			gap += alpha * (since - gap)
		}
		since = 1
		f.rate = factor * size / gap
	}
	return f
}

// tsb is the method of Teunter, Syntetos and Babai.
func tsb(y []float64, h int) []float64 {
	fit := func(weight float64) intermittentFit { return tsbRate(y, weight, weight/2) }
	weight := golden(func(w float64) float64 { return fit(w).loss }, 0.02, 0.6, 12)
	return constant(fit(weight).rate, h)
}

func tsbRate(y []float64, alpha, beta float64) (f intermittentFit) {
	// Start at the first demand's size and the share of steps with demand.
	size, demands := 0.0, 0.0
	for _, v := range y {
		if v != 0 {
			if size == 0 {
				size = v
			}
			demands++
		}
	}
	chance := demands / float64(len(y))
	for _, v := range y {
		f.rate = chance * size
		f.loss += (v - f.rate) * (v - f.rate)
		if v == 0 {
			chance -= beta * chance
			continue
		}
		chance += beta * (1 - chance)
		size += alpha * (v - size)
	}
	f.rate = chance * size
	return f
}

// isIntermittent reports whether at least a third of y is zero and none below.
func isIntermittent(y []float64) bool {
	zeros := 0
	for _, v := range y {
		if v < 0 {
			return false
		}
		if v == 0 {
			zeros++
		}
	}
	return 3*zeros >= len(y) && zeros < len(y)
}
