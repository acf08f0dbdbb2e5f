package mf

import (
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// Ranking is a fitted "bpr". A request without history has no vector and NaN
// for scores. It is immutable and safe for concurrent use.
type Ranking struct {
	params  BPRParams
	weigher *taste.Weigher
	table   factor.Table
	pool    []int32
	offset  []float32 // of each item of the pool, on its score
	lift    []float32 // of each item, off its score when it is chosen
	rivals  linalg.Matrix
	bend    float32 // the largest squared length of the pool's vectors
}

// gather keeps the pool's vectors close together.
func (m *Ranking) gather() {
	m.rivals = linalg.NewMatrix(len(m.pool), m.table.Dim)
	for j, row := range m.pool {
		y := m.table.Row(features.Row(row))
		copy(m.rivals.Row(j), y)
		m.bend = max(m.bend, linalg.Dot(y, y))
	}
}

// Kind implements models.Model.
func (m *Ranking) Kind() string { return KindBPR }

// Items implements models.Model.
func (m *Ranking) Items() int { return m.table.Items }

// Dim implements models.Embedder.
func (m *Ranking) Dim() int { return m.table.Dim }

// Vectors implements models.Embedder.
func (m *Ranking) Vectors() []float32 { return m.table.Data }

// Score implements models.Scorer.
func (m *Ranking) Score(r *features.Request, items []features.Row, out []float32) {
	m.table.Score(m, r, items, out)
}

// ScoreMany implements models.BatchScorer.
func (m *Ranking) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	m.table.ScoreMany(m, rs, items, out)
}

// Embed implements models.Embedder: the vector that ranks the history above the
// pool by the loss of training, a convex problem, solved by accelerated
// gradient descent from 0. The last number is 1, the weight of items' biases.
func (m *Ranking) Embed(r *features.Request, dst []float32) bool {
	scratch := r.Workspace()
	p := m.weigher.Profile(r.History(), m.table.Items, scratch)
	likes := p.Likes()
	if likes <= 0 {
		return false
	}
	dim := m.table.Dim
	clear(dst)
	dst[dim-1] = 1
	offset, left := m.against(p, scratch)
	if left == 0 {
		return true
	}
	mine, pull := scratch.Floats(len(p.Rows)), scratch.Floats(len(p.Rows))
	theirs := scratch.Floats(len(m.pool))
	ahead, last, gradient := scratch.Floats(dim), scratch.Floats(dim), scratch.Floats(dim)
	copy(ahead, dst)
	reg := float32(m.params.Regularisation) * likes
	rate := 1 / (reg + likes*m.steepest(p.Rows))
	for step := range m.params.Steps {
		linalg.DotGather(ahead, m.table.Data, p.Rows, mine)
		linalg.DotRows(ahead, m.rivals.Data, theirs)
		linalg.AddTo(theirs, theirs, offset)
		most := theirs[0]
		for _, s := range theirs {
			most = max(most, s)
		}
		for j := range theirs {
			theirs[j] -= most
		}
		linalg.Exp(theirs, theirs)
		sum := linalg.Sum(theirs)
		// A choice of score s has the share e^s / (e^s + sum) of the softmax, what it
		// is ranked above the rest.
		var push float32
		for i, s := range mine {
			own := float32(math.Exp(math.Min(float64(s-m.lift[p.Rows[i]]-most), 80)))
			w := max(p.Weights[i], 0) / (own + sum)
			pull[i] = w * sum
			push -= w
		}
		linalg.Scale(push, theirs)
		clear(gradient)
		linalg.AxpyGather(pull, m.table.Data, p.Rows, gradient)
		linalg.AxpyRows(theirs, m.rivals.Data, gradient)
		copy(last, dst)
		momentum := float32(step) / float32(step+3)
		for k := range dim - 1 {
			dst[k] = ahead[k] + rate*(gradient[k]-reg*ahead[k])
			ahead[k] = dst[k] + momentum*(dst[k]-last[k])
		}
	}
	return true
}

// against is the offsets of the pool with what the shopper has met taken out,
// which is no evidence against itself, and how many are left in.
func (m *Ranking) against(p taste.Profile, scratch *features.Scratch) (offset []float32, left int) {
	offset = scratch.Floats(len(m.pool))
	copy(offset, m.offset)
	left = len(m.pool)
	// The pool is ascending, with repeats next to each other.
	for _, row := range p.Rows {
		lo, hi := 0, len(m.pool)
		for lo < hi {
			if mid := (lo + hi) / 2; m.pool[mid] < row {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		for ; lo < len(m.pool) && m.pool[lo] == row; lo++ {
			offset[lo] = -1e4
			left--
		}
	}
	return offset, left
}

// steepest bounds the curvature of the loss of a choice: the largest squared
// length of the vectors that take part.
func (m *Ranking) steepest(rows []int32) float32 {
	most := m.bend
	for _, row := range rows {
		y := m.table.Row(features.Row(row))
		most = max(most, linalg.Dot(y, y))
	}
	return max(most, 1e-6)
}

// Explain implements models.Explainer: the history items whose vectors point
// most to the item's are put to the test.
func (m *Ranking) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	if item < 0 || int(item) >= m.table.Items {
		return models.Evidence{Item: features.NoRow}, false
	}
	p := m.weigher.Profile(r.History(), m.table.Items, new(features.Scratch))
	terms := make([]float32, len(p.Rows))
	linalg.DotGather(m.table.Row(item), m.table.Data, p.Rows, terms)
	for i, w := range p.Weights {
		terms[i] *= max(w, 0)
	}
	return m.weigher.Confirm(m, r, item, taste.Foremost(p.Rows, terms))
}

// bprMeta is what a release keeps beside the tensors.
type bprMeta struct {
	Params BPRParams `json:"params"`
	Items  int       `json:"items"`
}

// Save implements models.Model.
func (m *Ranking) Save(w models.Writer) error {
	if err := w.Tensor("items", models.TensorOf(m.table.Data, m.table.Items, m.table.Dim)); err != nil {
		return err
	}
	if err := w.Tensor("pool", models.TensorOf(m.pool, len(m.pool))); err != nil {
		return err
	}
	if err := w.Tensor("offset", models.TensorOf(m.offset, len(m.offset))); err != nil {
		return err
	}
	if err := w.Tensor("lift", models.TensorOf(m.lift, len(m.lift))); err != nil {
		return err
	}
	return w.JSON("model", bprMeta{Params: m.params, Items: m.table.Items})
}

func openBPR(r models.Reader) (models.Model, error) {
	var meta bprMeta
	if err := r.JSON("model", &meta); err != nil {
		return nil, err
	}
	old := meta.Params.Batch == 0 // a model of before draws were shared
	if old {
		meta.Params.Batch, meta.Params.Draws = 1, max(meta.Params.Draws, 1)
	}
	if err := meta.Params.check(); err != nil {
		return nil, err
	}
	m := &Ranking{params: meta.Params, table: factor.Table{Items: meta.Items, Dim: meta.Params.Factors + 1}}
	var err error
	if m.weigher, err = taste.New(meta.Params.Options, nil); err != nil {
		return nil, err
	}
	items, err := r.Tensor("items")
	if err != nil {
		return nil, err
	}
	if m.table.Data, err = models.View[float32](items, meta.Items, m.table.Dim); err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	pool, err := r.Tensor("pool")
	if err != nil {
		return nil, err
	}
	if m.pool, err = models.View[int32](pool, -1); err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	if old {
		m.pool = slices.Sorted(slices.Values(m.pool))
	}
	for j, row := range m.pool {
		if row < 0 || int(row) >= meta.Items || j > 0 && row < m.pool[j-1] {
			return nil, fmt.Errorf("pool: %d after %d: expected ascending rows of %d items", row, m.pool[max(j-1, 0)], meta.Items)
		}
	}
	if old {
		m.offset, m.lift = make([]float32, len(m.pool)), make([]float32, meta.Items)
		for j := range m.offset {
			m.offset[j] = -float32(math.Log(float64(len(m.pool))))
		}
		m.gather()
		return m, nil
	}
	offset, err := r.Tensor("offset")
	if err != nil {
		return nil, err
	}
	if m.offset, err = models.View[float32](offset, len(m.pool)); err != nil {
		return nil, fmt.Errorf("offset: %w", err)
	}
	lift, err := r.Tensor("lift")
	if err != nil {
		return nil, err
	}
	if m.lift, err = models.View[float32](lift, meta.Items); err != nil {
		return nil, fmt.Errorf("lift: %w", err)
	}
	m.gather()
	return m, nil
}
