// Package popular is the model that everyone falls back on: what sells, by
// market, with old events fading.
//
// It imports models and what lies below. Start reading at Params.
package popular

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"sort"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// Params are the kind's parameters.
type Params struct {
	HalfLifeDays float64 `json:"half_life_days"` // an event counts half after so many days; 0: for ever
	Prior        float64 `json:"prior"`          // how many events of the whole shop a market's own are mixed with
	MaxMarkets   int     `json:"max_markets"`    // markets with numbers of their own, the largest; others take the shop's
}

// Defaults are the parameters that are used where none are given.
func Defaults() Params { return Params{HalfLifeDays: 14, Prior: 100, MaxMarkets: 64} }

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: "popular", Summary: "what sells, by market, with old events fading; the same for everyone", Defaults: Defaults(),
		Fit: Fit, Open: Open,
		Space: []models.Range{
			{Param: "half_life_days", Values: []any{0., 7., 14., 30., 60., 120.}},
			{Param: "prior", Low: 10, High: 10_000, Log: true},
		},
	}
}

// Model is a score for each item in each market. It implements models.Model
// and models.BatchScorer.
type Model struct {
	items   int
	markets []string
	row     map[string]int // of a market, from 1
	scores  []float32      // (1+len(markets)) x items; row 0 is the whole shop
}

var (
	_ models.Model       = (*Model)(nil)
	_ models.BatchScorer = (*Model)(nil)
)

// Fit counts the events of in.Train by item and market, each by the weight of
// its type and its age at the newest event.
func Fit(ctx context.Context, in models.FitInput) (models.Model, error) {
	p, err := parse(in.Params)
	if err != nil {
		return nil, err
	}
	weights, err := models.WeightsOf(in.Weights)
	if err != nil {
		return nil, err
	}
	d := in.Train
	m := newModel(d.NumItems(), largest(d, p.MaxMarkets))
	counts := make([]float64, len(m.scores))
	row := make([]int, len(d.Markets))
	for i, name := range d.Markets {
		row[i] = m.row[name]
	}
	last := d.LastTimeMS()
	for i := range d.Log {
		if i&0xfffff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		it := &d.Log[i]
		w := float64(weights.Of(it)) * p.fade(last-it.TimeMS, it.TimeMS)
		counts[it.Row] += w
		if d.Market != nil {
			if r := row[d.Market[i]]; r > 0 {
				counts[r*m.items+int(it.Row)] += w
			}
		}
	}
	m.mix(counts, p.Prior)
	return m, nil
}

// fade is what is left of an event's weight at the given age.
func (p Params) fade(ageMS, timeMS int64) float64 {
	if p.HalfLifeDays == 0 || timeMS == 0 {
		return 1
	}
	const day = 24 * 60 * 60 * 1000
	return math.Exp2(-float64(ageMS) / (p.HalfLifeDays * day))
}

// mix turns counts into scores: the shop's own counts, and for a market its
// counts with prior events of the shop added.
func (m *Model) mix(counts []float64, prior float64) {
	whole, total := counts[:m.items], 0.
	for i := range whole {
		whole[i] = max(whole[i], 0)
		total += whole[i]
		m.scores[i] = float32(whole[i])
	}
	for r := 1; r <= len(m.markets); r++ {
		for i := range m.items {
			share := 0.
			if total > 0 {
				share = whole[i] / total
			}
			m.scores[r*m.items+i] = float32(max(counts[r*m.items+i], 0) + prior*share)
		}
	}
}

// largest is the names of the markets with the most events, at most n.
func largest(d *dataset.Dataset, n int) []string {
	events := make([]int, len(d.Markets))
	for _, m := range d.Market {
		events[m]++
	}
	var order []int
	for m, name := range d.Markets {
		if name != "" && events[m] > 0 {
			order = append(order, m)
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return events[order[a]] > events[order[b]] })
	names := make([]string, 0, n)
	for _, m := range order[:min(n, len(order))] {
		names = append(names, d.Markets[m])
	}
	return names
}

func newModel(items int, markets []string) *Model {
	m := &Model{items: items, markets: markets, row: make(map[string]int, len(markets)), scores: make([]float32, (1+len(markets))*items)}
	for i, name := range markets {
		m.row[name] = i + 1
	}
	return m
}

// Kind implements models.Model.
func (m *Model) Kind() string { return "popular" }

// Items implements models.Model.
func (m *Model) Items() int { return m.items }

// Score implements models.Scorer: the score in the request's market, or in the
// whole shop where the market has none of its own.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	at := m.row[r.Market] * m.items
	scores := m.scores[at : at+m.items]
	for i, row := range items {
		if row < 0 || int(row) >= m.items {
			out[i] = float32(math.NaN())
			continue
		}
		out[i] = scores[row]
	}
}

// ScoreMany implements models.BatchScorer.
func (m *Model) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	for i, r := range rs {
		m.Score(r, items, out[i*len(items):(i+1)*len(items)])
	}
}

// header is what Save writes beside the scores.
type header struct {
	Items   int      `json:"items"`
	Markets []string `json:"markets"`
}

// Save implements models.Model.
func (m *Model) Save(w models.Writer) error {
	if err := w.JSON("popular", header{m.items, m.markets}); err != nil {
		return err
	}
	return w.Tensor("scores", models.TensorOf(m.scores, 1+len(m.markets), m.items))
}

// Open reads what Save wrote.
func Open(r models.Reader) (models.Model, error) {
	var h header
	if err := r.JSON("popular", &h); err != nil {
		return nil, err
	}
	t, err := r.Tensor("scores")
	if err != nil {
		return nil, err
	}
	scores, err := models.View[float32](t, 1+len(h.Markets), h.Items)
	if err != nil {
		return nil, fmt.Errorf("scores: %w", err)
	}
	m := &Model{items: h.Items, markets: h.Markets, row: make(map[string]int, len(h.Markets)), scores: scores}
	for i, name := range h.Markets {
		m.row[name] = i + 1
	}
	return m, nil
}

func parse(raw json.RawMessage) (Params, error) {
	p := Defaults()
	if err := models.DecodeParams(raw, &p); err != nil {
		return p, fmt.Errorf("popular: %w", err)
	}
	for _, v := range []struct {
		name    string
		v, most float64
	}{{"half_life_days", p.HalfLifeDays, 1e6}, {"prior", p.Prior, 1e9}, {"max_markets", float64(p.MaxMarkets), 10_000}} {
		if err := models.CheckRange(v.name, v.v, 0, v.most); err != nil {
			return p, fmt.Errorf("popular: %w", err)
		}
	}
	return p, nil
}
