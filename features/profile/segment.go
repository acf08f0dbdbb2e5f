package profile

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
)

// ErrSegment is returned for segments that cannot be made.
var ErrSegment = errors.New("bad segment")

// Rule is a segment by an expression over profile fields.
type Rule struct {
	Name   string `json:"name"`
	Source string `json:"rule"` // in CEL, of kind expr.Segment
	Title  string `json:"title,omitempty"`
}

// Rules is a shop's segments by rule. It is immutable and safe for concurrent
// use.
type Rules struct {
	rules    []Rule
	programs []*expr.Program
}

// NewRules compiles rules. It reports ErrSegment with the rule's name and what
// is wrong.
func NewRules(engine *expr.Engine, rules []Rule) (*Rules, error) {
	rs := &Rules{rules: slices.Clone(rules)}
	seen := map[string]bool{}
	for _, r := range rules {
		if r.Name == "" || seen[r.Name] {
			return nil, fmt.Errorf("%w: name %q is empty or twice", ErrSegment, r.Name)
		}
		seen[r.Name] = true
		p, err := engine.Compile(r.Source, expr.Segment)
		if err != nil {
			return nil, fmt.Errorf("%w %q: %w", ErrSegment, r.Name, err)
		}
		rs.programs = append(rs.programs, p)
	}
	return rs, nil
}

// Of is the names of the segments that p belongs to at now, in the order of
// the rules. A rule may name segments that stand before it, by
// profile.segments; what p.Segments holds already is not looked at.
func (rs *Rules) Of(p *features.Profile, now time.Time) []string {
	seen := *p
	seen.Segments = nil
	r := &features.Request{
		Query: features.Query{Now: now}, Item: features.NoRow,
		Shopper: &features.Shopper{Profile: &seen, Consent: features.AllPurposes},
	}
	for i, program := range rs.programs {
		if program.Holds(r) {
			seen.Segments = append(seen.Segments, rs.rules[i].Name)
		}
	}
	return seen.Segments
}

// Census is the sizes of segments at one time.
type Census struct {
	At       time.Time      `json:"at"`
	Shoppers int            `json:"shoppers"`
	Sizes    map[string]int `json:"sizes"`
	Overlaps []Overlap      `json:"overlaps,omitempty"` // largest first
}

// Overlap is how many shoppers two segments share.
type Overlap struct {
	A       string  `json:"a"`
	B       string  `json:"b"`
	Both    int     `json:"both"`
	Jaccard float64 `json:"jaccard"` // both by either, 0 to 1
}

// Count is the census of members: one list of segment names a shopper, each
// name once.
func Count(at time.Time, members [][]string) Census {
	c := Census{At: at, Shoppers: len(members), Sizes: map[string]int{}}
	both := map[[2]string]int{}
	for _, names := range members {
		names = slices.Clone(names)
		slices.Sort(names)
		for i, a := range names {
			c.Sizes[a]++
			for _, b := range names[i+1:] {
				both[[2]string{a, b}]++
			}
		}
	}
	for pair, n := range both {
		c.Overlaps = append(c.Overlaps, Overlap{
			A: pair[0], B: pair[1], Both: n, Jaccard: float64(n) / float64(c.Sizes[pair[0]]+c.Sizes[pair[1]]-n),
		})
	}
	slices.SortFunc(c.Overlaps, func(x, y Overlap) int {
		if x.Both != y.Both {
			return y.Both - x.Both
		}
		return slices.Compare([]string{x.A, x.B}, []string{y.A, y.B})
	})
	return c
}

// History is the censuses of a shop, oldest first.
type History []Census

// Add puts a census in its place by time; one of the same time replaces it.
func (h History) Add(c Census) History {
	i, found := slices.BinarySearchFunc(h, c.At, func(x Census, t time.Time) int { return x.At.Compare(t) })
	if found {
		h = slices.Clone(h)
		h[i] = c
		return h
	}
	return slices.Insert(slices.Clone(h), i, c)
}

// Sizes is a segment's size at each census.
func (h History) Sizes(name string) []int {
	sizes := make([]int, len(h))
	for i, c := range h {
		sizes[i] = c.Sizes[name]
	}
	return sizes
}
