package profile

import (
	"errors"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// ErrSegment is returned for segments that cannot be made.
var ErrSegment = errors.New("bad segment")

// Census is the sizes of segments at one time.
type Census struct {
	At       time.Time      `json:"at"`
	Shoppers int            `json:"shoppers"`
	Sizes    map[string]int `json:"sizes"`
	Overlaps []Overlap      `json:"overlaps,omitempty"` // largest first
}

// Groups is what p counts in: its segments, and its stage of the lifecycle as
// StageName names it.
func Groups(p *features.Profile) []string {
	if p.Lifecycle == "" {
		return p.Segments
	}
	return append(slices.Clip(p.Segments), StageName(p.Lifecycle))
}

// StageName is the name that a stage of the lifecycle has among segments:
// "lifecycle:at_risk".
func StageName(stage string) string { return StagePrefix + stage }

// StagePrefix begins the names of stages of the lifecycle among segments.
const StagePrefix = "lifecycle:"

// Stages are those of the lifecycle.
func Stages() []string { return []string{New, Active, Loyal, AtRisk, Lost} }

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
