package filter

import (
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// category keeps items of some categories, or keeps them back.
type category struct {
	maskOnly
	only, without []string
}

func newCategory(params map[string]any) (pipeline.Filter, error) {
	p := struct {
		Only    []string `json:"only"`    // paths joined by '/'; empty: all
		Without []string `json:"without"` // paths that are kept back
	}{}
	if err := pipeline.Params(params, &p); err != nil {
		return nil, err
	}
	if len(p.Only)+len(p.Without) == 0 {
		return nil, fmt.Errorf("expected categories in only or without")
	}
	return &category{only: p.Only, without: p.Without}, nil
}

// Name implements pipeline.Filter.
func (*category) Name() string { return "category" }

// Mask implements pipeline.Filter.
func (f *category) Mask(r *features.Request, eligible *features.Bitmap) {
	if len(f.only) > 0 {
		keepAny(r, eligible, features.AttrCategory, f.only)
	}
	if r.Catalog == nil {
		return
	}
	for _, path := range f.without {
		eligible.AndNot(r.Catalog.Where(features.AttrCategory, path))
	}
}

// Words implements pipeline.Worded.
func (f *category) Words(*features.Request) (attr string, values []string) {
	return features.AttrCategory, f.only
}

// keepAny keeps the rows that have one of the values; none without a catalogue.
func keepAny(r *features.Request, eligible *features.Bitmap, attr string, values []string) {
	switch {
	case r.Catalog == nil:
		eligible.And(nil)
	case len(values) == 1:
		eligible.And(r.Catalog.Where(attr, values[0]))
	default:
		some := features.NewBitmap(eligible.Len())
		for _, v := range values {
			some.Or(r.Catalog.Where(attr, v))
		}
		eligible.And(some)
	}
}
