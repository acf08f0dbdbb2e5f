// Package imported is the kind "imported": item vectors that were trained
// elsewhere (Spark ALS, PyTorch, implicit), with shoppers folded in at request
// time.
//
// It imports models and what lies below. Start reading at New.
package imported

import (
	"context"
	"fmt"
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// Name is the kind's name.
const Name = "imported"

// Params says how a shopper's vector x follows from the vectors y of the items
// met, with weight w each. It minimises
//
//	Σ (Unobserved + Alpha·w)·(1 − x·y)² over the n items met
//	+ Unobserved·Σ (x·y)² over all others + λ·|x|²
//
// which is a step of implicit ALS (Hu, Koren, Volinsky 2008) for Unobserved 1,
// and ridge regression on the items met alone for Unobserved 0. λ is
// Regularisation, times n with ByCount, as Spark has it.
type Params struct {
	taste.Options
	Unobserved     float64 `json:"unobserved"`
	Alpha          float64 `json:"alpha"`
	Regularisation float64 `json:"regularisation"`
	ByCount        bool    `json:"by_count"`
}

// Defaults are those of Spark's implicit ALS.
func Defaults() Params {
	return Params{Unobserved: 1, Alpha: 1, Regularisation: .1, ByCount: true}
}

func (p *Params) check() error {
	for _, c := range []struct {
		name      string
		v, lo, hi float64
	}{
		{"unobserved", p.Unobserved, 0, 1e6}, {"alpha", p.Alpha, 0, 1e6}, {"regularisation", p.Regularisation, 1e-9, 1e9},
	} {
		if err := models.CheckRange(c.name, c.v, c.lo, c.hi); err != nil {
			return err
		}
	}
	if p.Unobserved+p.Alpha == 0 {
		return fmt.Errorf("%w: unobserved and alpha are both 0: no history would count", models.ErrParams)
	}
	return nil
}

// Kind is the family's entry in models/kind. It cannot be fitted.
func Kind() models.Kind {
	return models.Kind{
		Name: Name, Summary: "item vectors trained elsewhere, shoppers folded in", Defaults: Defaults(), Open: open,
		Fit: func(context.Context, models.FitInput) (models.Model, error) {
			return nil, fmt.Errorf("%w: kind %q is not trained: bring vectors in by trainer import", models.ErrParams, Name)
		},
	}
}

// Model is the vectors and how shoppers are folded in.
type Model struct {
	table   factor.Table
	meta    meta
	weigher *taste.Weigher
	gram    linalg.Matrix // Unobserved·YᵀY
}

type meta struct {
	Params Params `json:"params"`
	Items  int    `json:"items"`
	Dim    int    `json:"dim"`
}

// New is the model of vectors, row-major with dim numbers a row, by release
// row. Rows without a vector are zeros: they score 0. The vectors are kept.
func New(vectors []float32, dim int, p Params) (*Model, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	if dim < 1 || dim > 4096 || len(vectors) == 0 || len(vectors)%dim != 0 {
		return nil, fmt.Errorf("%w: %d numbers are no vectors of %d: expected 1 to 4096 numbers an item", models.ErrParams, len(vectors), dim)
	}
	for i, v := range vectors {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%w: item row %d has the number %v", models.ErrParams, i/dim, v)
		}
	}
	m := &Model{meta: meta{Params: p, Items: len(vectors) / dim, Dim: dim}}
	return m, m.finish(vectors)
}

func (m *Model) finish(vectors []float32) error {
	w, err := taste.New(m.meta.Params.Options, nil)
	if err != nil {
		return err
	}
	m.weigher = w
	m.table = factor.Table{Items: m.meta.Items, Dim: m.meta.Dim, Data: vectors}
	m.gram = linalg.NewMatrix(m.meta.Dim, m.meta.Dim)
	if u := float32(m.meta.Params.Unobserved); u > 0 {
		linalg.Syrk(u, m.table.Matrix(), 0, m.gram)
	}
	return nil
}

// Kind implements models.Model.
func (m *Model) Kind() string { return Name }

// Items implements models.Model.
func (m *Model) Items() int { return m.table.Items }

// Dim implements models.Embedder.
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

// Embed implements models.Embedder: the exact solution for the history. What
// the shopper disliked is left out.
func (m *Model) Embed(r *features.Request, dst []float32) bool {
	history := r.History()
	if len(history) == 0 {
		return false
	}
	scratch := r.Workspace()
	profile := m.weigher.Profile(history, m.table.Items, scratch)
	p, n, dim := &m.meta.Params, 0, m.table.Dim
	for i, w := range profile.Weights {
		if w > 0 {
			profile.Rows[n], profile.Weights[n] = profile.Rows[i], w*float32(p.Alpha)
			n++
		}
	}
	if n == 0 {
		return false
	}
	rows, weights := profile.Rows[:n], profile.Weights[:n]
	lambda := p.Regularisation
	if p.ByCount {
		lambda *= float64(n)
	}
	matrix := linalg.MatrixOf(dim, dim, scratch.Floats(dim*dim))
	matrix.CopyFrom(m.gram)
	matrix.AddDiagonal(float32(lambda))
	linalg.SyrkGather(m.table.Matrix(), rows, weights, matrix, scratch.Floats(2*n*dim))
	for i := range weights {
		weights[i] += float32(p.Unobserved)
	}
	clear(dst)
	linalg.AxpyGather(weights, m.table.Data, rows, dst)
	if linalg.Cholesky(matrix) != nil {
		return false
	}
	linalg.CholeskySolve(matrix, dst)
	return true
}

// Save implements models.Model.
func (m *Model) Save(w models.Writer) error {
	if err := w.Tensor("items", models.TensorOf(m.table.Data, m.table.Items, m.table.Dim)); err != nil {
		return err
	}
	return w.JSON("model", m.meta)
}

func open(r models.Reader) (models.Model, error) {
	m := &Model{}
	if err := r.JSON("model", &m.meta); err != nil {
		return nil, err
	}
	if err := m.meta.Params.check(); err != nil {
		return nil, err
	}
	t, err := r.Tensor("items")
	if err != nil {
		return nil, err
	}
	vectors, err := models.View[float32](t, m.meta.Items, m.meta.Dim)
	if err != nil {
		return nil, err
	}
	return m, m.finish(vectors)
}
