package filter

import (
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// age keeps back items for people older than the surface is meant for.
type age struct{ years int32 }

func newAge(params map[string]any) (pipeline.Filter, error) {
	p := struct {
		Years int32 `json:"years"` // items from this age on or younger may be shown
	}{}
	if err := pipeline.Params(params, &p); err != nil {
		return nil, err
	}
	if p.Years < 0 {
		return nil, fmt.Errorf("years %d: expected 0 or more", p.Years)
	}
	return &age{years: p.Years}, nil
}

// Name implements pipeline.Filter.
func (*age) Name() string { return "age" }

// Mask implements pipeline.Filter: ages are looked up by candidate.
func (*age) Mask(*features.Request, *features.Bitmap) {}

// Keep implements pipeline.Filter.
func (f *age) Keep(r *features.Request, row features.Row) bool {
	if r.Catalog == nil {
		return true
	}
	it := r.Catalog.Item(row)
	return it == nil || it.MinAge <= f.years
}
