package signal

import "github.com/attune-rec/attune/features"

// Shelf is what the catalogue says of the item: days since it is there
// (logarithm), share of the list price taken off, stars; unknown where it says
// nothing.
type Shelf struct{}

// Name implements features.Feature.
func (Shelf) Name() string { return "shelf" }

// Width implements features.Feature.
func (Shelf) Width() int { return 3 }

// Update implements features.Feature: the catalogue tells all.
func (Shelf) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (Shelf) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	if r.Catalog == nil {
		return
	}
	for i, row := range items {
		it := r.Catalog.Item(row)
		if it == nil {
			continue
		}
		v := out[3*i : 3*i+3]
		if !it.Created.IsZero() {
			v[0] = log1p(r.Now.Sub(it.Created).Hours() / 24)
		}
		list, ok := it.ListPrices[r.Market]
		if !ok {
			list = it.ListPrices[""]
		}
		if list.Micros > 0 {
			if p := it.PriceIn(r.Market); !p.IsZero() && p.Currency == list.Currency {
				v[1] = float32(max(0, 1-p.Units()/list.Units()))
			}
		}
		if it.Rating > 0 {
			v[2] = it.Rating
		}
	}
}
