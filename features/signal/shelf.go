package signal

import (
	"math"

	"github.com/attune-rec/attune/features"
)

// Shelf is what the catalogue says of the item: days since it is there
// (logarithm), share of the list price taken off, stars; unknown where it says
// nothing.
type Shelf struct{}

// Name implements features.Feature.
func (Shelf) Name() string { return "shelf" }

// Width implements features.Feature.
func (Shelf) Width() int { return 3 }

// About implements Signal.
func (Shelf) About() About {
	return About{Of: "item", From: "catalogue", Numbers: []string{
		"days since it is there",
		"discount",
		"stars",
	}}
}

// Update implements features.Feature: the catalogue tells all.
func (Shelf) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (Shelf) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	if r.Catalog == nil {
		return
	}
	now := r.Now.UnixMilli()
	for i, row := range items {
		if it := r.Catalog.Item(row); it != nil {
			shelf(now, createdMS(it), reduced(it, r.Market), it.Rating, out[3*i:3*i+3])
		}
	}
}

func (Shelf) begin(*features.Request, *desk) {}

func (Shelf) block(d *desk, lo, hi int, out []float32, stride int) {
	for i, g := range d.goods[lo:hi] {
		v := (*[3]float32)(out[(lo+i)*stride:])
		*v = [3]float32{unknown, unknown, unknown}
		if g.item != nil {
			shelf(d.now, g.created, d.offers[lo+i].off, g.rating, v[:])
		}
	}
}

// shelf sets what is known.
func shelf(now, created int64, off, rating float32, v []float32) {
	if created != 0 {
		v[0] = log1p(float64(now-created) / dayMS)
	}
	v[1] = off
	if rating > 0 {
		v[2] = rating
	}
}

const dayMS = 24 * 60 * 60 * 1000

// createdMS is when the item came, in Unix milliseconds; 0: it does not say.
func createdMS(it *features.Item) int64 {
	if it.Created.IsZero() {
		return 0
	}
	return it.Created.UnixMilli()
}

// reduced is the share taken off the list price in market; NaN: unknown.
func reduced(it *features.Item, market string) float32 {
	list, ok := it.ListPrices[market]
	if !ok {
		list = it.ListPrices[""]
	}
	if list.Micros > 0 {
		if p := it.PriceIn(market); !p.IsZero() && p.Currency == list.Currency {
			return float32(max(0, 1-p.Units()/list.Units()))
		}
	}
	return float32(math.NaN())
}
