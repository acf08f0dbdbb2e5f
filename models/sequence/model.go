package sequence

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
)

// Model is a fitted network: "gru", "lstm" or "sasrec". It scores, embeds and
// explains; a request without an event to read has no vector and NaN for
// scores. Scores are logits: their softmax over the catalogue is the
// probability that the item is next. It is immutable and safe for concurrent
// use.
type Model struct {
	header
	net    *network // whose items and biases are in table
	reader *reader
	table  factor.Table // items' vectors, the bias as the last coordinate
	mark   *byte        // whose states are this model's
}

var (
	_ models.Model       = (*Model)(nil)
	_ models.BatchScorer = (*Model)(nil)
	_ models.Embedder    = (*Model)(nil)
	_ models.Explainer   = (*Model)(nil)
)

// header is what a release keeps beside the tensors.
type header struct {
	Family string `json:"family"`
	Params Params `json:"params"`
	Items  int    `json:"items"`
	Reads  inputs `json:"reads"`
}

// model is the present weights as a model of its own, which later steps do not
// change.
func (t *trainer) model() *Model {
	from := t.nets[0]
	from.compose(t.workers)
	m := &Model{
		header: header{t.family, t.params, t.reader.items, t.reads}, reader: t.reader,
		net:   newNetwork(t.family, t.params, 0, t.reads, nil, nil),
		table: factor.Table{Items: t.reader.items, Dim: t.params.Dim + 1}, mark: new(byte),
	}
	m.table.Data = make([]float32, m.table.Items*m.table.Dim)
	for i := range m.table.Items {
		row := m.table.Row(features.Row(i))
		copy(row, from.items.W[i*t.params.Dim:][:t.params.Dim])
		row[t.params.Dim] = from.bias.W[i]
	}
	trained := from.rest()
	for i, p := range m.net.rest() {
		p.W, p.G = slices.Clone(trained[i].W), nil
	}
	return m
}

// Kind implements models.Model.
func (m *Model) Kind() string { return m.Family }

// Items implements models.Model.
func (m *Model) Items() int { return m.table.Items }

// Params are the parameters it was trained with, chosen values filled in.
func (m *Model) Params() Params { return m.header.Params }

// Dim implements models.Embedder: the network's, and one for the bias.
func (m *Model) Dim() int { return m.table.Dim }

// Vectors implements models.Embedder.
func (m *Model) Vectors() []float32 { return m.table.Data }

// Score implements models.Scorer.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	m.table.Score(m, r, items, out)
}

// ScoreMany implements models.BatchScorer.
func (m *Model) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	m.table.ScoreMany(m, rs, items, out)
}

// Explain implements models.Explainer: of the latest events, those whose items
// are most like the item are put to the test by reading the history without
// them.
func (m *Model) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	const latest = 30
	history := r.History()
	if item < 0 || int(item) >= m.table.Items || len(history) == 0 {
		return models.Evidence{Item: features.NoRow}, false
	}
	dim := m.header.Params.Dim
	like := func(row features.Row) float32 {
		return linalg.Dot(m.table.Row(row)[:dim], m.table.Row(item)[:dim])
	}
	var candidates []features.Row
	for i := len(history) - 1; i >= 0 && len(candidates) < latest; i-- {
		if it := &history[i]; m.reader.follows(it, features.NoRow) && it.Row != item && !slices.Contains(candidates, it.Row) {
			candidates = append(candidates, it.Row)
		}
	}
	if len(candidates) > 1 { // the newest is always tried
		slices.SortStableFunc(candidates[1:], func(a, b features.Row) int { return cmp.Compare(like(b), like(a)) })
	}
	return m.reader.weigher.Confirm(m, r, item, candidates)
}

// Save implements models.Model.
func (m *Model) Save(w models.Writer) error {
	if err := w.Tensor("items", models.TensorOf(m.table.Data, m.table.Items, m.table.Dim)); err != nil {
		return err
	}
	for _, p := range m.net.rest() {
		if err := w.Tensor(p.Name, models.TensorOf(p.W, p.Rows, p.Cols)); err != nil {
			return err
		}
	}
	return w.JSON("model", m.header)
}

func open(family string, r models.Reader) (models.Model, error) {
	m := &Model{mark: new(byte)}
	if err := r.JSON("model", &m.header); err != nil {
		return nil, err
	}
	p := m.header.Params
	if err := p.check(); err != nil {
		return nil, err
	}
	if m.Family != family || p.Dim < 1 || p.Window < 1 {
		return nil, fmt.Errorf("model of kind %q, dim %d and window %d: expected a fitted %q", m.Family, p.Dim, p.Window, family)
	}
	weigher, err := p.weigher(nil)
	if err != nil {
		return nil, err
	}
	m.reader = &reader{weigher: weigher, items: m.header.Items}
	m.table = factor.Table{Items: m.header.Items, Dim: p.Dim + 1}
	m.net = newNetwork(family, p, 0, m.Reads, nil, nil)
	if m.table.Data, err = tensor[float32](r, "items", m.table.Items, m.table.Dim); err != nil {
		return nil, err
	}
	for _, q := range m.net.rest() {
		q.G = nil
		if q.W, err = tensor[float32](r, q.Name, q.Rows, q.Cols); err != nil {
			return nil, err
		}
	}
	return m, nil
}
