package signal

import (
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

// About implements Signal.
func (Moment) About() About {
	return About{Of: "context", From: "log", Numbers: []string{
		"fit of the item to the part of the day",
		"to workday or weekend",
		"to the season",
	}}
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
	at, usual, ok := f.usual(r)
	if !ok {
		return
	}
	for i, row := range items {
		if c := r.State.Read(f.Name(), features.OfItem, r.Catalog.ID(row)); len(c) == parts {
			own := counts(c)
			fits(&own, &at, &usual, (*[3]float32)(out[3*i:]))
		} else {
			clear(out[3*i : 3*i+3])
		}
	}
}

func (f Moment) begin(r *features.Request, d *desk) {
	d.moment.at, d.moment.usual, d.moment.ok = f.usual(r)
}

func (Moment) block(d *desk, lo, hi int, out []float32, stride int) {
	for i, g := range d.goods[lo:hi] {
		v := (*[3]float32)(out[(lo+i)*stride:])
		switch {
		case !d.moment.ok:
			fill(v[:])
		case g.timed:
			fits(&g.moment, &d.moment.at, &d.moment.usual, v)
		default:
			*v = [3]float32{}
		}
	}
}

// counts is an item's cells.
func counts(cells []float64) (c [parts]float32) {
	for i := range c {
		c[i] = float32(cells[i])
	}
	return c
}

// usual is the cells of the request's time, and the inverse of the shop's shares
// in them.
func (f Moment) usual(r *features.Request) (at [3]int, usual [3]float64, ok bool) {
	if r.State == nil || r.Catalog == nil {
		return at, usual, false
	}
	shop := r.State.Read(f.Name(), features.OfShop, "")
	if shop == nil {
		return at, usual, false
	}
	at = moment(r.Now)
	for j, cell := range at {
		usual[j] = (shop[4] + shop[5] + 4) / (shop[cell] + 1)
	}
	return at, usual, true
}

// fits is the numbers of an item from its cells; one without any is as the shop
// is.
func fits(c *[parts]float32, at *[3]int, usual *[3]float64, v *[3]float32) {
	all := 1 / (float64(c[4]) + float64(c[5]) + prior)
	for j, cell := range at {
		v[j] = float32(ln((float64(c[cell])*usual[j] + prior) * all))
	}
}
