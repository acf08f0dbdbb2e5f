package filter

import (
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
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

// coded is a catalogue that says what it knows of items without a look into
// them. catalog.Snapshot is one.
type coded interface {
	Codes(row features.Row) (catalog.Codes, bool)
}

// Keep implements pipeline.Filter: variants are only known by their item.
func (page) Keep(r *features.Request, row features.Row) bool {
	if r.Catalog == nil || r.Item == features.NoRow && len(r.Cart) == 0 {
		return true
	}
	if c, ok := r.Catalog.(coded); ok {
		codes, ok := c.Codes(row)
		return !ok || codes.Group == 0 || !of(c, r.Item, codes.Group) && !slices.ContainsFunc(r.Cart, func(other features.Row) bool { return of(c, other, codes.Group) })
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

func of(c coded, row features.Row, group int32) bool {
	codes, _ := c.Codes(row)
	return codes.Group == group
}

func variant(r *features.Request, row features.Row, it *features.Item) bool {
	other := r.Catalog.Item(row)
	return other != nil && other.Group == it.Group
}
