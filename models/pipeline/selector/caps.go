package selector

import (
	"fmt"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// caps drops what would be one too many of a category, brand, seller or group
// of variants, among all it lets through.
type caps struct {
	limits capsParams
	pool   sync.Pool // of *tally
}

type capsParams struct {
	Category int `json:"category"` // items of one leaf category; 0: any number
	Brand    int `json:"brand"`
	Seller   int `json:"seller"`
	Group    int `json:"group"` // variants of one item
}

// tally counts what was let through.
type tally struct{ category, brand, seller, group map[string]int }

func newCaps(spec models.ComponentSpec, _ pipeline.Env) (pipeline.Selector, error) {
	p := capsParams{}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if p.Category < 0 || p.Brand < 0 || p.Seller < 0 || p.Group < 0 || p == (capsParams{}) {
		return nil, fmt.Errorf("caps %+v: expected at least one above 0 and none below", p)
	}
	s := &caps{limits: p}
	s.pool.New = func() any {
		return &tally{category: map[string]int{}, brand: map[string]int{}, seller: map[string]int{}, group: map[string]int{}}
	}
	return s, nil
}

// Name implements pipeline.Selector.
func (*caps) Name() string { return "caps" }

// Select implements pipeline.Selector.
func (s *caps) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	if r.Catalog == nil {
		return cs
	}
	t := s.pool.Get().(*tally)
	defer s.pool.Put(t)
	clear(t.category)
	clear(t.brand)
	clear(t.seller)
	clear(t.group)
	out := cs[:0]
	for _, c := range cs {
		it := r.Catalog.Item(c.Row)
		if it == nil {
			continue
		}
		leaf := ""
		if s.limits.Category > 0 && len(it.Category) > 0 {
			leaf = it.Category[len(it.Category)-1]
		}
		if full(t.category, leaf, s.limits.Category) || full(t.brand, it.Brand, s.limits.Brand) ||
			full(t.seller, it.Seller, s.limits.Seller) || full(t.group, it.Group, s.limits.Group) {
			continue
		}
		count(t.category, leaf, s.limits.Category)
		count(t.brand, it.Brand, s.limits.Brand)
		count(t.seller, it.Seller, s.limits.Seller)
		count(t.group, it.Group, s.limits.Group)
		out = append(out, c)
	}
	return out
}

// full reports whether there are limit of name; what has no name is not limited.
func full(had map[string]int, name string, limit int) bool {
	return limit > 0 && name != "" && had[name] >= limit
}

func count(had map[string]int, name string, limit int) {
	if limit > 0 && name != "" {
		had[name]++
	}
}
