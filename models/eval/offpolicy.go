package eval

import (
	"errors"
	"fmt"
	"math"
)

// ErrLog is returned for a log that off-policy estimates cannot be made from.
var ErrLog = errors.New("bad log of decisions")

// Decision is one logged choice of one action among several, as a policy in
// production made it.
type Decision struct {
	Action     int
	Reward     float64
	Propensity float64 // with which production chose Action, above 0
}

// Policy is how likely another policy would choose each action in the situation
// of decision i; dst has a place for every action and is filled with numbers
// that sum to 1.
type Policy func(i int, dst []float64)

// RewardModel is the expected reward of each action in the situation of
// decision i, learnt from other data than the log.
type RewardModel func(i int, dst []float64)

// Estimates is what another policy would have earned for a decision, on
// average, with 95 % bootstrap intervals over decisions.
type Estimates struct {
	IPS       Estimate // inverse propensity scores (Horvitz and Thompson 1952): unbiased, of high variance
	SNIPS     Estimate // the same, divided by the sum of weights (Swaminathan and Joachims 2015): a little biased, steadier
	DR        Estimate // doubly robust (Dudik et al. 2011): the reward model, corrected by IPS; zero without a model
	Replay    Estimate // mean over decisions where the policy's likeliest action is the logged one (Li et al. 2011); for uniform logs
	Effective float64  // size of an unweighted log of the same precision: (Σw)²/Σw²
	Matched   int      // decisions that Replay uses
	MaxWeight float64  // the largest weight before clipping
}

// Estimate is a mean and its interval.
type Estimate struct{ Value, Low, High float64 }

// OffPolicy estimates the value of a policy from the decisions of another one.
// actions is the number of actions; weights above clip count as clip (0: no
// clipping), which trades variance for bias. q may be nil.
func OffPolicy(log []Decision, actions int, policy Policy, q RewardModel, clip float64, seed uint64, workers int) (Estimates, error) {
	var est Estimates
	if len(log) == 0 || actions < 1 {
		return est, fmt.Errorf("%w: %d decisions among %d actions", ErrLog, len(log), actions)
	}
	n := len(log)
	weights, weighted, robust := make([]float64, n), make([]float64, n), make([]float64, n)
	matched := make([]float64, n)
	p, expected := make([]float64, actions), make([]float64, actions)
	squares, sum := 0., 0.
	for i, d := range log {
		if d.Action < 0 || d.Action >= actions || !(d.Propensity > 0 && d.Propensity <= 1) || math.IsNaN(d.Reward) || math.IsInf(d.Reward, 0) {
			return est, fmt.Errorf("%w: decision %d is %+v: expected an action below %d, a propensity above 0 and at most 1, and a finite reward", ErrLog, i, d, actions)
		}
		policy(i, p)
		if err := distribution(p); err != nil {
			return est, fmt.Errorf("%w: policy at decision %d: %w", ErrLog, i, err)
		}
		w := p[d.Action] / d.Propensity
		est.MaxWeight = max(est.MaxWeight, w)
		if clip > 0 {
			w = min(w, clip)
		}
		weights[i], weighted[i] = w, w*d.Reward
		sum, squares = sum+w, squares+w*w
		if q != nil {
			q(i, expected)
			for a, pa := range p {
				robust[i] += pa * expected[a]
			}
			robust[i] += w * (d.Reward - expected[d.Action])
		}
		matched[i] = math.NaN()
		if likeliest(p) == d.Action {
			matched[i] = d.Reward
			est.Matched++
		}
	}
	if squares > 0 {
		est.Effective = sum * sum / squares
	}
	series := [][]float64{weighted, matched}
	if q != nil {
		series = append(series, robust)
	}
	iv := Intervals(series, seed, workers)
	est.IPS = Estimate{mean(weighted), iv[0].Low, iv[0].High}
	est.Replay = Estimate{mean(matched), iv[1].Low, iv[1].High}
	if q != nil {
		est.DR = Estimate{mean(robust), iv[2].Low, iv[2].High}
	}
	ratio := ratioInterval(weighted, weights, seed, workers)
	est.SNIPS = Estimate{mean(weighted) / mean(weights), ratio.Low, ratio.High}
	return est, nil
}

func distribution(p []float64) error {
	sum := 0.
	for a, v := range p {
		if !(v >= 0) {
			return fmt.Errorf("probability of action %d is %v", a, v)
		}
		sum += v
	}
	if math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("probabilities sum to %v: expected 1", sum)
	}
	return nil
}

// likeliest is the action of the highest probability, the first among equals.
func likeliest(p []float64) int {
	best := 0
	for a, v := range p {
		if v > p[best] {
			best = a
		}
	}
	return best
}
