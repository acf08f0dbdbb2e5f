package pipeline

import "github.com/attune-rec/attune/features"

// asked is the filter of what the request itself asks for, whatever the recipe
// says: a price range and categories.
type asked struct{}

// Name implements Filter.
func (asked) Name() string { return "asked" }

// Mask implements Filter. Nothing is known to be in a range without a
// catalogue.
func (asked) Mask(r *features.Request, eligible *features.Bitmap) {
	if r.PriceFrom <= 0 && r.PriceTo <= 0 && len(r.Categories) == 0 {
		return
	}
	if r.Catalog == nil {
		eligible.And(nil)
		return
	}
	switch len(r.Categories) {
	case 0:
	case 1:
		eligible.And(r.Catalog.Where(features.AttrCategory, r.Categories[0]))
	default:
		some := features.NewBitmap(eligible.Len())
		for _, path := range r.Categories {
			some.Or(r.Catalog.Where(features.AttrCategory, path))
		}
		eligible.And(some)
	}
	if r.PriceFrom > 0 || r.PriceTo > 0 {
		KeepPriced(r, r.PriceFrom, r.PriceTo, eligible)
	}
}

// Words implements Worded.
func (asked) Words(r *features.Request) (attr string, values []string) {
	return features.AttrCategory, r.Categories
}

// Keep implements Filter: Mask decided.
func (asked) Keep(*features.Request, features.Row) bool { return true }

// MaskOnly implements MaskOnly.
func (asked) MaskOnly() {}

// Pricer is a catalogue that knows its prices by row. catalog.Snapshot is one.
type Pricer interface {
	// Prices is the price of each row in market, in units; NaN without one.
	// It is shared and read-only.
	Prices(market string) []float64
}

// KeepPriced keeps the eligible rows whose price in the request's market is
// from low to high units; high 0 is no upper end. An item without a price is
// in no range.
func KeepPriced(r *features.Request, low, high float64, eligible *features.Bitmap) {
	inside := func(units float64) bool { return units >= low && (high <= 0 || units <= high) }
	if p, ok := r.Catalog.(Pricer); ok {
		prices := p.Prices(r.Market)
		eligible.Each(func(row features.Row) bool {
			if int(row) >= len(prices) || !inside(prices[row]) {
				eligible.Clear(row)
			}
			return true
		})
		return
	}
	eligible.Each(func(row features.Row) bool {
		it := r.Catalog.Item(row)
		if it == nil || it.PriceIn(r.Market).IsZero() || !inside(it.PriceIn(r.Market).Units()) {
			eligible.Clear(row)
		}
		return true
	})
}
