package signal

import (
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

const taste = 30 * 24 * time.Hour // half life of interest

// liking is how much an interaction weighs at now.
func liking(it features.Interaction, now int64) float64 {
	w := 1.0
	switch it.Type {
	case features.Purchase:
		w = 4
	case features.CartAdd, features.WishAdd:
		w = 2
	}
	if !it.Type.Interest() {
		return 0
	}
	return w * fade(max(0, now-it.TimeMS), taste)
}

func kindOf(it *features.Item) string {
	if n := len(it.Category); n > 0 {
		return it.Category[n-1]
	}
	return ""
}

// Affinity is the share of the shopper's decayed interest that went to the
// item's category and to its brand; unknown without a history, and where the
// item has none.
type Affinity struct{}

// Name implements features.Feature.
func (Affinity) Name() string { return "affinity" }

// Width implements features.Feature.
func (Affinity) Width() int { return 2 }

// Update implements features.Feature: the history tells all.
func (Affinity) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (Affinity) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	history := r.History()
	if r.Catalog == nil || len(history) == 0 {
		return
	}
	now, total := r.Now.UnixMilli(), 0.0
	categories, brands := map[string]float64{}, map[string]float64{}
	for _, in := range history {
		w := liking(in, now)
		it := r.Catalog.Item(in.Row)
		if w == 0 || it == nil {
			continue
		}
		total += w
		categories[kindOf(it)] += w
		brands[it.Brand] += w
	}
	if total == 0 {
		return
	}
	for i, row := range items {
		it := r.Catalog.Item(row)
		if it == nil {
			continue
		}
		if c := kindOf(it); c != "" {
			out[2*i] = float32(categories[c] / total)
		}
		if it.Brand != "" {
			out[2*i+1] = float32(brands[it.Brand] / total)
		}
	}
}

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
	for i, row := range items {
		it := r.Catalog.Item(row)
		if it == nil || it.PriceIn(r.Market).Units() <= 0 {
			continue
		}
		d := math.Log(it.PriceIn(r.Market).Units()) - mean
		out[2*i], out[2*i+1] = float32(d), float32(math.Abs(d)/spread)
	}
}
