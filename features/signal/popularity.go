package signal

import (
	"strings"
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

// About implements Signal.
func (Popularity) About() About {
	return About{Of: "item", From: "log", Numbers: []string{
		"purchases of late (14 days)",
		"the same in the market",
		"looks of late in the market (2 days)",
		"purchases by interest",
	}}
}

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
	here := s.Cells(f.Name(), features.OfMarket, inMarket(e.Market, e.Item), 4) // purchases, looks, with their times
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
	for i, row := range items {
		id := r.Catalog.ID(row)
		all, here := r.State.Read(f.Name(), features.OfItem, id), r.State.Read(f.Name(), features.OfMarket, inMarket(r.Market, id))
		popularity(all, here, now, out[4*i:4*i+4])
	}
}

func (Popularity) begin(*features.Request, *desk) {}

func (Popularity) block(d *desk, lo, hi int, out []float32, stride int) {
	for i, g := range d.goods[lo:hi] {
		o, v := d.offers[lo+i], (*[4]float32)(out[(lo+i)*stride:])
		*v = [4]float32{}
		if g.known {
			v[0], v[3] = log1p(sum(g.whole[:], d.now, sells)), g.taken
		}
		if o.known {
			v[1], v[2] = log1p(sum(o.here[:2], d.now, sells)), log1p(sum(o.here[2:], d.now, looks))
		}
	}
}

// popularity is the numbers of an item from its cells, nil where there are none.
func popularity(all, here []float64, now int64, v []float32) {
	clear(v)
	if all != nil {
		v[0], v[3] = log1p(sum(all, now, sells)), taken(all)
	}
	if here != nil {
		v[1], v[2] = log1p(sum(here[:2], now, sells)), log1p(sum(here[2:], now, looks))
	}
}

// taken is purchases by interest.
func taken(all []float64) float32 { return float32((all[3] + .1) / (all[2] + all[3] + 2)) }

// inMarket is the key of an item in a market.
func inMarket(market, item string) string { return market + "\x00" + item }

// afterMarket is the item of such a key.
func afterMarket(key string) string {
	_, item, _ := strings.Cut(key, "\x00")
	return item
}
