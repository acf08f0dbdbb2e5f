package selector

import (
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// sponsored gives some places to items that somebody pays for, the best scored
// first and each sponsor once. An item must be relevant enough without the
// money; one that stands higher on its own merit stays there, unpaid. Shoppers
// see the label on both: who answers them puts it on every item with a sponsor.
type sponsored struct {
	slots []int
	least float32
}

type sponsoredParams struct {
	Slots []int   `json:"slots"` // places, from 1
	Least float64 `json:"least"` // of relevance, from 0, the last candidate's score, to 1, the first one's
}

func newSponsored(spec models.ComponentSpec, _ pipeline.Env) (pipeline.Selector, error) {
	p := sponsoredParams{Least: .25}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	slices.Sort(p.Slots)
	if len(p.Slots) == 0 || p.Slots[0] < 1 || len(slices.Compact(slices.Clone(p.Slots))) < len(p.Slots) || !(p.Least >= 0 && p.Least <= 1) {
		return nil, fmt.Errorf("parameters %+v: expected places from 1 that differ, and a relevance from 0 to 1", p)
	}
	return &sponsored{slots: p.Slots, least: float32(p.Least)}, nil
}

// Name implements pipeline.Selector.
func (*sponsored) Name() string { return "sponsored" }

// Select implements pipeline.Selector.
func (s *sponsored) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	if r.Catalog == nil || len(cs) == 0 {
		return cs
	}
	top, low := cs[0].Score, cs[0].Score
	for i := range cs {
		if v := cs[i].Score; v == v {
			top, low = max(top, v), min(low, v)
		}
	}
	for _, slot := range s.slots {
		if slot > min(r.Limit, len(cs)) {
			break
		}
		at := slot - 1
		best := -1
		for i := at; i < len(cs); i++ {
			c := &cs[i]
			if c.Score >= low+s.least*(top-low) && !c.Sponsored && s.pays(r, c.Row, cs[:at]) && (best < 0 || c.Score > cs[best].Score) {
				best = i
			}
		}
		if best < 0 {
			continue
		}
		c := cs[best]
		c.Sponsored = true
		copy(cs[at+1:best+1], cs[at:best])
		cs[at] = c
	}
	return cs
}

// pays reports whether somebody pays for the item who has no paid place yet.
func (*sponsored) pays(r *features.Request, row features.Row, above []pipeline.Candidate) bool {
	it := r.Catalog.Item(row)
	if it == nil || it.Sponsor == "" {
		return false
	}
	for i := range above {
		if other := r.Catalog.Item(above[i].Row); above[i].Sponsored && other != nil && other.Sponsor == it.Sponsor {
			return false
		}
	}
	return true
}
