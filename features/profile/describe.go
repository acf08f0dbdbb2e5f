package profile

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/attune-rec/attune/features"
)

const (
	minLift   = 1.5
	maxTraits = 5
	maxDepth  = 6
	minLeaf   = 5
	goodRule  = .9   // precision and recall from which a rule need not be longer
	maxRule   = 4000 // bytes
)

// Trait is what sets a segment apart: a share of its members that is at least
// 1.5 times as large as that of all shoppers.
type Trait struct {
	Field string  `json:"field"` // "profile.orders"
	Words string  `json:"words"` // "orders: high (8 or more)"
	Share float64 `json:"share"` // of the members
	Lift  float64 `json:"lift"`  // by the share of all
}

// Description is a segment in words and as a rule.
type Description struct {
	Size      int     `json:"size"`
	Traits    []Trait `json:"traits"` // at most 5, by lift
	Rule      string  `json:"rule"`   // CEL of kind expr.Segment
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
}

// Describe says what sets the members apart and finds a rule that recovers
// them. Precision and recall are those of the rule on every other shopper,
// who had no part in finding it.
func Describe(profiles []*features.Profile, member []bool) (Description, error) {
	if len(profiles) != len(member) || len(profiles) < 4*minLeaf {
		return Description{}, fmt.Errorf("%w: %d profiles with %d memberships: expected as many, at least %d", ErrSegment, len(profiles), len(member), 4*minLeaf)
	}
	var d Description
	t := table{values: make([][]float64, len(dimensions)), member: member}
	for j, dim := range dimensions {
		t.values[j] = make([]float64, len(profiles))
		for i, p := range profiles {
			t.values[j][i] = dim.get(p)
		}
	}
	for _, m := range member {
		if m {
			d.Size++
		}
	}
	d.Traits = t.traits(d.Size)
	var odd, even []int
	for i := range profiles {
		if i%2 == 0 {
			even = append(even, i)
		} else {
			odd = append(odd, i)
		}
	}
	var best *tree
	for depth := 1; depth <= maxDepth; depth++ { // the simplest that is good
		grown := t.grow(even, depth)
		if len(grown.rule()) > maxRule {
			break
		}
		best = grown
		if p, r := best.judge(&t, even); p >= goodRule && r >= goodRule {
			break
		}
	}
	d.Rule = best.rule()
	d.Precision, d.Recall = best.judge(&t, odd)
	return d, nil
}

// table is profiles by dimension.
type table struct {
	values [][]float64
	member []bool
}

// traits compares the lower and the upper third of each field.
func (t *table) traits(size int) []Trait {
	var all []Trait
	n := float64(len(t.member))
	for j, dim := range dimensions {
		sorted := slices.Clone(t.values[j])
		slices.Sort(sorted)
		low, high := sorted[len(sorted)/3], sorted[len(sorted)*2/3]
		var best Trait
		for _, side := range []struct {
			in    func(v float64) bool
			words string
		}{
			{func(v float64) bool { return v < low }, fmt.Sprintf("%s: low (below %s)", dim.words, short(low))},
			{func(v float64) bool { return v > high }, fmt.Sprintf("%s: high (above %s)", dim.words, short(high))},
		} {
			in, all := 0., 0.
			for i, v := range t.values[j] {
				if side.in(v) {
					all++
					if t.member[i] {
						in++
					}
				}
			}
			if all == 0 || size == 0 {
				continue
			}
			share := in / float64(size)
			if lift := share / (all / n); lift > best.Lift {
				best = Trait{Field: dim.field, Words: side.words, Share: share, Lift: lift}
			}
		}
		if best.Lift >= minLift {
			all = append(all, best)
		}
	}
	slices.SortStableFunc(all, func(a, b Trait) int {
		switch {
		case a.Lift > b.Lift:
			return -1
		case a.Lift < b.Lift:
			return 1
		}
		return 0
	})
	return slices.Clip(all[:min(len(all), maxTraits)])
}

// tree is a decision tree (CART: Breiman and others 1984); a leaf has no low.
type tree struct {
	field     int
	cut       float64 // low: at most
	low, high *tree
	yes       bool
}

func (t *table) grow(rows []int, depth int) *tree {
	yes := 0
	for _, i := range rows {
		if t.member[i] {
			yes++
		}
	}
	leaf := &tree{yes: 2*yes > len(rows)}
	if depth == 0 || yes == 0 || yes == len(rows) || len(rows) < 2*minLeaf {
		return leaf
	}
	least := impurity(yes, len(rows)) - 1e-9
	var best *tree
	order := slices.Clone(rows)
	for j := range t.values {
		v := t.values[j]
		slices.SortFunc(order, func(a, b int) int {
			switch {
			case v[a] < v[b]:
				return -1
			case v[a] > v[b]:
				return 1
			}
			return a - b
		})
		below := 0
		for i := 0; i+1 < len(order); i++ {
			if t.member[order[i]] {
				below++
			}
			if i+1 < minLeaf || len(order)-i-1 < minLeaf || v[order[i]] == v[order[i+1]] {
				continue
			}
			if im := impurity(below, i+1) + impurity(yes-below, len(order)-i-1); im < least {
				least, best = im, &tree{field: j, cut: between(v[order[i]], v[order[i+1]])}
			}
		}
	}
	if best == nil {
		return leaf
	}
	var low, high []int
	for _, i := range rows {
		if t.values[best.field][i] <= best.cut {
			low = append(low, i)
		} else {
			high = append(high, i)
		}
	}
	best.low, best.high = t.grow(low, depth-1), t.grow(high, depth-1)
	if best.low.low == nil && best.high.low == nil && best.low.yes == best.high.yes {
		return &tree{yes: best.low.yes}
	}
	return best
}

// impurity is Gini's, times the rows.
func impurity(yes, n int) float64 { return 2 * float64(yes) * float64(n-yes) / float64(n) }

// between is the shortest number from a up to below b.
func between(a, b float64) float64 {
	for digits := range 16 {
		scale := math.Pow10(digits - int(math.Ceil(math.Log10(max(math.Abs(b), 1e-9)))))
		if c := math.Floor(((a+b)/2)*scale) / scale; c >= a && c < b {
			return c
		}
	}
	return a
}

func (n *tree) says(t *table, i int) bool {
	for n.low != nil {
		if t.values[n.field][i] <= n.cut {
			n = n.low
		} else {
			n = n.high
		}
	}
	return n.yes
}

// rules appends the ways to the leaves that say yes, as expressions. Lo and hi
// are the limits met on the way, by dimension: above lo, at most hi.
func (n *tree) rules(lo, hi []float64, dst *[]string) {
	if n.low != nil {
		was := hi[n.field]
		hi[n.field] = min(was, n.cut)
		n.low.rules(lo, hi, dst)
		hi[n.field] = was
		was = lo[n.field]
		lo[n.field] = max(was, n.cut)
		n.high.rules(lo, hi, dst)
		lo[n.field] = was
		return
	}
	if !n.yes {
		return
	}
	var terms []string
	for j, dim := range dimensions {
		if !math.IsInf(lo[j], -1) {
			terms = append(terms, dim.field+" > "+literal(lo[j]))
		}
		if !math.IsInf(hi[j], 1) {
			terms = append(terms, dim.field+" <= "+literal(hi[j]))
		}
	}
	if len(terms) == 0 {
		terms = []string{"true"}
	}
	*dst = append(*dst, strings.Join(terms, " && "))
}

func (n *tree) rule() string {
	lo, hi := make([]float64, len(dimensions)), make([]float64, len(dimensions))
	for j := range lo {
		lo[j], hi[j] = math.Inf(-1), math.Inf(1)
	}
	var ways []string
	n.rules(lo, hi, &ways)
	if len(ways) == 0 {
		return "false"
	}
	return strings.Join(ways, " || ")
}

// judge is how many of the rows n says yes to, rightly, and how many it should.
func (n *tree) judge(t *table, rows []int) (precision, recall float64) {
	hit, said, are := 0., 0., 0.
	for _, i := range rows {
		says := n.says(t, i)
		if says {
			said++
		}
		if t.member[i] {
			are++
			if says {
				hit++
			}
		}
	}
	return hit / max(said, 1), hit / max(are, 1)
}
