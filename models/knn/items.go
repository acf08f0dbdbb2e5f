package knn

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/place"
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
	spread  sync.Pool // of *[]float32, by row, zero in between
	pairs   sync.Pool // of *[][2]float32, likewise
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

// weighted goes through those of rows, which are taste.Items of r, that have a
// weight in r's history, the prior applied.
func (m *Items) weighted(r *features.Request, rows []features.Row) iter.Seq2[int, float32] {
	return func(yield func(int, float32) bool) {
		for i, w := range m.weigher.Weights(r, m.table.items, rows) {
			if w == 0 {
				continue
			}
			if m.prior != nil {
				w *= m.prior[rows[i]]
			}
			if !yield(i, w) {
				return
			}
		}
	}
}

// Score implements models.Scorer. The sums over the whole catalogue are made
// once a request and shared through r.Scratch.
func (m *Items) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	if m.table.cols != nil && place.Few(len(items), m.table.items) && scratch.Kept(m) == nil {
		m.some(r, scratch, items, out)
		return
	}
	sums, ok := m.sums(r, scratch)
	pick(sums, ok, items, out)
}

// some is Score without the sums of all other items: those of a large catalogue
// would drive everything else out of the processor's nearest memory.
func (m *Items) some(r *features.Request, scratch *features.Scratch, items []features.Row, out []float32) {
	p, places := m.profile(r, scratch), place.Of(items, scratch)
	clear(out)
	for i, row := range p.Rows {
		w := p.Weights[i]
		lo, hi := m.table.ptr[row], m.table.ptr[row+1]
		vals := m.table.vals[lo:hi]
		for j, col := range m.table.cols[lo:hi] {
			if at := places.Find(features.Row(col)); at >= 0 {
				out[at] += w * vals[j]
			}
		}
	}
	for i, row := range items {
		if len(p.Rows) == 0 || row < 0 || int(row) >= m.table.items {
			out[i] = float32(math.NaN())
		} else if at := places.Find(row); at != i { // asked for twice
			out[i] = out[at]
		}
	}
}

// sums is the scores of the whole catalogue; scratch is zeroed memory.
func (m *Items) sums(r *features.Request, scratch *features.Scratch) ([]float32, bool) {
	return scratch.Vector(m, m.table.items, func(dst []float32) bool {
		p := m.profile(r, scratch)
		if len(p.Rows) == 0 {
			return false
		}
		m.table.add(p.Rows, p.Weights, dst)
		return true
	})
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

// Explain implements models.Explainer: the score is a sum over the history.
func (m *Items) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	return m.weigher.Attributed(m, r, item)
}

// Attribute implements models.Attributor: the score is a sum over the history.
func (m *Items) Attribute(r *features.Request, item features.Row, rows []features.Row, scale float32, out []float32) bool {
	if item < 0 || int(item) >= m.table.items || r.Scratch == nil {
		return false
	}
	for i, w := range m.weighted(r, rows) {
		out[i] += scale * w * m.table.at(int32(rows[i]), int32(item))
	}
	return true
}

// AttributeSum implements models.Attributor.
func (m *Items) AttributeSum(r *features.Request, items []features.Row, weights []float32, rows []features.Row, out []float32) bool {
	if r.Scratch == nil {
		return false
	}
	if m.table.cols != nil && place.Few(len(items), m.table.items) {
		m.attributeSome(r, items, weights, rows, out)
		return true
	}
	dense, _ := m.spread.Get().(*[]float32)
	if dense == nil {
		dense = new([]float32)
		*dense = make([]float32, m.table.items)
	}
	defer m.spread.Put(dense)
	for i, w := range weights {
		if items[i] >= 0 && int(items[i]) < m.table.items {
			(*dense)[items[i]] = w
		}
	}
	for i, w := range m.weighted(r, rows) {
		_, product := m.table.against(int32(rows[i]), *dense)
		out[i] += w * product
	}
	for _, row := range items {
		if row >= 0 && int(row) < m.table.items {
			(*dense)[row] = 0
		}
	}
	return true
}

// AttributeSums implements models.PairAttributor.
func (m *Items) AttributeSums(r *features.Request, items []features.Row, one, other []float32, rows []features.Row, first, second []float32) bool {
	if r.Scratch == nil || m.table.cols == nil || place.Few(len(items), m.table.items) {
		return m.AttributeSum(r, items, one, rows, first) && m.AttributeSum(r, items, other, rows, second)
	}
	dense, _ := m.pairs.Get().(*[][2]float32)
	if dense == nil {
		dense = new([][2]float32)
		*dense = make([][2]float32, m.table.items)
	}
	defer m.pairs.Put(dense)
	for i, row := range items {
		if row >= 0 && int(row) < m.table.items {
			(*dense)[row] = [2]float32{one[i], other[i]}
		}
	}
	for i, w := range m.weighted(r, rows) {
		lo, hi := m.table.ptr[rows[i]], m.table.ptr[rows[i]+1]
		cols := m.table.cols[lo:hi]
		var a, b float32
		for j, v := range m.table.vals[lo:hi] {
			both := &(*dense)[cols[j]]
			a += v * both[0]
			b += v * both[1]
		}
		first[i] += w * a
		second[i] += w * b
	}
	for _, row := range items {
		if row >= 0 && int(row) < m.table.items {
			(*dense)[row] = [2]float32{}
		}
	}
	return true
}

// attributeSome is AttributeSum by the places of items. Of an item that is there
// twice the last weight counts, as there.
func (m *Items) attributeSome(r *features.Request, items []features.Row, weights []float32, rows []features.Row, out []float32) {
	places, own := place.Of(items, r.Scratch), r.Scratch.Floats(len(items))
	for i, w := range weights {
		own[places.Find(items[i])] = w
	}
	for i, w := range m.weighted(r, rows) {
		lo, hi := m.table.ptr[rows[i]], m.table.ptr[rows[i]+1]
		vals, product := m.table.vals[lo:hi], float32(0)
		for j, col := range m.table.cols[lo:hi] {
			if at := places.Find(features.Row(col)); at >= 0 {
				product += vals[j] * own[at]
			}
		}
		out[i] += w * product
	}
}

// AttributeMoments implements models.Attributor: the moments are those of sums
// whose terms are the rows of the table.
func (m *Items) AttributeMoments(r *features.Request, moments models.Moments, rows []features.Row, mean, deviation []float32) bool {
	if r.Scratch == nil {
		return false
	}
	sums, ok := m.sums(r, r.Scratch)
	if !ok {
		return false
	}
	count := 1 / float32(m.table.items)
	for i, w := range m.weighted(r, rows) {
		total, product := m.table.against(int32(rows[i]), sums)
		own := w * total * count
		mean[i] += own
		deviation[i] += (w*product*count - own*moments.Mean) / moments.Deviation
	}
	return true
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
