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

// About implements Signal.
func (Price) About() About {
	return About{Of: "pair", From: "history, catalogue", Numbers: []string{
		"logarithm of the price by the shopper's usual one",
		"the same without sign, by the shopper's spread",
	}}
}

// Update implements features.Feature: the history tells all.
func (Price) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (Price) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	if r.Catalog == nil {
		return
	}
	now := r.Now.UnixMilli()
	mean, spread, ok := purse(r, func(i int) float64 { return liking(r.History()[i], now) })
	if !ok {
		return
	}
	for i, row := range items {
		if it := r.Catalog.Item(row); it != nil {
			if units := it.PriceIn(r.Market).Units(); units > 0 {
				lies(ln(units)-mean, 1/spread, out[2*i:2*i+2])
			}
		}
	}
}

func (Price) begin(r *features.Request, d *desk) {
	p := &d.purse
	var spread float64
	p.mean, spread, p.ok = purse(r, func(i int) float64 { return d.history[i] })
	p.inverse = 1 / spread
}

func (Price) block(d *desk, lo, hi int, out []float32, stride int) {
	p := &d.purse
	for i, o := range d.offers[lo:hi] {
		v := (*[2]float32)(out[(lo+i)*stride:])
		*v = [2]float32{unknown, unknown}
		if p.ok && o.priced {
			lies(o.log-p.mean, p.inverse, v[:])
		}
	}
}

// purse is the mean and the spread of the logarithms of the prices in the
// history, whose i-th interaction weighs weight(i).
func purse(r *features.Request, weight func(i int) float64) (mean, spread float64, ok bool) {
	n, square := 0.0, 0.0
	for i, in := range r.History() {
		w := weight(i)
		if w == 0 {
			continue
		}
		price := float64(in.Price)
		if price <= 0 {
			if it := r.Catalog.Item(in.Row); it != nil {
				price = it.PriceIn(r.Market).Units()
			}
		}
		if price <= 0 {
			continue
		}
		l := ln(price)
		n, mean, square = n+w, mean+w*l, square+w*l*l
	}
	if n == 0 {
		return 0, 0, false
	}
	mean /= n
	return mean, math.Sqrt(max(square/n-mean*mean, 0) + .04), true
}

func lies(d, inverse float64, v []float32) { v[0], v[1] = float32(d), float32(math.Abs(d)*inverse) }
