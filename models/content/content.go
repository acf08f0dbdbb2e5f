// Package content recommends by what items are: their words, category, brand,
// attributes and price. An item's vector is its TF-IDF or BM25 vector in the space
// of latent semantic analysis (Deerwester et al. 1990), beside it, where there is
// one, a vector that was made elsewhere; a shopper's is the weighted sum of the
// vectors of the items met. A new item has a vector at once.
//
// It imports models and what lies below. Start reading at Fit.
package content

import (
	"context"
	"fmt"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindName is the kind's name.
const KindName = "content"

// rounds of subspace iteration settle the space of terms.
const rounds = 4

// Params are the kind's parameters.
type Params struct {
	taste.Options
	Factors   int    `json:"factors"`   // numbers of a vector
	MinDocs   int    `json:"min_docs"`  // a term must be in so many items
	MaxTerms  int    `json:"max_terms"` // terms at most, the commonest
	Weighting string `json:"weighting"` // of an item's terms: TFIDF or BM25

	Embeddings Embeddings `json:"embeddings"`
}

// The weightings of terms.
const (
	TFIDF = "tfidf"
	BM25  = "bm25" // what is said often counts less, and each word of a long text
)

// Defaults are the parameters that are used where none are given.
func Defaults() Params {
	return Params{Options: taste.Options{Recency: 20}, Factors: 128, MinDocs: 2, MaxTerms: 50_000, Weighting: TFIDF, Embeddings: Embeddings{Weight: .5}}
}

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: KindName, Summary: "what items are: words, category, brand, attributes, price; new items at once", Defaults: Defaults(),
		Fit: Fit, Open: Open,
		Space: []models.Range{
			{Param: "factors", Values: []any{64, 128, 256}}, {Param: "weighting", Values: []any{TFIDF, BM25}},
			{Param: "recency", Values: []any{0., 5., 10., 20., 50.}},
		},
	}
}

func (p Params) validate() error {
	if err := models.CheckRange("factors", float64(p.Factors), 1, 4096); err != nil {
		return err
	}
	if err := models.CheckRange("min_docs", float64(p.MinDocs), 1, 1e9); err != nil {
		return err
	}
	if err := models.CheckRange("max_terms", float64(p.MaxTerms), 1, 1e7); err != nil {
		return err
	}
	if p.Weighting != TFIDF && p.Weighting != BM25 {
		return fmt.Errorf("%w: weighting is %q: expected %s or %s", models.ErrParams, p.Weighting, TFIDF, BM25)
	}
	return p.Embeddings.check()
}

// Model is the items' vectors and what makes one of an item's terms. It
// implements models.Model, Embedder, ItemEmbedder, BatchScorer, Explainer and
// Neighbourhood.
type Model struct {
	*Space
	weigher *taste.Weigher
	vectors linalg.Matrix // items x (factors and embeddings), of length 1, or 0 where nothing is known

	searching sync.Pool // of *search
}

// search is the memory of one look for neighbours.
type search struct {
	scores []float32
	top    linalg.TopK
	best   []linalg.Scored
}

var (
	_ models.Model         = (*Model)(nil)
	_ models.Embedder      = (*Model)(nil)
	_ models.ItemEmbedder  = (*Model)(nil)
	_ models.Explainer     = (*Model)(nil)
	_ models.Neighbourhood = (*Model)(nil)
	_ models.Attributor    = (*Model)(nil)
)

// Fit learns the terms and their space from in.Train.Catalog; without one it
// is ErrParams.
func Fit(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := Defaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	weigher, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	if in.Train.Catalog == nil {
		return nil, fmt.Errorf("%w: content needs the items' catalogue, which this data set does not have", models.ErrParams)
	}
	space, vectors, err := FitSpace(ctx, in.Train.Catalog, in.Train.NumItems(), SpaceOptions{
		Factors: p.Factors, MinDocs: p.MinDocs, MaxTerms: p.MaxTerms, BM25: p.Weighting == BM25, Seed: in.Seed, Workers: in.Workers,
	})
	if err != nil {
		return nil, err
	}
	if p.Embeddings.File != "" {
		others, err := p.Embeddings.read(in.Train.Items)
		if err != nil {
			return nil, err
		}
		vectors = join(vectors, others, p.Embeddings.Weight)
	}
	return &Model{weigher: weigher, Space: space, vectors: vectors}, nil
}

// Kind implements models.Model.
func (m *Model) Kind() string { return KindName }

// Items implements models.Model.
func (m *Model) Items() int { return m.vectors.Rows }

// Dim implements models.Embedder.
func (m *Model) Dim() int { return m.vectors.Cols }

// Vectors implements models.Embedder.
func (m *Model) Vectors() []float32 { return m.vectors.Data }

// EmbedItem implements models.ItemEmbedder by the item's terms; false when none
// is known.
func (m *Model) EmbedItem(it *features.Item, dst []float32) bool {
	clear(dst)
	return m.Space.EmbedItem(it, dst[:m.project.Cols])
}

// Embed implements models.Embedder.
func (m *Model) Embed(r *features.Request, dst []float32) bool {
	scratch := r.Workspace()
	p := m.weigher.Profile(r.History(), m.Items(), scratch)
	clear(dst)
	known := len(p.Rows) > 0
	if known {
		linalg.AxpyGather(p.Weights, m.vectors.Data, p.Rows, dst)
	}
	return m.embedTail(r, dst, scratch) || known
}

// embedTail adds the items of the history that are newer than the model, by
// what the catalogue says of them; false when there are none. It allocates for
// each.
func (m *Model) embedTail(r *features.Request, dst []float32, scratch *features.Scratch) bool {
	found := false
	history := r.History()
	for i := range history {
		if int(history[i].Row) < m.Items() || r.Catalog == nil {
			continue
		}
		it, w := r.Catalog.Item(history[i].Row), m.weigher.Of(&history[i])
		if it == nil || w == 0 {
			continue
		}
		own := scratch.Floats(m.Dim())
		if m.EmbedItem(it, own) {
			linalg.Axpy(w, own, dst)
			found = true
		}
	}
	return found
}

// embed is Embed, once a request.
func (m *Model) embed(r *features.Request) ([]float32, bool) {
	if r.Scratch == nil {
		vec := make([]float32, m.Dim())
		return vec, m.Embed(r, vec)
	}
	return r.Scratch.Vector(m, m.Dim(), func(dst []float32) bool { return m.Embed(r, dst) })
}

// Score implements models.Scorer: the inner product of the shopper's and the
// item's vectors. A tail item is scored by what the request's catalogue says of
// it, which allocates; without a history, or a catalogue, the score is NaN.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	vec, ok := m.embed(r)
	if !ok {
		for i := range out {
			out[i] = nan
		}
		return
	}
	scratch := r.Workspace()
	rows, tail := scratch.Ints(len(items)), false
	for i, row := range items {
		if row >= 0 && int(row) < m.Items() {
			rows[i] = int32(row)
		} else {
			tail = true
		}
	}
	if m.Items() > 0 {
		linalg.DotGather(vec, m.vectors.Data, rows, out)
	}
	for i := 0; tail && i < len(items); i++ {
		if row := items[i]; row < 0 || int(row) >= m.Items() {
			out[i] = m.scoreTail(r, vec, row)
		}
	}
}

func (m *Model) scoreTail(r *features.Request, vec []float32, row features.Row) float32 {
	if r.Catalog == nil {
		return nan
	}
	it := r.Catalog.Item(row)
	if it == nil {
		return nan
	}
	own := make([]float32, m.Dim())
	if !m.EmbedItem(it, own) {
		return nan
	}
	return linalg.Dot(vec, own)
}

// Explain implements models.Explainer.
func (m *Model) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	return m.weigher.Attributed(m, r, item)
}

// Attribute implements models.Attributor: the score is a sum over the history.
func (m *Model) Attribute(r *features.Request, item features.Row, rows []features.Row, scale float32, out []float32) bool {
	return item >= 0 && int(item) < m.Items() && m.attribute(r, m.vectors.Row(int(item)), rows, scale, out)
}

// AttributeSum implements models.Attributor.
func (m *Model) AttributeSum(r *features.Request, items []features.Row, weights []float32, rows []features.Row, out []float32) bool {
	if r.Scratch == nil {
		return false
	}
	sum := r.Scratch.Floats(m.Dim())
	known, own := factor.Known(items, weights, m.Items(), r.Scratch)
	linalg.AxpyGather(own, m.vectors.Data, known, sum)
	return m.attribute(r, sum, rows, 1, out)
}

// AttributeMoments implements models.Attributor.
func (m *Model) AttributeMoments(r *features.Request, moments models.Moments, rows []features.Row, mean, deviation []float32) bool {
	return m.attribute(r, moments.Centre, rows, 1, mean) && m.attribute(r, moments.Lean, rows, 1, deviation)
}

// attribute is Attribute for an item of the given vector.
func (m *Model) attribute(r *features.Request, vec []float32, rows []features.Row, scale float32, out []float32) bool {
	if len(vec) != m.Dim() || r.Scratch == nil {
		return false
	}
	weights := m.weigher.Weights(r, m.Items(), rows)
	at, dots := r.Scratch.Ints(len(rows)), r.Scratch.Floats(len(rows))
	n := 0
	for i, w := range weights {
		if w != 0 {
			at[n] = int32(rows[i])
			n++
		}
	}
	linalg.DotGather(vec, m.vectors.Data, at[:n], dots[:n])
	n = 0
	for i, w := range weights {
		if w != 0 {
			out[i] += scale * w * dots[n]
			n++
		}
	}
	return true
}

// Neighbours implements models.Neighbourhood by the cosine of the items'
// vectors.
func (m *Model) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	if item < 0 || int(item) >= m.Items() || k <= 0 {
		return dst
	}
	b, _ := m.searching.Get().(*search)
	if b == nil {
		b = &search{scores: make([]float32, m.Items())}
	}
	defer m.searching.Put(b)
	linalg.DotRows(m.vectors.Row(int(item)), m.vectors.Data, b.scores)
	b.top.Reset(k)
	for row, s := range b.scores {
		if r := features.Row(row); s > 0 && r != item && (allow == nil || allow.Has(r)) { // #nosec G115 -- rows are int32
			b.top.Push(int32(row), s) // #nosec G115
		}
	}
	b.best = b.top.Sorted(b.best[:0])
	for _, s := range b.best {
		dst = append(dst, models.Neighbour{Row: features.Row(s.Index), Score: s.Score})
	}
	return dst
}
