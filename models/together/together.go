// Package together is the model of what is bought together: the association
// rules of models/rules over a shop's orders, in all markets and in each of the
// largest. It feeds "bought together" on item pages and carts.
//
// It imports models and what lies below. Start reading at Params.
package together

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/rules"
)

// Params are the kind's parameters.
type Params struct {
	Rules      int     `json:"rules"`      // of most support, of all markets together; a threshold need not be known
	Confidence float64 `json:"confidence"` // least share of the baskets with the left side that have the right
	Lift       float64 `json:"lift"`       // least lift
	Length     int     `json:"length"`     // goods of a rule at most
	Days       float64 `json:"days"`       // baskets of so many newest days; 0: all
	Markets    int     `json:"markets"`    // with rules of their own, those with the most baskets
	Hours      float64 `json:"hours"`      // what a shopper buys within so many hours of the first is one basket
}

// Defaults are the parameters that are used where none are given.
func Defaults() Params {
	return Params{Rules: 50_000, Confidence: .02, Lift: 1.1, Length: 3, Markets: 0, Hours: 12}
}

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: "together", Summary: "what is bought together: association rules over orders, by market and time", Defaults: Defaults(),
		Fit: Fit, Open: Open,
		Space: []models.Range{
			{Param: "confidence", Low: .005, High: .3, Log: true},
			{Param: "lift", Low: 1, High: 4, Log: true},
			{Param: "days", Values: []any{0., 90., 180., 365.}},
		},
	}
}

// Model is rules by market. It implements models.Model and
// models.Neighbourhood.
type Model struct {
	items   int
	markets []string
	row     map[string]int    // of a market, from 1
	tables  []*rules.Together // row 0 is the whole shop
	desks   sync.Pool         // of *desk
}

// desk is the memory of one call.
type desk struct {
	cart   []int32
	found  []rules.Suggestion
	scores []float32 // by item; all 0 between calls
}

func (m *Model) desk() *desk {
	if d, _ := m.desks.Get().(*desk); d != nil {
		return d
	}
	return &desk{scores: make([]float32, m.items)}
}

var (
	_ models.Model         = (*Model)(nil)
	_ models.Neighbourhood = (*Model)(nil)
)

// basket is what was bought at once.
type basket struct {
	market string
	items  []int32
}

// baskets is the purchases of d put together, a basket for what a shopper bought
// within hours of its first purchase, from a time on (Unix milliseconds).
func baskets(d *dataset.Dataset, hours float64, from int64) []basket {
	var all []basket
	span := int64(hours * 3_600_000)
	for u := range d.NumUsers() {
		var open basket
		began := int64(0)
		for i, in := range d.History(u) {
			if in.Type != features.Purchase || in.TimeMS < from {
				continue
			}
			if len(open.items) > 0 && in.TimeMS-began > span {
				all = append(all, open)
				open = basket{}
			}
			if len(open.items) == 0 {
				if began = in.TimeMS; d.Market != nil {
					open.market = d.Markets[d.Market[d.Ptr[u]+int64(i)]]
				}
			}
			open.items = append(open.items, int32(in.Row))
		}
		if len(open.items) > 0 {
			all = append(all, open)
		}
	}
	return all
}

// Fit mines the purchases of in.Train.
func Fit(ctx context.Context, in models.FitInput) (models.Model, error) {
	p, err := parse(in.Params)
	if err != nil {
		return nil, err
	}
	d, from := in.Train, int64(math.MinInt64)
	if p.Days > 0 {
		from = d.LastTimeMS() - int64(p.Days*86_400_000)
	}
	all := baskets(d, p.Hours, from)
	markets := largest(all, p.Markets)
	m := newModel(d.NumItems(), markets)
	for _, market := range append([]string{""}, markets...) {
		table, err := mine(ctx, all, market, p, in.Workers)
		if err != nil {
			return nil, err
		}
		m.tables = append(m.tables, table)
	}
	return m, nil
}

// mine is the rules of a market's baskets; of all for "".
func mine(ctx context.Context, all []basket, market string, p Params, workers int) (*rules.Together, error) {
	var bs rules.Baskets
	for _, b := range all {
		if market == "" || b.market == market {
			if err := bs.Add(b.items...); err != nil {
				return nil, err
			}
		}
	}
	if bs.Len() == 0 {
		return rules.NewTogether(nil)
	}
	least, err := rules.RatioOf(p.Confidence)
	if err != nil {
		return nil, err
	}
	found, err := rules.TopRules(ctx, &bs, p.Rules, rules.RuleOptions{MinConfidence: least, MinLift: p.Lift, MaxConsequent: 1},
		rules.Options{MaxLength: p.Length, Workers: workers})
	if err != nil {
		return nil, fmt.Errorf("together: %w", err)
	}
	return rules.NewTogether(found)
}

// largest is the n markets with the most baskets.
func largest(all []basket, n int) []string {
	count := map[string]int{}
	for _, b := range all {
		if b.market != "" {
			count[b.market]++
		}
	}
	var names []string
	for name := range count {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		if a < b {
			return -1
		}
		return 1
	})
	return names[:min(n, len(names))]
}

func newModel(items int, markets []string) *Model {
	m := &Model{items: items, markets: markets, row: map[string]int{}}
	for i, name := range markets {
		m.row[name] = i + 1
	}
	return m
}

// Kind implements models.Model.
func (m *Model) Kind() string { return "together" }

// Items implements models.Model.
func (m *Model) Items() int { return m.items }

// newest bounds the goods of a history that rules are looked up for.
const newest = 50

// anchors are what others are bought with, ascending: the cart, else the page's
// item, else the newest of the history.
func (m *Model) anchors(r *features.Request, cart []int32) []int32 {
	add := func(row features.Row) {
		if row >= 0 && int(row) < m.items {
			cart = append(cart, int32(row))
		}
	}
	switch h := r.History(); {
	case len(r.Cart) > 0:
		for _, row := range r.Cart {
			add(row)
		}
	case r.Item != features.NoRow:
		add(r.Item)
	default:
		for _, in := range h[max(0, len(h)-newest):] {
			if in.Type.Interest() {
				add(in.Row)
			}
		}
	}
	slices.Sort(cart)
	return slices.Compact(cart)
}

// Score implements models.Scorer: the confidence of the best rule that leads
// from the cart, the page's item or the history to the item, in the request's
// market where it has rules of its own; 0 where none does.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	d := m.desk()
	defer m.desks.Put(d)
	d.found = d.found[:0]
	if d.cart = m.anchors(r, d.cart[:0]); len(d.cart) > 0 {
		d.found = m.tables[m.row[r.Market]].Reach(d.cart, rules.ByConfidence, d.found)
	}
	for _, s := range d.found {
		if int(s.Item) < m.items {
			d.scores[s.Item] = s.Confidence
		}
	}
	for i, row := range items {
		if row < 0 || int(row) >= m.items {
			out[i] = float32(math.NaN())
			continue
		}
		out[i] = d.scores[row]
	}
	for _, s := range d.found {
		if int(s.Item) < m.items {
			d.scores[s.Item] = 0
		}
	}
}

// Neighbours implements models.Neighbourhood: what is bought with the item, by
// confidence, in the whole shop.
func (m *Model) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	if item < 0 || int(item) >= m.items {
		return dst
	}
	d := m.desk()
	defer m.desks.Put(d)
	d.cart = append(d.cart[:0], int32(item))
	d.found = m.tables[0].Suggest(d.cart, rules.ByConfidence, d.found)
	n := len(dst)
	for _, s := range d.found {
		if row := features.Row(s.Item); allow == nil || allow.Has(row) {
			dst = append(dst, models.Neighbour{Row: row, Score: s.Confidence})
		}
	}
	slices.SortFunc(dst[n:], func(a, b models.Neighbour) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Row, b.Row))
	})
	return dst[:min(len(dst), n+k)]
}

func parse(raw json.RawMessage) (Params, error) {
	p := Defaults()
	if err := models.DecodeParams(raw, &p); err != nil {
		return p, fmt.Errorf("together: %w", err)
	}
	for _, v := range []struct {
		name      string
		v         float64
		low, high float64
	}{
		{"rules", float64(p.Rules), 1, 1e7}, {"confidence", p.Confidence, 0, 1}, {"lift", p.Lift, 0, 1e9}, {"length", float64(p.Length), 2, 10},
		{"days", p.Days, 0, 1e5}, {"markets", float64(p.Markets), 0, 10_000}, {"hours", p.Hours, 0, 1e5},
	} {
		if err := models.CheckRange(v.name, v.v, v.low, v.high); err != nil {
			return p, fmt.Errorf("together: %w", err)
		}
	}
	return p, nil
}
