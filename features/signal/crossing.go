package signal

import (
	"math"
	"strconv"
	"time"

	"github.com/attune-rec/attune/features"
)

// Crossing is two facts of which neither says much alone: how the item's price
// class sells in the request's market, and at its part of the week. Each is the
// logarithm of the share of purchases that fall in the class there by the share
// in the whole shop, with twenty purchases of the shop's shares added.
//
// A price class is a doubling of the price. What a class is crossed with is
// hashed to a fixed number of cells, so that callers who name markets as they
// like fill no memory; markets that share a cell share its numbers.
type Crossing struct{}

const (
	classes   = 16 // of prices: up to 1/8, up to 1/4, and so on
	crossings = 90 // cells of markets
	weekParts = 8  // four parts of the day, on workdays and at the weekend
	everyone  = crossings + weekParts
	added     = 20
)

// Name implements features.Feature.
func (Crossing) Name() string { return "crossing" }

// Width implements features.Feature.
func (Crossing) Width() int { return 2 }

// About implements Signal.
func (Crossing) About() About {
	return About{Of: "context", From: "log, catalogue", Numbers: []string{
		"how the item's price class sells in the market", "at this part of the week",
	}}
}

// priceClass is the bucket of a price whose natural logarithm is given.
func priceClass(log float64) int {
	return int(min(max(math.Ceil(log/math.Ln2)+3, 0), classes-1))
}

// marketCell is the cell of a market: FNV-1a, the same in every process.
func marketCell(market string) int {
	h := uint32(2166136261)
	for i := range len(market) {
		h = (h ^ uint32(market[i])) * 16777619
	}
	return int(h % crossings)
}

func weekCell(t time.Time) int {
	cells := moment(t)
	return crossings + 2*cells[0] + cells[1] - 4
}

// Update implements features.Feature.
func (f Crossing) Update(s features.State, e features.Event) {
	price := e.Price.Units()
	if e.Type != features.Purchase || !(price > 0) {
		return
	}
	class := priceClass(ln(price))
	for _, cell := range [3]int{marketCell(e.Market), weekCell(e.Time), everyone} {
		s.Cells(f.Name(), features.OfShop, strconv.Itoa(cell), classes)[class]++
	}
}

// Value implements features.Feature.
func (f Crossing) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	table, ok := f.table(r)
	if !ok {
		return
	}
	for i, row := range items {
		if it := r.Catalog.Item(row); it != nil {
			if units := it.PriceIn(r.Market).Units(); units > 0 {
				copy(out[2*i:2*i+2], table[priceClass(ln(units))][:])
			}
		}
	}
}

func (f Crossing) begin(r *features.Request, d *desk) { d.crossing, d.crossed = f.table(r) }

func (Crossing) block(d *desk, lo, hi int, out []float32, stride int) {
	for i, o := range d.offers[lo:hi] {
		v := (*[2]float32)(out[(lo+i)*stride:])
		*v = [2]float32{unknown, unknown}
		if d.crossed && o.priced {
			*v = d.crossing[o.class]
		}
	}
}

// table is the numbers of a request by price class.
func (f Crossing) table(r *features.Request) (t [classes][2]float32, ok bool) {
	if r.State == nil || r.Catalog == nil {
		return t, false
	}
	all := r.State.Read(f.Name(), features.OfShop, strconv.Itoa(everyone))
	if all == nil {
		return t, false
	}
	total := 0.
	for _, n := range all {
		total += n
	}
	for j, cell := range [2]int{marketCell(r.Market), weekCell(r.Now)} {
		here := r.State.Read(f.Name(), features.OfShop, strconv.Itoa(cell))
		sum := 0.
		for _, n := range here {
			sum += n
		}
		for class := range t {
			usual := (all[class] + 1) / (total + classes)
			n := added * usual
			if here != nil {
				n += here[class]
			}
			t[class][j] = float32(ln(n / (sum + added) / usual))
		}
	}
	return t, true
}
