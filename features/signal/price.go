package signal

import (
	"math"

	"github.com/attune-rec/attune/features"
)

// Price is how the item's price lies to what the shopper looks at and buys:
// the logarithm of its ratio to the decayed geometric mean, and that ratio
// without its sign, measured by the shopper's own spread.
type Price struct{}

// Name implements features.Feature.
func (Price) Name() string { return "price" }

// Width implements features.Feature.
func (Price) Width() int { return 2 }

// Update implements features.Feature: the history tells all.
func (Price) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (Price) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	if r.Catalog == nil {
		return
	}
	now := r.Now.UnixMilli()
	n, mean, square := 0.0, 0.0, 0.0
	for _, in := range r.History() {
		w := liking(in, now)
		price := float64(in.Price)
		if it := r.Catalog.Item(in.Row); price <= 0 && it != nil {
			price = it.PriceIn(r.Market).Units()
		}
		if w == 0 || price <= 0 {
			continue
		}
		l := math.Log(price)
		n, mean, square = n+w, mean+w*l, square+w*l*l
	}
	if n == 0 {
		return
	}
	mean /= n
	spread := math.Sqrt(max(square/n-mean*mean, 0) + .04)
	kept := traitsOf(r.State)
	for i, row := range items {
		it := r.Catalog.Item(row)
		if it == nil {
			continue
		}
		var units, log float64
		if kept != nil {
			units, log = kept.price(it, row, r.Market)
		} else {
			p := pricedOf(it, r.Market)
			units, log = p.units, p.log
		}
		if units <= 0 {
			continue
		}
		d := log - mean
		out[2*i], out[2*i+1] = float32(d), float32(math.Abs(d)/spread)
	}
}
