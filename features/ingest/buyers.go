package ingest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
)

// The kinds of buyers that are no ordinary shoppers.
const (
	Bot  = "bot"        // more acts on a day than a person's
	Bulk = "bulk_buyer" // orders far larger than the others'
)

// minSubjects is how many shoppers a comparison needs to rest on.
const minSubjects = 30

// leastScale is the least robust standard deviation taken, on the logarithmic
// scale, so that where nearly all are alike, twice as much is no outlier: six
// of it are a factor of 20.
const leastScale = 0.5

// Buyer is a shopper who was flagged.
type Buyer struct {
	Subject    string  `json:"subject"` // pseudonym
	Kind       string  `json:"kind"`
	Events     int64   `json:"events"`
	Value      float64 `json:"value"`      // acts on the busiest day, or pieces of the median order
	Deviations float64 `json:"deviations"` // from the median of all, robust, on the logarithmic scale
	Why        string  `json:"why"`
	id         string
}

// buyers measures shoppers in the first pass. An act is an order, or an event
// without one.
type buyers map[string]*buyer

type buyer struct {
	events int64
	days   map[int64]int64 // acts
	order  string          // the last one
	pieces int64           // of it
	orders []int64         // pieces of the others
}

func subjectOf(rec *Record) string {
	if rec.User != "" {
		return "u" + rec.User
	}
	return "s" + rec.Session
}

func (bs buyers) add(rec *Record) {
	id := subjectOf(rec)
	b := bs[id]
	if b == nil {
		b = &buyer{days: map[int64]int64{}}
		bs[id] = b
	}
	b.events++
	e := &rec.Event
	if e.Order == "" || e.Order != b.order {
		b.days[e.Time.Unix()/86400]++
		b.close()
		b.order = e.Order
	}
	if e.Type == features.Purchase {
		b.pieces += int64(max(0, rec.Quantity))
	}
}

func (b *buyer) close() {
	if b.pieces > 0 {
		b.orders = append(b.orders, b.pieces)
	}
	b.pieces = 0
}

// flagged are those whose busiest day, or median order, lies more than spread
// robust standard deviations above the median of all (Iglewicz and Hoaglin
// 1993, on logarithms).
func (bs buyers) flagged() (all []Buyer) {
	acts, sizes := map[string]float64{}, map[string]float64{}
	for id, b := range bs {
		b.close()
		busiest := int64(0)
		for _, n := range b.days {
			busiest = max(busiest, n)
		}
		acts[id] = float64(busiest)
		if len(b.orders) > 0 {
			slices.Sort(b.orders)
			sizes[id] = float64(b.orders[(len(b.orders)-1)/2])
		}
	}
	all = append(bs.beyond(acts, Bot, "%.0f acts on one day where %.0f is usual"),
		bs.beyond(sizes, Bulk, "orders of %.0f pieces where %.0f are usual")...)
	slices.SortFunc(all, func(a, b Buyer) int {
		return cmp.Or(cmp.Compare(b.Deviations, a.Deviations), cmp.Compare(a.id, b.id), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

func (bs buyers) beyond(values map[string]float64, kind, why string) (all []Buyer) {
	if len(values) < minSubjects {
		return nil
	}
	logs := make([]weighted, 0, len(values))
	for _, v := range values {
		logs = append(logs, weighted{math.Log(v), 1})
	}
	median := medianOf(logs, int64(len(logs)))
	for i := range logs {
		logs[i].value = math.Abs(logs[i].value - median)
	}
	scale := max(leastScale, 1.4826*medianOf(logs, int64(len(logs))))
	for id, v := range values {
		if d := (math.Log(v) - median) / scale; d > spread {
			all = append(all, Buyer{Kind: kind, Events: bs[id].events, Value: v, Deviations: d, Why: fmt.Sprintf(why, v, math.Exp(median)), id: id})
		}
	}
	return all
}

// flags are the kinds by shopper, filled between the passes.
type flags map[string]map[string]bool

func (f flags) set(all []Buyer) {
	for _, b := range all {
		if f[b.id] == nil {
			f[b.id] = map[string]bool{}
		}
		f[b.id][b.Kind] = true
	}
}

// flaggedBuyer notes the rows of flagged shoppers, or refuses them where their
// kind is put in quarantine.
func flaggedBuyer(kind, description string, f flags, quarantine []string) Rule {
	effect := Noted
	if slices.Contains(quarantine, kind) {
		effect = Refused
	}
	return &rule{kind, description, func(r *Record) (Effect, string) {
		if f[subjectOf(r)][kind] {
			return effect, "the shopper is flagged"
		}
		return Kept, ""
	}}
}
