package hybrid

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sajari/regression"
)

// The learners of weights.
const (
	Listwise = "listwise" // softmax over each user's candidates, then a search for NDCG itself
	Linear   = "linear"   // ordinary least squares on aggregated rows: a formula that people can read
)

// ErrUnsolvable is returned by the linear learner for parts whose scores follow
// from one another, or are no numbers.
var ErrUnsolvable = errors.New("the regression has no single solution")

// mostRows bounds the rows of a regression, whose memory grows with their
// square: 2,000 take 32 MB.
const mostRows = 2000

// row is what some cases have in common: the parts' mean scores of what was
// found, or of what was not, off the mean of all candidates of its case.
type row struct {
	y float64
	x []float64
}

// aggregate makes two rows of each case, or of several cases together where
// there are more than mostRows allow.
func aggregate(lists []list, parts int) []row {
	groups := min(len(lists), mostRows/2)
	rows := make([]row, 2*groups)
	for i := range rows {
		rows[i] = row{y: float64(1 - i%2), x: make([]float64, parts)}
	}
	sizes := make([]float64, groups)
	for i := range lists {
		l := &lists[i]
		n, good := float64(len(l.good)), 0.
		for _, g := range l.good {
			if g {
				good++
			}
		}
		if good == 0 || good == n {
			continue
		}
		at := i % groups
		sizes[at]++
		for k := range parts {
			var all, found float64
			for j, g := range l.good {
				v := float64(l.x[j*parts+k])
				all += v
				if g {
					found += v
				}
			}
			rows[2*at].x[k] += found/good - all/n
			rows[2*at+1].x[k] += (all-found)/(n-good) - all/n
		}
	}
	kept := rows[:0]
	for i, r := range rows {
		if size := sizes[i/2]; size > 0 {
			for k := range r.x {
				r.x[k] /= size
			}
			kept = append(kept, r)
		}
	}
	return kept
}

// linearWeights regresses whether candidates were found on the parts' scores.
// Parts whose coefficient is below 0 are left out one by one, the lowest first,
// since a part is there to say what is good. It returns the formula too.
func linearWeights(lists []list, names []string) ([]float64, string, error) {
	rows := aggregate(lists, len(names))
	active := make([]int, len(names))
	for i := range active {
		active[i] = i
	}
	for {
		c, formula, err := regress(rows, names, active)
		if err != nil {
			return nil, "", err
		}
		lowest, at := 0., -1
		for i, v := range c {
			if v < lowest {
				lowest, at = v, i
			}
		}
		if at < 0 || len(active) == 1 {
			w := make([]float64, len(names))
			for i, k := range active {
				w[k] = max(c[i], 0)
			}
			return w, formula, nil
		}
		active = slices.Delete(active, at, at+1)
	}
}

// regress is one ordinary least squares fit over the active parts. The library
// gives NaN and infinities without an error, so its answer is checked.
func regress(rows []row, names []string, active []int) ([]float64, string, error) {
	if len(rows) > mostRows {
		return nil, "", fmt.Errorf("regression of %d rows: expected at most %d", len(rows), mostRows)
	}
	if len(rows) < 2*(len(active)+1) {
		return nil, "", fmt.Errorf("%w: %d rows are too few for %d parts", ErrNothingToLearn, len(rows), len(active))
	}
	var r regression.Regression
	r.SetObserved("found")
	for i, k := range active {
		r.SetVar(i, names[k])
	}
	for _, row := range rows {
		x := make([]float64, len(active))
		for i, k := range active {
			if x[i] = row.x[k]; math.IsNaN(x[i]) || math.IsInf(x[i], 0) {
				return nil, "", fmt.Errorf("%w: part %s scores %v", ErrUnsolvable, names[k], x[i])
			}
		}
		r.Train(regression.DataPoint(row.y, x))
	}
	if err := r.Run(); err != nil {
		return nil, "", fmt.Errorf("regression of %d rows on %d parts: %w", len(rows), len(active), err)
	}
	c := make([]float64, len(active))
	for i, k := range active {
		// Scores are standardised: a coefficient this large is the difference of two parts that say the same.
		if c[i] = r.Coeff(i + 1); math.IsNaN(c[i]) || math.Abs(c[i]) > 1e4 {
			return nil, "", fmt.Errorf("%w: the coefficient of part %s is %v; leave out a part that says the same as another", ErrUnsolvable, names[k], c[i])
		}
	}
	return c, r.Formula, nil
}
