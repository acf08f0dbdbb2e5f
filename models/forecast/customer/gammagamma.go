package customer

import (
	"fmt"
	"math"

	"github.com/attune-rec/attune/models/forecast/simplex"
)

// Spend is what a customer spent on repeat purchases.
type Spend struct {
	Repeats int     // purchases after the first
	Mean    float64 // value of each on average; 0 without repeats
}

// GammaGamma is a fitted model of spend: purchases of one customer are gamma
// distributed with shape P, the rates of customers gamma with shape Q and rate
// Gamma (Fader and Hardie, "The Gamma-Gamma Model of Monetary Value", 2013).
type GammaGamma struct{ P, Q, Gamma float64 }

// FitGammaGamma returns the parameters of greatest likelihood over customers
// with repeat purchases of a value above 0; others say nothing and are passed
// over.
func FitGammaGamma(spends []Spend) (GammaGamma, error) {
	var known []Spend
	mean := 0.0
	for i, s := range spends {
		if s.Repeats < 0 || math.IsNaN(s.Mean) || math.IsInf(s.Mean, 0) {
			return GammaGamma{}, fmt.Errorf("customer %d: %d repeat purchases of %v each", i, s.Repeats, s.Mean)
		}
		if s.Repeats > 0 && s.Mean > 0 {
			known = append(known, s)
			mean += s.Mean
		}
	}
	if len(known) < 3 {
		return GammaGamma{}, fmt.Errorf("%w: %d customers have repeat purchases of a value above 0, want 3 or more", ErrNoFit, len(known))
	}
	mean /= float64(len(known)) // makes the fit the same in any currency
	loss := func(logs []float64) float64 {
		for _, v := range logs {
			if math.Abs(v) > 30 {
				return math.Inf(1)
			}
		}
		m := GammaGamma{math.Exp(logs[0]), math.Exp(logs[1]), mean * math.Exp(logs[2])}
		return -m.logLikelihood(known) / float64(len(known))
	}
	logs, value := simplex.Minimize(loss, []float64{1, 1, 0}, simplex.Options{Tolerance: 1e-13, MaxEvals: 3000, Restarts: 6})
	if math.IsInf(value, 0) {
		return GammaGamma{}, fmt.Errorf("%w: the likelihood of spend is not finite", ErrNoFit)
	}
	return GammaGamma{math.Exp(logs[0]), math.Exp(logs[1]), mean * math.Exp(logs[2])}, nil
}

func (m GammaGamma) logLikelihood(spends []Spend) (sum float64) {
	gammaQ, logGamma := lgamma(m.Q), math.Log(m.Gamma)
	for _, s := range spends {
		x := float64(s.Repeats)
		shape := m.P * x
		sum += lgamma(shape+m.Q) - lgamma(shape) - gammaQ + m.Q*logGamma +
			(shape-1)*math.Log(s.Mean) + shape*math.Log(x) - (shape+m.Q)*math.Log(m.Gamma+x*s.Mean)
	}
	return sum
}

// Mean is the expected value of a customer's further purchases: the customer's
// own mean, drawn towards that of all the more the fewer purchases there are. It
// is NaN where the model has no mean, which needs P*Repeats + Q above 1.
func (m GammaGamma) Mean(s Spend) float64 {
	x := float64(s.Repeats)
	shape := m.P*x + m.Q - 1
	if shape <= 0 {
		return math.NaN()
	}
	return m.P * (m.Gamma + x*s.Mean) / shape
}

// Value is the expected value of a customer's purchases within horizon after the
// end of the period. Each is worth its share margin of the spend and is
// discounted at the given rate per unit of time, compounded; a rate of 0 does
// not discount. Purchases are discounted from the middle of steps of at most one
// unit.
func Value(m BGNBD, g GammaGamma, h History, s Spend, horizon, margin, rate float64) (float64, error) {
	if !(horizon >= 0) || !(rate > -1) || math.IsInf(horizon, 0) || math.IsNaN(margin) {
		return 0, fmt.Errorf("horizon %v, margin %v and discount rate %v: want a finite horizon of 0 or more and a rate above -1", horizon, margin, rate)
	}
	steps := math.Ceil(horizon)
	total, before := 0.0, 0.0
	for i := range int(steps) {
		end := horizon * float64(i+1) / steps
		until := m.Purchases(h, end)
		middle := horizon * (float64(i) + 0.5) / steps
		total += (until - before) * math.Pow(1+rate, -middle)
		before = until
	}
	return total * margin * g.Mean(s), nil
}
