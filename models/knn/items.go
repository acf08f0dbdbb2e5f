package knn

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// Items is a fitted item-to-item model: an item's score is the sum, over the
// shopper's history, of how much each interaction weighs times how much its
// item speaks for the scored one. What the shopper dislikes speaks against. A
// request without history gets NaN. It is immutable and safe for concurrent
// use.
type Items struct {
	kind    string
	meta    meta
	weigher *taste.Weigher
	table   *table
	prior   []float32 // factor on a history item's weight; nil: 1 for all
}

// meta is what a release keeps beside the tensors.
type meta struct {
	Items  int             `json:"items"`
	Dense  bool            `json:"dense,omitempty"`
	Prior  bool            `json:"prior,omitempty"`
	Taste  taste.Options   `json:"taste"`
	Params json.RawMessage `json:"params"`
}

func newItems(kind string, params any, w *taste.Weigher, t *table, prior []float32) (*Items, error) {
	raw, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	return &Items{
		kind: kind, weigher: w, table: t, prior: prior,
		meta: meta{Items: t.items, Dense: t.cols == nil, Prior: prior != nil, Taste: w.Options(), Params: raw},
	}, nil
}

// Kind implements models.Model.
func (m *Items) Kind() string { return m.kind }

// Items implements models.Model.
func (m *Items) Items() int { return m.table.items }

// profile is the weights of r's history, the prior applied.
func (m *Items) profile(r *features.Request, scratch *features.Scratch) taste.Profile {
	p := m.weigher.Profile(r.History(), m.table.items, scratch)
	if m.prior != nil {
		for i, row := range p.Rows {
			p.Weights[i] *= m.prior[row]
		}
	}
	return p
}

// Score implements models.Scorer. The sums over the whole catalogue are made
// once a request and shared through r.Scratch.
func (m *Items) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Scratch
	if scratch == nil {
		scratch = new(features.Scratch)
	}
	sums, ok := scratch.Vector(m, m.table.items, func(dst []float32) bool {
		p := m.profile(r, scratch)
		if len(p.Rows) == 0 {
			return false
		}
		clear(dst)
		m.table.add(p.Rows, p.Weights, dst)
		return true
	})
	pick(sums, ok, items, out)
}

// ScoreMany implements models.BatchScorer.
func (m *Items) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	for i, r := range rs {
		m.Score(r, items, out[i*len(items):][:len(items)])
	}
}

// pick copies the sums of items; NaN for rows without one.
func pick(sums []float32, ok bool, items []features.Row, out []float32) {
	for i, row := range items {
		if !ok || row < 0 || int(row) >= len(sums) {
			out[i] = float32(math.NaN())
			continue
		}
		out[i] = sums[row]
	}
}

// Neighbours implements models.Neighbourhood.
func (m *Items) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	return m.table.neighbours(item, k, allow, dst)
}

// Explain implements models.Explainer: the score is a sum over the history, and
// its largest terms are put to the test.
func (m *Items) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	if item < 0 || int(item) >= m.table.items {
		return models.Evidence{Item: features.NoRow}, false
	}
	p := m.profile(r, new(features.Scratch))
	terms := make([]linalg.Scored, 0, len(p.Rows))
	for i, row := range p.Rows {
		if term := p.Weights[i] * m.table.at(row, int32(item)); term > 0 {
			terms = append(terms, linalg.Scored{Index: row, Score: term})
		}
	}
	return m.weigher.Confirm(m, r, item, ranked(terms))
}

// ranked is the rows of terms by descending score, ties by row.
func ranked(terms []linalg.Scored) []features.Row {
	slices.SortFunc(terms, byScore)
	rows := make([]features.Row, len(terms))
	for i, t := range terms {
		rows[i] = features.Row(t.Index)
	}
	return rows
}

// Save implements models.Model.
func (m *Items) Save(w models.Writer) error {
	if m.prior != nil {
		if err := w.Tensor("prior", models.TensorOf(m.prior, len(m.prior))); err != nil {
			return err
		}
	}
	if err := m.table.save(w); err != nil {
		return err
	}
	return w.JSON("model", m.meta)
}

// openItems reads what Items.Save wrote for a model of the given kind.
func openItems(kind string) func(r models.Reader) (models.Model, error) {
	return func(r models.Reader) (models.Model, error) {
		m := &Items{kind: kind}
		if err := r.JSON("model", &m.meta); err != nil {
			return nil, err
		}
		if m.meta.Items < 0 || m.meta.Items > math.MaxInt32 {
			return nil, fmt.Errorf("open %s: %d items", kind, m.meta.Items)
		}
		var err error
		if m.weigher, err = taste.New(m.meta.Taste, nil); err != nil {
			return nil, err
		}
		if m.meta.Prior {
			t, err := r.Tensor("prior")
			if err != nil {
				return nil, err
			}
			if m.prior, err = models.View[float32](t, m.meta.Items); err != nil {
				return nil, fmt.Errorf("prior: %w", err)
			}
		}
		if m.table, err = openTable(r, m.meta.Items, m.meta.Dense); err != nil {
			return nil, err
		}
		return m, nil
	}
}
