package rules

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Rule says that baskets with the antecedent tend to hold the consequent. Both
// are ascending, disjoint and not empty. The measures are those of the counts.
type Rule struct {
	Antecedent, Consequent []int32
	Count                  int // baskets with all items of both
	AntecedentCount        int // baskets with the antecedent
	ConsequentCount        int // baskets with the consequent
	Baskets                int // all baskets
}

// Support is the share of baskets that hold the whole rule.
func (r Rule) Support() float64 { return float64(r.Count) / float64(r.Baskets) }

// Confidence is the share of baskets with the antecedent that hold the consequent.
func (r Rule) Confidence() float64 { return float64(r.Count) / float64(r.AntecedentCount) }

// Lift is how many times more frequent the consequent is with the antecedent
// than over all baskets.
func (r Rule) Lift() float64 {
	return float64(r.Count) * float64(r.Baskets) / (float64(r.AntecedentCount) * float64(r.ConsequentCount))
}

// Conviction is how many times more often the rule would be wrong if both sides
// were independent: (1 - P(consequent)) / (1 - confidence), +Inf for a rule
// that is never wrong.
func (r Rule) Conviction() float64 {
	wrong := r.AntecedentCount - r.Count
	if wrong == 0 {
		return math.Inf(1)
	}
	return float64(r.AntecedentCount) * float64(r.Baskets-r.ConsequentCount) / (float64(wrong) * float64(r.Baskets))
}

// Order is what rules are sorted by, falling.
type Order int

// The orders of rules.
const (
	ByLift Order = iota
	ByConfidence
	BySupport
)

var orderNames = [...]string{"lift", "confidence", "support"}

func (o Order) String() string {
	if o < 0 || int(o) >= len(orderNames) {
		return fmt.Sprintf("order(%d)", int(o))
	}
	return orderNames[o]
}

// MarshalText writes the name of the order.
func (o Order) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads lift, confidence or support.
func (o *Order) UnmarshalText(text []byte) error {
	i := slices.Index(orderNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("order %q is not one of lift, confidence, support", text)
	}
	*o = Order(i)
	return nil
}

// SortRules sorts by the given order; ties by confidence, lift, support, then
// fewer items, then items. The measures are compared as exact fractions.
func SortRules(rules []Rule, order Order) {
	slices.SortFunc(rules, func(a, b Rule) int {
		first := 0
		switch order {
		case ByLift:
			first = compareLift(b, a)
		case BySupport:
			first = cmp.Compare(b.Count, a.Count)
		}
		if first != 0 {
			return first
		}
		if c := compareProducts(b.Count, a.AntecedentCount, 1, a.Count, b.AntecedentCount, 1); c != 0 {
			return c
		}
		if c := compareLift(b, a); c != 0 {
			return c
		}
		return cmp.Or(
			cmp.Compare(b.Count, a.Count),
			cmp.Compare(len(a.Antecedent)+len(a.Consequent), len(b.Antecedent)+len(b.Consequent)),
			slices.Compare(a.Antecedent, b.Antecedent),
			slices.Compare(a.Consequent, b.Consequent))
	})
}

func compareLift(a, b Rule) int {
	return compareProducts(a.Count, b.AntecedentCount, b.ConsequentCount, b.Count, a.AntecedentCount, a.ConsequentCount)
}
