package profile

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
)

const (
	minExamples = 20   // below which nothing is learnt
	ridge       = 1.0  // weight of the penalty, in examples
	newtonSteps = 25   // the likelihood is convex: it settles in fewer
	settled     = 1e-8 // largest change of a weight that is none
)

// Classifier says who is like the examples it learnt from: logistic regression
// with a ridge penalty, by Newton's method, over the fields that clusters look
// at and their squares, standardised. Examples and all others weigh the same
// together. It is immutable and safe for concurrent use.
type Classifier struct {
	mean, scale []float64 // by dimension
	weights     []float64 // of the dimensions, their squares, and 1
	threshold   float64   // of the score, from which a shopper belongs

	Examples int // members among the shoppers it learnt from

	// The figures of every other shopper, who had no part in learning.
	AUC, Precision, Recall float64
}

// Train learns who the members are, on every other shopper, and judges itself
// on the rest. ErrSegment when there are too few members or others.
func Train(profiles []*features.Profile, member []bool) (*Classifier, error) {
	if len(profiles) != len(member) {
		return nil, fmt.Errorf("%w: %d profiles with %d memberships", ErrSegment, len(profiles), len(member))
	}
	c := &Classifier{}
	for _, m := range member {
		if m {
			c.Examples++
		}
	}
	if others := len(member) - c.Examples; c.Examples < minExamples || others < minExamples {
		return nil, fmt.Errorf("%w: %d examples with a profile and %d other shoppers: at least %d of either are needed", ErrSegment, c.Examples, others, minExamples)
	}
	scale := Clusters{}
	points := scale.standardise(profiles)
	c.mean, c.scale = scale.mean, scale.scale
	var learn, judge []int
	var seen [2]int
	for i, m := range member { // half of the members and half of the others
		kind := 0
		if m {
			kind = 1
		}
		if seen[kind]%2 == 0 {
			learn = append(learn, i)
		} else {
			judge = append(judge, i)
		}
		seen[kind]++
	}
	c.fit(points, member, learn)
	c.threshold = c.best(points, member, learn)
	c.judge(points, member, judge)
	return c, nil
}

// terms are a standardised point, its squares, and 1.
func terms(point []float64) []float64 {
	x := make([]float64, 0, 2*len(point)+1)
	x = append(x, point...)
	for _, v := range point {
		x = append(x, v*v)
	}
	return append(x, 1)
}

func (c *Classifier) fit(points [][]float64, member []bool, rows []int) {
	d := 2*len(dimensions) + 1
	c.weights = make([]float64, d)
	yes := 0.
	for _, i := range rows {
		if member[i] {
			yes++
		}
	}
	total := float64(len(rows))
	share := [2]float64{total / 2 / (total - yes), total / 2 / yes}
	for range newtonSteps {
		gradient, hessian := make([]float64, d), make([]float64, d*d)
		for _, i := range rows {
			x := terms(points[i])
			p := 1 / (1 + math.Exp(-dot(c.weights, x)))
			want, w := 0., share[0]
			if member[i] {
				want, w = 1, share[1]
			}
			curve := max(w*p*(1-p), 1e-12)
			for a := range d {
				gradient[a] += w * (want - p) * x[a]
				for b := range a + 1 {
					hessian[a*d+b] += curve * x[a] * x[b]
				}
			}
		}
		for a := range d {
			if a < d-1 { // the level is free
				gradient[a] -= ridge * c.weights[a]
				hessian[a*d+a] += ridge
			} else {
				hessian[a*d+a] += 1e-9
			}
		}
		step := solve(hessian, gradient)
		largest := 0.
		for a, v := range step {
			c.weights[a] += v
			largest = max(largest, math.Abs(v))
		}
		if largest < settled {
			return
		}
	}
}

// solve is x of a x = b for a positive definite a, of which the lower triangle
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

func dot(a, b []float64) float64 {
	sum := 0.
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// scored is the rows by score, the highest first, and how many are members.
func (c *Classifier) scored(points [][]float64, member []bool, rows []int) (scores []float64, yes []bool, members float64) {
	order := slices.Clone(rows)
	at := make(map[int]float64, len(rows))
	for _, i := range rows {
		at[i] = dot(c.weights, terms(points[i]))
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case at[a] > at[b]:
			return -1
		case at[a] < at[b]:
			return 1
		}
		return a - b
	})
	for _, i := range order {
		scores, yes = append(scores, at[i]), append(yes, member[i])
		if member[i] {
			members++
		}
	}
	return scores, yes, members
}

// best is the score from which precision and recall are best together (F1).
func (c *Classifier) best(points [][]float64, member []bool, rows []int) float64 {
	scores, yes, members := c.scored(points, member, rows)
	hits, most, threshold := 0., 0., 0.
	for i, m := range yes {
		if m {
			hits++
		}
		if i+1 < len(scores) && scores[i] == scores[i+1] {
			continue
		}
		if f := 2 * hits / (float64(i+1) + members); f > most {
			most, threshold = f, scores[i]
			if i+1 < len(scores) {
				threshold = (scores[i] + scores[i+1]) / 2
			}
		}
	}
	return threshold
}

func (c *Classifier) judge(points [][]float64, member []bool, rows []int) {
	scores, yes, members := c.scored(points, member, rows)
	hits, taken, won := 0., 0., 0.
	others := float64(len(rows)) - members
	for i := 0; i < len(scores); {
		j, in := i, 0.
		for ; j < len(scores) && scores[j] == scores[i]; j++ {
			if yes[j] {
				in++
			}
		}
		out := float64(j-i) - in
		below := others - (float64(i) - hits) - out // others who score less
		won += in * (below + out/2)
		if scores[i] >= c.threshold {
			taken += float64(j - i)
			c.Recall += in
		}
		hits += in
		i = j
	}
	c.AUC = won / max(members*others, 1)
	c.Precision = c.Recall / max(taken, 1)
	c.Recall /= max(members, 1)
}

// Of reports whether p belongs.
func (c *Classifier) Of(p *features.Profile) bool {
	v := raw(p)
	scale := Clusters{mean: c.mean, scale: c.scale}
	scale.place(v)
	return dot(c.weights, terms(v)) >= c.threshold
}

// Weights is the weight of each standardised field, the heaviest first; one of
// its square has ^2 after the name.
func (c *Classifier) Weights() []features.Weighted {
	all := make([]features.Weighted, 0, 2*len(dimensions))
	for j, d := range dimensions {
		all = append(all, features.Weighted{Name: d.field, Weight: c.weights[j]},
			features.Weighted{Name: d.field + "^2", Weight: c.weights[len(dimensions)+j]})
	}
	slices.SortStableFunc(all, func(a, b features.Weighted) int {
		switch x, y := math.Abs(a.Weight), math.Abs(b.Weight); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return all
}

// classifier is how a Classifier is written down.
type classifier struct {
	Mean      []float64 `json:"mean"`
	Scale     []float64 `json:"scale"`
	Weights   []float64 `json:"weights"`
	Threshold float64   `json:"threshold"`
	Examples  int       `json:"examples"`
	AUC       float64   `json:"auc"`
	Precision float64   `json:"precision"`
	Recall    float64   `json:"recall"`
}

// MarshalJSON implements json.Marshaler.
func (c *Classifier) MarshalJSON() ([]byte, error) {
	return json.Marshal(classifier{c.mean, c.scale, c.weights, c.threshold, c.Examples, c.AUC, c.Precision, c.Recall})
}

// UnmarshalJSON implements json.Unmarshaler; ErrSegment when the fields are not
// those that are looked at now.
func (c *Classifier) UnmarshalJSON(b []byte) error {
	var in classifier
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if len(in.Mean) != len(dimensions) || len(in.Scale) != len(dimensions) || len(in.Weights) != 2*len(dimensions)+1 {
		return fmt.Errorf("%w: the model looks at other fields: train it anew", ErrSegment)
	}
	*c = Classifier{mean: in.Mean, scale: in.Scale, weights: in.Weights, threshold: in.Threshold,
		Examples: in.Examples, AUC: in.AUC, Precision: in.Precision, Recall: in.Recall}
	return nil
}
