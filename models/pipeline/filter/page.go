package filter

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// page takes out what the shopper looks at already: the page's item, what is in
// the cart, and variants of either.
type page struct{}

func newPage(params map[string]any) (pipeline.Filter, error) {
	return page{}, pipeline.Params(params, &struct{}{})
}

// Name implements pipeline.Filter.
func (page) Name() string { return "page" }

// Mask implements pipeline.Filter.
func (page) Mask(r *features.Request, eligible *features.Bitmap) {
	eligible.Clear(r.Item)
	for _, row := range r.Cart {
		eligible.Clear(row)
	}
}

// Keep implements pipeline.Filter: variants are only known by their item.
func (page) Keep(r *features.Request, row features.Row) bool {
	if r.Catalog == nil || r.Item == features.NoRow && len(r.Cart) == 0 {
		return true
	}
	it := r.Catalog.Item(row)
	if it == nil || it.Group == "" {
		return true
	}
	if variant(r, r.Item, it) {
		return false
	}
	for _, other := range r.Cart {
		if variant(r, other, it) {
			return false
		}
	}
	return true
}

func variant(r *features.Request, row features.Row, it *features.Item) bool {
	other := r.Catalog.Item(row)
	return other != nil && other.Group == it.Group
}
