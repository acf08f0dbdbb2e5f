package forecast

import "math"

// combination says how the forecasts of the methods are weighed: a part common
// to the group, and a part by each series' own errors.
type combination struct {
	common []float64 // by method, sum 1
	own    float64   // share of the series' own weights
	power  float64   // own weights are errors to the power of minus this
}

// rounds is how many picks make up the common weights; more are finer.
const rounds = 16

// choose finds the combination of least back-test loss. The common weights are
// picked one method after another, each time the one that helps the mean
// forecast most, and may be picked again (Caruana et al., "Ensemble selection
// from libraries of models", ICML 2004). The own share is judged at the latest
// origin of each series, with weights from origins whose outcome was known then.
func choose(group []history, methods int, loss Loss) combination {
	c := combination{common: make([]float64, methods)}
	c.common[min(1, methods-1)] = 1
	trials := 0
	for _, x := range group {
		trials += len(x.back)
	}
	if trials == 0 {
		return c
	}
	c.common = pick(group, methods, loss)
	best := c.judge(group, loss)
	for _, power := range []float64{1, 2, 4, 8} {
		for _, own := range []float64{0.2, 0.4, 0.6, 0.8, 1} {
			try := combination{c.common, own, power}
			if l := try.judge(group, loss); l < best {
				best, c = l, try
			}
		}
	}
	return c
}

// pick returns the common weights.
func pick(group []history, methods int, loss Loss) []float64 {
	type sum struct {
		trial  *trial
		values []float64
		share  float64 // of the series among its trials
	}
	var sums []sum
	for i := range group {
		for o := range group[i].back {
			t := &group[i].back[o]
			sums = append(sums, sum{t, make([]float64, len(t.actual)), 1 / float64(len(group[i].back))})
		}
	}
	counts := make([]float64, methods)
	var best []float64
	least := math.Inf(1)
	trying := make([]float64, 0, 64)
	for round := 1.0; round <= rounds; round++ {
		pickAt, pickLoss := 0, math.Inf(1)
		for m := range methods {
			total := 0.0
			for _, s := range sums {
				trying = trying[:0]
				for k, v := range s.values {
					trying = append(trying, (v+s.trial.forecasts[m][k])/round)
				}
				total += s.share * loss.of(s.trial.past, s.trial.actual, trying)
			}
			if total < pickLoss {
				pickAt, pickLoss = m, total
			}
		}
		counts[pickAt]++
		for _, s := range sums {
			for k := range s.values {
				s.values[k] += s.trial.forecasts[pickAt][k]
			}
		}
		if pickLoss < least {
			least = pickLoss
			best = make([]float64, methods)
			for m, n := range counts {
				best[m] = n / round
			}
		}
	}
	return best
}

// judge returns the mean loss at the latest origins.
func (c combination) judge(group []history, loss Loss) float64 {
	total, n := 0.0, 0
	for _, x := range group {
		if len(x.back) == 0 {
			continue
		}
		t := x.back[0]
		total += loss.of(t.past, t.actual, t.mix(c.weights(x, 0)))
		n++
	}
	if n == 0 {
		return 0
	}
	return total / float64(n)
}

// weights returns the weights of the methods for a series, from its errors at
// all origins but those whose outcome overlaps that of one; -1 leaves out none.
func (c combination) weights(x history, without int) []float64 {
	out := append([]float64(nil), c.common...)
	if c.own == 0 {
		return out
	}
	own := make([]float64, len(out))
	origins := 0
	for _, t := range x.back {
		if without >= 0 && overlap(t, x.back[without]) {
			continue
		}
		origins++
		for m, e := range t.errors {
			own[m] += e
		}
	}
	if origins == 0 {
		return out
	}
	least := math.Inf(1)
	for _, e := range own {
		least = min(least, e)
	}
	total := 0.0
	for m, e := range own {
		// Relative to the least, so that a power of it stays finite.
		own[m] = math.Pow((least+1e-9)/(e+1e-9), c.power)
		total += own[m]
	}
	for m := range out {
		out[m] = (1-c.own)*out[m] + c.own*own[m]/total
	}
	return out
}

// overlap reports whether outcomes of two trials of a series share a value.
func overlap(a, b trial) bool {
	return abs(float64(len(a.past)-len(b.past))) < float64(len(a.actual))
}

// mix is the weighted mean of the methods' forecasts.
func (t trial) mix(weights []float64) []float64 {
	out := make([]float64, len(t.forecasts[0]))
	for m, w := range weights {
		if w == 0 {
			continue
		}
		for k, v := range t.forecasts[m] {
			out[k] += w * v
		}
	}
	return out
}
