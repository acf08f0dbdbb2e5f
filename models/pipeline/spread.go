package pipeline

import "math"

// Spread is the standard deviation of the scores that can be judged, so that
// what moves scores can do so in any unit a ranker scores in; 1 where all score
// the same.
func Spread(cs []Candidate) float64 {
	n, mean, square := 0., 0., 0.
	for i := range cs {
		if v := float64(cs[i].Score); v == v && !math.IsInf(v, 0) {
			n++
			d := v - mean
			mean += d / n
			square += d * (v - mean)
		}
	}
	if n < 2 || !(square > 0) {
		return 1
	}
	return math.Sqrt(square / n)
}

// ByScore orders candidates as a pipeline does: descending, ties by row, what
// cannot be judged last.
func ByScore(a, b Candidate) int { return byScore(a, b) }
