package signal

import "github.com/attune-rec/attune/features"

// Affinity is the share of the shopper's decayed interest that went to the
// item's category and to its brand; unknown without a history, and where the
// item has none.
type Affinity struct{}

// Name implements features.Feature.
func (Affinity) Name() string { return "affinity" }

// Width implements features.Feature.
func (Affinity) Width() int { return 2 }

// About implements Signal.
func (Affinity) About() About {
	return About{Of: "pair", From: "history, catalogue", Numbers: []string{
		"share of the shopper's interest (half life 30 days) in the item's category",
		"in its brand",
	}}
}

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

func (Affinity) begin(_ *features.Request, d *desk) {
	d.total = 0
	d.kinds.reset(len(d.past))
	d.brands.reset(len(d.past))
	for i, g := range d.past {
		if w := d.history[i]; w != 0 && g.item != nil {
			d.total += w
			if g.category != 0 {
				d.kinds.add(g.category, w)
			}
			if g.brand != 0 {
				d.brands.add(g.brand, w)
			}
		}
	}
	d.kinds.divide(d.total)
	d.brands.divide(d.total)
}

func (Affinity) block(d *desk, lo, hi int, out []float32, stride int) {
	for i, g := range d.goods[lo:hi] {
		v := (*[2]float32)(out[(lo+i)*stride:])
		*v = [2]float32{unknown, unknown}
		if d.total == 0 {
			continue
		}
		if g.category != 0 {
			v[0] = float32(d.kinds.sum(g.category))
		}
		if g.brand != 0 {
			v[1] = float32(d.brands.sum(g.brand))
		}
	}
}
