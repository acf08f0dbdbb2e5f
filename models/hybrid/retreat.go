package hybrid

import "math"

// retreat goes from the learnt weights back towards the prior ones, as far as
// the NDCG stays within one standard error, case by case, of that of the learnt
// ones (the one-standard-error rule; Breiman et al. 1984): weights that the cases
// cannot tell apart are many, and what is held out is not quite what will be
// asked. A part that learning left out stays out.
func retreat(lists []list, learnt, prior []float64, k int) []float64 {
	expected := make([]float64, len(learnt))
	total := sum(learnt)
	for i, w := range learnt {
		if w >= least*total {
			expected[i] = prior[i]
		}
	}
	if total == 0 || sum(expected) == 0 {
		return learnt
	}
	scale := total / sum(expected)
	top := gains(lists, learnt, k)
	mixed := make([]float64, len(learnt))
	const steps = 10
	for step := range steps {
		share := 1 - float64(step)/steps
		for i := range mixed {
			mixed[i] = (1-share)*learnt[i] + share*scale*expected[i]
		}
		if mean, deviation := apart(top, gains(lists, mixed, k)); mean <= deviation {
			return mixed
		}
	}
	return learnt
}

func sum(w []float64) float64 {
	total := 0.
	for _, v := range w {
		total += v
	}
	return total
}

// apart is the mean of a less b, case by case, and its standard error.
func apart(a, b []float64) (mean, deviation float64) {
	var sum, squares float64
	for i := range a {
		d := a[i] - b[i]
		sum += d
		squares += d * d
	}
	n := float64(len(a))
	mean = sum / n
	return mean, math.Sqrt(math.Max(squares/n-mean*mean, 0) / n)
}
