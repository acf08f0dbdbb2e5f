// Package logistic is logistic regression for few columns: the chance of
// something by a weighted sum of what is known, learnt by Newton's method with a
// ridge penalty, and the area under the curve by which such chances are judged.
// It holds no state and imports the standard library only.
package logistic

import (
	"cmp"
	"math"
	"slices"
)

const (
	steps   = 50    // the likelihood is convex: it settles in fewer
	settled = 1e-8  // largest change of a weight that is none
	least   = 1e-12 // curvature of a row that is sure
)

// Fit returns the weight of each column of rows, which have equal lengths. The
// last column is the level, 1 in each row, and free; the squares of the other
// weights are penalised by penalty halves, a row's loss being that of its
// chance. want is 1 for what happened and 0 for what did not; counts says how
// much each row counts, nil 1.
func Fit(rows [][]float64, want, counts []float64, penalty float64) []float64 {
	d := len(rows[0])
	weights := make([]float64, d)
	for range steps {
		gradient, hessian := make([]float64, d), make([]float64, d*d)
		for i, x := range rows {
			count := 1.0
			if counts != nil {
				count = counts[i]
			}
			p := Chance(Dot(weights, x))
			curve, slope := max(count*p*(1-p), least), count*(want[i]-p)
			for a, v := range x {
				gradient[a] += slope * v
				for b := range a + 1 {
					hessian[a*d+b] += curve * v * x[b]
				}
			}
		}
		for a := range d - 1 {
			gradient[a] -= penalty * weights[a]
			hessian[a*d+a] += penalty
		}
		hessian[d*d-1] += 1e-9
		largest := 0.0
		for a, v := range solve(hessian, gradient) {
			weights[a] += v
			largest = max(largest, math.Abs(v))
		}
		if largest < settled {
			break
		}
	}
	return weights
}

// Chance is the chance of a logit.
func Chance(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// Dot is the sum of the products of two slices of equal length.
func Dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// solve is x of a·x = b for a positive definite a, of which the lower triangle
// is given and written over (Cholesky).
func solve(a, b []float64) []float64 {
	d := len(b)
	for i := range d {
		for j := range i + 1 {
			sum := a[i*d+j]
			for k := range j {
				sum -= a[i*d+k] * a[j*d+k]
			}
			if i == j {
				a[i*d+i] = math.Sqrt(max(sum, 1e-12))
			} else {
				a[i*d+j] = sum / a[j*d+j]
			}
		}
	}
	x := slices.Clone(b)
	for i := range d {
		for k := range i {
			x[i] -= a[i*d+k] * x[k]
		}
		x[i] /= a[i*d+i]
	}
	for i := d - 1; i >= 0; i-- {
		for k := i + 1; k < d; k++ {
			x[i] -= a[k*d+i] * x[k]
		}
		x[i] /= a[i*d+i]
	}
	return x
}

// AUC is the chance that one whom it happened to has the higher score of a pair,
// over the given places; equal scores count half. NaN when it happened to all or
// to none.
func AUC(scores []float64, happened []bool, places []int) float64 {
	order := slices.Clone(places)
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(scores[a], scores[b]) })
	wins, below, yes := 0.0, 0.0, 0.0 // below: of those whom it did not happen to
	for from := 0; from < len(order); {
		to := from
		here, not := 0.0, 0.0
		for ; to < len(order) && scores[order[to]] == scores[order[from]]; to++ {
			if happened[order[to]] {
				here++
			} else {
				not++
			}
		}
		wins += here * (below + not/2)
		yes, below = yes+here, below+not
		from = to
	}
	return wins / (yes * below)
}
