package mf

import (
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// ALS is a fitted "ials". It scores, embeds and explains; a request without
// history has no vector and NaN for scores. It is immutable and safe for
// concurrent use.
type ALS struct {
	meta
	weigher  *taste.Weigher
	table    factor.Table
	mark     *byte // whose solutions are this model's
	y        *system
	userGram linalg.Matrix // unobserved · Σ x·xᵀ over users: what folding in an item takes
	content  *content.Map  // from what is said of an item to its vector; nil: none
	manners  *manners      // from a language and channel to what is added to that; nil: nothing
	welcome  *welcome      // from a market to the vector of a shopper without history; nil: none
}

// meta is what a release keeps beside the tensors.
type meta struct {
	Params Params  `json:"params"`
	Scale  float32 `json:"scale"`
	Lambda float64 `json:"lambda"`
	Items  int     `json:"items"`
	Users  int     `json:"users"`
	Map    bool    `json:"map,omitempty"` // there is a map from contents to vectors
	// Markets have a vector each for shoppers without history, ascending.
	Markets []string `json:"markets,omitempty"`
	// Manners likewise, to be added, ascending.
	Manners []string `json:"manners,omitempty"`
}

// Kind implements models.Model.
func (m *ALS) Kind() string { return KindIALS }

// Items implements models.Model.
func (m *ALS) Items() int { return m.table.Items }

// Params are the parameters it was trained with, chosen values filled in.
func (m *ALS) Params() Params { return m.meta.Params }

// Dim implements models.Embedder.
func (m *ALS) Dim() int { return m.table.Dim }

// Vectors implements models.Embedder.
func (m *ALS) Vectors() []float32 { return m.table.Data }

// Score implements models.Scorer. A tail item is scored by what the request's
// catalogue says of it, where there is a map, which allocates.
func (m *ALS) Score(r *features.Request, items []features.Row, out []float32) {
	m.table.Score(m, r, items, out)
	if m.content != nil && r.Catalog != nil {
		m.tail(r, items, out)
	}
}

// ScoreMany implements models.BatchScorer.
func (m *ALS) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	m.table.ScoreMany(m, rs, items, out)
	for i, r := range rs {
		if m.content != nil && r.Catalog != nil {
			m.tail(r, items, out[i*len(items):][:len(items)])
		}
	}
}

// tail scores the items that are newer than the model.
func (m *ALS) tail(r *features.Request, items []features.Row, out []float32) {
	var vec, own []float32
	for i, row := range items {
		if int(row) < m.table.Items {
			continue
		}
		it := r.Catalog.Item(row)
		if it == nil {
			continue
		}
		if vec == nil {
			vec, own = make([]float32, m.table.Dim), make([]float32, m.table.Dim)
			plain := *r
			plain.Scratch = nil
			if !m.Embed(&plain, vec) {
				return
			}
		}
		if m.EmbedItem(it, own) {
			out[i] = linalg.Dot(vec, own)
		}
	}
}

// EmbedItem implements models.ItemEmbedder: false without a map, or when it
// knows no term of the item.
func (m *ALS) EmbedItem(it *features.Item, dst []float32) bool {
	return m.content != nil && m.content.EmbedItem(it, dst)
}

// Embed implements models.Embedder: the shopper's least squares solved exactly
// against the items' vectors, as a step of training would. Where r has a
// Scratch, what Attribute needs of the solution is kept there.
func (m *ALS) Embed(r *features.Request, dst []float32) bool {
	if len(r.History()) == 0 {
		return false
	}
	if r.Scratch == nil {
		scratch := new(features.Scratch)
		p := m.weigher.Profile(r.History(), m.table.Items, scratch)
		if p.Likes() <= 0 {
			return false
		}
		_, ok := m.fold(p, dst, scratch)
		return ok
	}
	kept, ok := m.solved(r, taste.Items(r))
	if ok {
		copy(dst, kept[:m.table.Dim])
	}
	return ok
}

// fold solves the vector of a profile into dst. It scales p's weights in place.
func (m *ALS) fold(p taste.Profile, dst []float32, scratch *features.Scratch) (solution, bool) {
	linalg.Scale(m.Scale, p.Weights)
	reg := regularisation(m.Lambda, magnitude(p.Weights), m.meta.Params.Unobserved*float64(m.table.Items), m.meta.Params.Exponent)
	out, err := m.y.solve(p.Rows, p.Weights, reg, dst, scratch)
	return out, err == nil
}

// FoldItem solves the vector of an item that is newer than the model from the
// vectors of shoppers who met it (as Embed gives them, row-major) and the
// weights of their interactions, into dst. It is ErrParams when the lengths
// disagree.
func (m *ALS) FoldItem(shoppers, weights, dst []float32) error {
	dim := m.table.Dim
	if len(shoppers) != len(weights)*dim || len(dst) != dim {
		return fmt.Errorf("%w: %d numbers for %d shoppers and %d for the item: expected vectors of %d", models.ErrParams, len(shoppers), len(weights), len(dst), dim)
	}
	scaled, magnitudes, likes, rows := make([]float32, len(weights)), make([]float32, len(weights)), make([]float32, len(weights)), make([]int32, len(weights))
	for i, w := range weights {
		scaled[i], rows[i] = w*m.Scale, int32(i)
		magnitudes[i], likes[i] = max(scaled[i], -scaled[i]), max(scaled[i], 0)
	}
	matrix := m.userGram.Clone()
	matrix.AddDiagonal(regularisation(m.Lambda, magnitude(scaled), m.meta.Params.Unobserved*float64(m.Users), m.meta.Params.Exponent))
	linalg.SyrkGather(linalg.MatrixOf(len(weights), dim, shoppers), rows, magnitudes, matrix, nil)
	if err := linalg.Cholesky(matrix); err != nil {
		return fmt.Errorf("fold in an item: %w", err)
	}
	clear(dst)
	linalg.AxpyRows(likes, shoppers, dst)
	linalg.CholeskySolve(matrix, dst)
	return nil
}

// Explain implements models.Explainer (Hu, Koren, Volinsky 2008, §5); see
// Attribute.
func (m *ALS) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	return m.weigher.Attributed(m, r, item)
}

// Save implements models.Model.
func (m *ALS) Save(w models.Writer) error {
	dim := m.table.Dim
	if err := w.Tensor("items", models.TensorOf(m.table.Data, m.table.Items, dim)); err != nil {
		return err
	}
	if err := w.Tensor("spectrum", models.TensorOf(m.y.spectrum, dim)); err != nil {
		return err
	}
	if m.content != nil {
		if err := m.content.Save(w); err != nil {
			return err
		}
	}
	if m.welcome != nil {
		if err := w.Tensor("markets", models.TensorOf(m.welcome.vectors.Data, len(m.Markets), dim)); err != nil {
			return err
		}
	}
	if m.manners != nil {
		if err := w.Tensor("manners", models.TensorOf(m.manners.vectors.Data, len(m.Manners)+1, dim)); err != nil {
			return err
		}
	}
	if err := w.Tensor("user_gram", models.TensorOf(m.userGram.Data, dim, dim)); err != nil {
		return err
	}
	return w.JSON("model", m.meta)
}

func openIALS(r models.Reader) (models.Model, error) {
	m := &ALS{mark: new(byte)}
	if err := r.JSON("model", &m.meta); err != nil {
		return nil, err
	}
	if err := m.meta.Params.check(); err != nil {
		return nil, err
	}
	weigher, err := taste.New(m.meta.Params.Options, nil)
	if err != nil {
		return nil, err
	}
	m.weigher = weigher
	dim := m.meta.Params.Factors
	m.table = factor.Table{Items: m.meta.Items, Dim: dim}
	var spectrum, userGram []float32
	for _, part := range []struct {
		name  string
		shape []int
		to    *[]float32
	}{
		{"items", []int{m.meta.Items, dim}, &m.table.Data},
		{"spectrum", []int{dim}, &spectrum},
		{"user_gram", []int{dim, dim}, &userGram},
	} {
		t, err := r.Tensor(part.name)
		if err != nil {
			return nil, err
		}
		if *part.to, err = models.View[float32](t, part.shape...); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", part.name, err)
		}
	}
	if m.Map {
		if m.content, err = content.OpenMap(r, dim); err != nil {
			return nil, err
		}
	}
	if len(m.Markets) > 0 {
		if m.welcome, err = openWelcome(r, m.Markets, dim); err != nil {
			return nil, err
		}
	}
	if len(m.Manners) > 0 {
		if m.manners, err = openManners(r, m.Manners, dim); err != nil {
			return nil, err
		}
	}
	m.y, m.userGram = systemOf(m.table.Matrix(), spectrum), linalg.MatrixOf(dim, dim, userGram)
	return m, nil
}
