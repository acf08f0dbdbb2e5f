package rules

import (
	"errors"
	"fmt"
)

// RuleOptions say which rules to make of the itemsets.
type RuleOptions struct {
	// MinConfidence is the least confidence, compared exactly.
	MinConfidence Ratio
	// MinLift is the least lift; 0 keeps all.
	MinLift float64
	// MaxConsequent is the largest number of items on the right; 0 means 1.
	MaxConsequent int
	// MaxRules bounds memory: more rules end with an error that wraps ErrTooMany.
	// 0 means DefaultMaxRules.
	MaxRules int
}

// DefaultMaxRules holds the rules to about a gigabyte.
const DefaultMaxRules = 5_000_000

// Generate makes the rules of sets, which must be closed under taking subsets,
// as what Mine returns is when no MaxLength cut it below. The order is that of
// the sets, then of the consequent.
func Generate(sets *Itemsets, o RuleOptions) ([]Rule, error) {
	if o.MaxConsequent < 0 || o.MaxRules < 0 || o.MinLift < 0 {
		return nil, errors.New("maximum consequent, maximum rules and minimum lift must not be negative")
	}
	g := &generator{sets: sets, index: newIndex(sets), options: o, limit: o.MaxRules, right: o.MaxConsequent}
	if g.limit == 0 {
		g.limit = DefaultMaxRules
	}
	if g.right == 0 {
		g.right = 1
	}
	for i := range sets.Len() {
		if whole := sets.At(i); len(whole) > 1 {
			if err := g.split(whole, sets.Count(i), nil, 0); err != nil {
				return nil, err
			}
		}
	}
	return g.rules, nil
}

type generator struct {
	sets    *Itemsets
	index   *index
	options RuleOptions
	limit   int
	right   int
	left    []int32 // scratch: the antecedent at hand
	arena   []int32 // where the items of rules live
	rules   []Rule
}

// split adds the rules of whole whose consequent is taken plus one or more of
// whole[next:]. When a consequent is not confident enough, no larger one that
// holds it is (Agrawal and Srikant, §3), so the search goes no further there.
func (g *generator) split(whole []int32, count int, taken []int32, next int) error {
	for i := next; i < len(whole); i++ {
		right := append(taken, whole[i])
		g.left = appendWithout(g.left[:0], whole, right)
		before, err := g.count(g.left, whole)
		if err != nil {
			return err
		}
		if !g.options.MinConfidence.Reached(count, before) {
			continue
		}
		after, err := g.count(right, whole)
		if err != nil {
			return err
		}
		rule := Rule{Count: count, AntecedentCount: before, ConsequentCount: after, Baskets: g.sets.Baskets()}
		if rule.Lift() >= g.options.MinLift {
			if len(g.rules) >= g.limit {
				return fmt.Errorf("%w: more than %d rules: raise the minimum confidence or support", ErrTooMany, g.limit)
			}
			rule.Antecedent, rule.Consequent = g.keep(g.left), g.keep(right)
			g.rules = append(g.rules, rule)
		}
		if len(right) < g.right && len(right)+1 < len(whole) {
			if err := g.split(whole, count, right, i+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// count returns how many baskets hold part, a subset of whole.
func (g *generator) count(part, whole []int32) (int, error) {
	at := g.index.find(part)
	if at < 0 {
		return 0, fmt.Errorf("itemset %v is missing, a part of %v: rules need all subsets of every set", part, whole)
	}
	return g.sets.Count(at), nil
}

// keep copies items to where they stay.
func (g *generator) keep(items []int32) []int32 {
	if cap(g.arena)-len(g.arena) < len(items) {
		g.arena = make([]int32, 0, max(1<<14, len(items)))
	}
	from := len(g.arena)
	g.arena = append(g.arena, items...)
	return g.arena[from:len(g.arena):len(g.arena)]
}

// appendWithout appends the items of whole that are not in part; both ascend.
func appendWithout(dst, whole, part []int32) []int32 {
	for _, item := range whole {
		if len(part) > 0 && part[0] == item {
			part = part[1:]
			continue
		}
		dst = append(dst, item)
	}
	return dst
}
