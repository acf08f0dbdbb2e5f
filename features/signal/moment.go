package signal

import (
	"math"
	"time"

	"github.com/attune-rec/attune/features"
)

// Moment is how the item fits the part of the day, weekday or weekend, and the
// season: the logarithm of its share of interest at such times by the shop's,
// with ten events of the shop's shares added to the item's. By UTC.
type Moment struct{}

const (
	parts = 4 + 2 + 4
	prior = 10
)

// Name implements features.Feature.
func (Moment) Name() string { return "moment" }

// Width implements features.Feature.
func (Moment) Width() int { return 3 }

// moment is the cells that a time counts in.
func moment(t time.Time) [3]int {
	t = t.UTC()
	weekend := 0
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		weekend = 1
	}
	return [3]int{t.Hour() / 6, 4 + weekend, 6 + int(t.Month())%12/3}
}

// Update implements features.Feature.
func (f Moment) Update(s features.State, e features.Event) {
	if !told(&e) {
		return
	}
	item := s.Cells(f.Name(), features.OfItem, e.Item, parts)
	shop := s.Cells(f.Name(), features.OfShop, "", parts)
	for _, c := range moment(e.Time) {
		item[c]++
		shop[c]++
	}
}

// Value implements features.Feature.
func (f Moment) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	if r.State == nil || r.Catalog == nil {
		return
	}
	shop := r.State.Read(f.Name(), features.OfShop, "")
	if shop == nil {
		return
	}
	all := shop[4] + shop[5]
	at := moment(r.Now)
	own := readingOf(r.State, f.Name(), features.OfItem, "")
	for i, row := range items {
		c := own.at(row, r.Catalog.ID(row))
		if c == nil { // it is as the shop is
			out[3*i], out[3*i+1], out[3*i+2] = 0, 0, 0
			continue
		}
		for j, cell := range at {
			usual := (shop[cell] + 1) / (all + 4)
			share := (c[cell] + prior*usual) / (c[4] + c[5] + prior)
			out[3*i+j] = float32(math.Log(share / usual))
		}
	}
}
