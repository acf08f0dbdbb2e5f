package profile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/logistic"
)

const (
	minExamples = 20  // below which nothing is learnt
	ridge       = 1.0 // weight of the penalty, in examples
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
	known, want := make([][]float64, len(rows)), make([]float64, len(rows))
	yes := 0.
	for n, i := range rows {
		known[n] = terms(points[i])
		if member[i] {
			want[n] = 1
			yes++
		}
	}
	total := float64(len(rows))
	share := [2]float64{total / 2 / (total - yes), total / 2 / yes}
	counts := make([]float64, len(rows))
	for n, w := range want {
		counts[n] = share[int(w)]
	}
	c.weights = logistic.Fit(known, want, counts, ridge)
}

// scored is the rows by score, the highest first, and how many are members.
func (c *Classifier) scored(points [][]float64, member []bool, rows []int) (scores []float64, yes []bool, members float64) {
	order := slices.Clone(rows)
	at := make(map[int]float64, len(rows))
	for _, i := range rows {
		at[i] = logistic.Dot(c.weights, terms(points[i]))
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(at[b], at[a]), a-b) })
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
	all := make([]int, len(scores))
	taken := 0.
	for i, score := range scores {
		all[i] = i
		if score < c.threshold {
			continue
		}
		taken++
		if yes[i] {
			c.Recall++
		}
	}
	c.AUC = logistic.AUC(scores, yes, all)
	c.Precision = c.Recall / max(taken, 1)
	c.Recall /= max(members, 1)
}

// Of reports whether p belongs.
func (c *Classifier) Of(p *features.Profile) bool {
	v := raw(p)
	scale := Clusters{mean: c.mean, scale: c.scale}
	scale.place(v)
	return logistic.Dot(c.weights, terms(v)) >= c.threshold
}

// Weights is the weight of each standardised field, the heaviest first; one of
// its square has ^2 after the name.
func (c *Classifier) Weights() []features.Weighted {
	all := make([]features.Weighted, 0, 2*len(dimensions))
	for j, d := range dimensions {
		all = append(all, features.Weighted{Name: d.field, Weight: c.weights[j]},
			features.Weighted{Name: d.field + "^2", Weight: c.weights[len(dimensions)+j]})
	}
	slices.SortStableFunc(all, func(a, b features.Weighted) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
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
