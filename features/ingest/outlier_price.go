package ingest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/attune-rec/attune/features"
)

// What can be done about a line whose price is far from what its item usually
// costs.
const (
	NotePrices   = "note"   // counted with examples, and left as it is
	CutPrices    = "cut"    // to the nearest limit; the price it had goes to the attribute AttrUncutPrice
	RefusePrices = "refuse" // set aside with the reason
)

// AttrUncutPrice is the attribute with the price of one piece, in units of the
// currency, that a line had before it was cut.
const AttrUncutPrice = "uncut_price"

// minPrices is how many lines of an item, in a currency, its limits need to rest
// on.
const minPrices = 5

// threeDigits is the least number of more than three digits, to which prices are
// told apart in what is usual: there are at most 900 of them between a price and
// ten times as much, however long the file.
const threeDigits = 1000

// offer is an item in a currency.
type offer struct{ item, currency string }

// costs counts what offers cost, in the order of the price. An entry takes 16
// bytes; an offer has no more of them than it has lines.
type costs map[offer][]counted

// counted is how often a price, in millionths, was asked.
type counted struct{ micros, lines int64 }

func offerOf(r *Record) offer { return offer{r.Event.Item, r.Event.Price.Currency} }

// add takes in a line of a sale; others, and what has no price, say nothing.
func (c costs) add(r *Record) {
	if r.Event.Type != features.Purchase || r.Event.Price.Micros <= 0 {
		return
	}
	micros, k := roundDigits(r.Event.Price.Micros), offerOf(r)
	all := c[k]
	i, found := slices.BinarySearchFunc(all, micros, func(a counted, m int64) int { return cmp.Compare(a.micros, m) })
	if !found {
		all = slices.Insert(all, i, counted{micros: micros})
		c[k] = all
	}
	all[i].lines++
}

// roundDigits is n, not below 0, to three digits.
func roundDigits(n int64) int64 {
	step := int64(1)
	for n/step >= threeDigits {
		step *= 10
	}
	return int64(math.Round(float64(n)/float64(step))) * step
}

// priceLimits are what an offer may cost, in millionths.
type priceLimits struct{ low, usual, high int64 }

// limits are exp(median ± spread · max(1.4826 · MAD, leastScale)) of the
// logarithms, to three digits, of each offer with enough lines. The floor of the
// scale leaves a factor of 20, so that where all lines but one cost the same, a
// discount is no outlier. What lies beyond moves neither median nor MAD when it is cut to a
// limit, so that measuring again finds the same.
func (c costs) limits() map[offer]priceLimits {
	all := map[offer]priceLimits{}
	var logs []weighted
	for k, asked := range c {
		var total int64
		logs = logs[:0]
		for _, a := range asked {
			logs = append(logs, weighted{math.Log(float64(a.micros)), a.lines})
			total += a.lines
		}
		if total < minPrices {
			continue
		}
		median := medianOf(logs, total)
		for i := range logs {
			logs[i].value = math.Abs(logs[i].value - median)
		}
		width := spread * max(leastScale, 1.4826*medianOf(logs, total))
		high := int64(math.MaxInt64)
		if v := math.Exp(median + width); v < math.MaxInt64 {
			high = roundDigits(int64(v))
		}
		all[k] = priceLimits{roundDigits(int64(math.Exp(median - width))), int64(math.Round(math.Exp(median))), high}
	}
	return all
}

// outlierPrice tells of purchases and returns at a price beyond the limits of
// their item in their currency, and does about them what was asked.
func outlierPrice(limits map[offer]priceLimits, do string) Rule {
	return &rule{"outlier_price", "prices far from what the item usually costs (median and median deviation of logarithms of its lines) are noted, cut or refused, as asked", func(r *Record) (Effect, string) {
		e := &r.Event
		l, known := limits[offerOf(r)]
		if !known || !priced(e.Type) || e.Price.Micros <= 0 || l.low <= e.Price.Micros && e.Price.Micros <= l.high {
			return Kept, ""
		}
		why := strings.TrimRight(fmt.Sprintf("%s at %s, usually about %s %s", e.Item, units(e.Price.Micros), units(l.usual), e.Price.Currency), " ")
		switch do {
		case RefusePrices:
			return Refused, why
		case CutPrices:
			if e.Attributes == nil {
				e.Attributes = map[string]string{}
			}
			e.Attributes[AttrUncutPrice] = units(e.Price.Micros)
			e.Price.Micros = min(max(e.Price.Micros, l.low), l.high)
			return Changed, why + ", is cut to " + units(e.Price.Micros)
		}
		return Noted, why
	}}
}

// units is millionths in units, as short as can be.
func units(micros int64) string {
	return strconv.FormatFloat(float64(micros)/1e6, 'f', -1, 64)
}
