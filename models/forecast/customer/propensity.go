package customer

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/attune-rec/attune/features/logistic"
)

// Propensity is the chance that a customer buys within a horizon, by logistic
// regression on the rhythm of their purchases. It is learnt from what customers
// did after earlier times of the same log, and its level is set by the latest
// of these times, so that growth and the season count as far as they are past.
type Propensity struct {
	Horizon time.Duration
	// Mean and Scale standardise the traits, Weights are theirs, Level is the
	// logit of a customer of mean traits.
	Mean, Scale, Weights []float64
	Level                float64
	// Samples is customers by times that were learnt from, Times their number.
	Samples, Times int
}

// Traits names what Propensity looks at, in order.
func Traits() []string {
	return []string{"recency", "orders", "tenure", "gap", "silence", "repeated", "orders_30d", "orders_90d", "order_value", "recency_linear", "recency_by_orders", "rate"}
}

const (
	every      = 7 * 24 * time.Hour  // from one time that is learnt from to the next
	mostTimes  = 26                  // such times
	leastPast  = 60 * 24 * time.Hour // known before each
	penalty    = 1.0                 // on squared weights, against one sample's loss
	newtonEnds = 50
)

// FitPropensity learns from every customer's purchases by until. Days are those
// of the location of the purchases' times.
func FitPropensity(customers [][]Purchase, until time.Time, horizon time.Duration) (*Propensity, error) {
	if horizon < 24*time.Hour {
		return nil, fmt.Errorf("horizon %v, want a day or more", horizon)
	}
	first := until
	for _, purchases := range customers {
		for _, p := range purchases {
			if p.Time.Before(first) {
				first = p.Time
			}
		}
	}
	p := &Propensity{Horizon: horizon}
	var rows [][]float64
	var bought []float64
	newest := 0 // rows of the latest time, which come first
	for at := until.Add(-horizon); p.Times < mostTimes && at.Sub(first) >= leastPast; at = at.Add(-every) {
		for _, purchases := range customers {
			if row, ok := traits(purchases, at); ok {
				rows = append(rows, row)
				bought = append(bought, within(purchases, at, at.Add(horizon)))
			}
		}
		if p.Times == 0 {
			newest = len(rows)
		}
		p.Times++
	}
	p.Samples = len(rows)
	if p.Times == 0 || !mixed(bought[:newest]) {
		return nil, fmt.Errorf("%w: %d days of purchases, want %d and customers who bought and who did not in the last %d",
			ErrNoFit, int(until.Sub(first).Hours()/24), int((leastPast+horizon).Hours()/24), int(horizon.Hours()/24))
	}
	p.standardise(rows)
	p.learn(rows, bought)
	p.level(rows[:newest], bought[:newest])
	return p, nil
}

// Chance is the chance that a customer with these purchases buys within the
// horizon after at. Purchases after at are not seen; it reports false for a
// customer without one before.
func (p *Propensity) Chance(purchases []Purchase, at time.Time) (float64, bool) {
	row, ok := traits(purchases, at)
	if !ok {
		return 0, false
	}
	p.scale(row)
	return logistic.Chance(p.logit(row)), true
}

// traits are the numbers of a customer at a time, of days with a purchase.
func traits(purchases []Purchase, at time.Time) ([]float64, bool) {
	var days []int64
	spent := 0.0
	for _, p := range purchases {
		if !p.Time.After(at) {
			days = append(days, dayOf(p.Time))
			spent += p.Value
		}
	}
	if len(days) == 0 {
		return nil, false
	}
	slices.Sort(days)
	days = slices.Compact(days)
	n, today := float64(len(days)), dayOf(at)
	recency, tenure := float64(today-days[len(days)-1]), float64(today-days[0])
	gap, silence, repeated := tenure, 0.0, 0.0
	if len(days) > 1 {
		gap = (tenure - recency) / (n - 1)
		silence, repeated = math.Log1p(recency)-math.Log1p(gap), 1
	}
	late := func(span int64) float64 {
		from, _ := slices.BinarySearch(days, today-span+1)
		return math.Log1p(float64(len(days) - from))
	}
	return []float64{
		math.Log1p(recency), math.Log1p(n), math.Log1p(tenure), math.Log1p(gap), silence, repeated,
		late(30), late(90), math.Log1p(max(0, spent/n)), recency / 365, math.Log1p(recency) * math.Log1p(n),
		math.Log(n) - math.Log(tenure+30),
	}, true
}

// within is 1 for a customer who bought after from and by to.
func within(purchases []Purchase, from, to time.Time) float64 {
	for _, p := range purchases {
		if p.Time.After(from) && !p.Time.After(to) {
			return 1
		}
	}
	return 0
}

func mixed(labels []float64) bool {
	return slices.Contains(labels, 0) && slices.Contains(labels, 1)
}

// standardise learns Mean and Scale of rows, and applies them.
func (p *Propensity) standardise(rows [][]float64) {
	k := len(rows[0])
	p.Mean, p.Scale, p.Weights = make([]float64, k), make([]float64, k), make([]float64, k)
	for _, row := range rows {
		for j, v := range row {
			p.Mean[j] += v / float64(len(rows))
		}
	}
	for _, row := range rows {
		for j, v := range row {
			p.Scale[j] += (v - p.Mean[j]) * (v - p.Mean[j]) / float64(len(rows))
		}
	}
	for j, v := range p.Scale {
		p.Scale[j] = max(math.Sqrt(v), 1e-9)
	}
	for _, row := range rows {
		p.scale(row)
	}
}

func (p *Propensity) scale(row []float64) {
	for j := range row {
		row[j] = (row[j] - p.Mean[j]) / p.Scale[j]
	}
}

func (p *Propensity) logit(row []float64) float64 { return p.Level + logistic.Dot(p.Weights, row) }

// learn finds the weights, and a first level, of standardised rows.
func (p *Propensity) learn(rows [][]float64, bought []float64) {
	k := len(p.Weights)
	known := make([][]float64, len(rows))
	for i, row := range rows {
		known[i] = append(slices.Clone(row), 1)
	}
	found := logistic.Fit(known, bought, nil, penalty)
	copy(p.Weights, found)
	p.Level = found[k]
}

// level sets Level so that the chances of rows sum to what was bought.
func (p *Propensity) level(rows [][]float64, bought []float64) {
	for range newtonEnds {
		slope, curve := 0.0, 1e-9
		for i, row := range rows {
			chance := logistic.Chance(p.logit(row))
			slope += bought[i] - chance
			curve += chance * (1 - chance)
		}
		step := min(max(slope/curve, -1), 1)
		if p.Level += step; math.Abs(step) < 1e-10 {
			return
		}
	}
}
