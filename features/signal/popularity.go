package signal

import (
	"time"

	"github.com/attune-rec/attune/features"
)

// Popularity is how the item does: purchases of late everywhere and in the
// market, looks of late in the market (logarithms; half lives of 14 days, 14
// days and 2 days), and purchases by look in all.
type Popularity struct{}

const (
	sells = 14 * 24 * time.Hour
	looks = 2 * 24 * time.Hour
)

// Name implements features.Feature.
func (Popularity) Name() string { return "popularity" }

// Width implements features.Feature.
func (Popularity) Width() int { return 4 }

// Update implements features.Feature.
func (f Popularity) Update(s features.State, e features.Event) {
	if !told(&e) {
		return
	}
	ms, bought := e.Time.UnixMilli(), purchase(e.Type)
	all := s.Cells(f.Name(), features.OfItem, e.Item, 4) // purchases and their time, looks, purchases
	add(all, bought, ms, sells)
	all[2] += 1 - bought
	all[3] += bought
	here := s.Cells(f.Name(), features.OfMarket, e.Market+"\x00"+e.Item, 4) // purchases, looks, with their times
	add(here[:2], bought, ms, sells)
	add(here[2:], 1-bought, ms, looks)
}

// Value implements features.Feature.
func (f Popularity) Value(r *features.Request, items []features.Row, out []float32) {
	if r.State == nil || r.Catalog == nil {
		fill(out)
		return
	}
	now := r.Now.UnixMilli()
	whole := readingOf(r.State, f.Name(), features.OfItem, "")
	market := readingOf(r.State, f.Name(), features.OfMarket, r.Market+"\x00")
	for i, row := range items {
		id, v := r.Catalog.ID(row), out[4*i:4*i+4]
		clear(v)
		if c := whole.at(row, id); c != nil {
			v[0] = log1p(sum(c, now, sells))
			v[3] = float32((c[3] + .1) / (c[2] + c[3] + 2))
		}
		if c := market.at(row, id); c != nil {
			v[1], v[2] = log1p(sum(c[:2], now, sells)), log1p(sum(c[2:], now, looks))
		}
	}
}
