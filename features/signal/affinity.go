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
