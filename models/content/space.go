package content

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/text"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/linalg/spectral"
)

// Space is the terms of a catalogue and the latent space that they span. It is
// immutable and safe for concurrent use.
type Space struct {
	words   *text.Vectoriser
	project linalg.Matrix // terms x factors
}

// SpaceOptions bound a space.
type SpaceOptions struct {
	Factors  int  // numbers of a vector at most
	MinDocs  int  // a term must be in so many items
	MaxTerms int  // terms at most, the commonest
	BM25     bool // weighs terms; else TF-IDF does
	Seed     uint64
	Workers  int
}

// FitSpace learns the space of the first n items of a catalogue, and gives
// their vectors in it, of length 1, or 0 where nothing is known. A catalogue
// without terms is ErrParams.
func FitSpace(ctx context.Context, catalog features.Catalog, n int, o SpaceOptions) (*Space, linalg.Matrix, error) {
	none := linalg.Matrix{}
	docs := make([][]string, n)
	for row := range docs {
		if it := catalog.Item(features.Row(row)); it != nil { // #nosec G115 -- rows are int32 by contract
			docs[row] = Terms(it, nil)
		}
	}
	weigh := text.Fit
	if o.BM25 {
		weigh = text.FitBM25
	}
	s := &Space{words: weigh(docs, o.MinDocs, o.MaxTerms)}
	counts := linalg.CSR{Rows: n, Cols: len(s.words.Terms()), Ptr: make([]int64, 1, n+1), Val: []float32{}}
	for _, doc := range docs {
		ids, values := s.words.Vector(doc)
		counts.Idx, counts.Val = append(counts.Idx, ids...), append(counts.Val, values...)
		counts.Ptr = append(counts.Ptr, int64(len(counts.Idx)))
	}
	if err := ctx.Err(); err != nil {
		return nil, none, err
	}
	if counts.Cols == 0 {
		return nil, none, fmt.Errorf("%w: content finds no term that is in %d items or more: lower min_docs, or give items titles", models.ErrParams, o.MinDocs)
	}
	_, basis, err := spectral.Truncate(ctx, counts, min(o.Factors, n, counts.Cols), rounds, o.Seed, o.Workers)
	if err != nil {
		return nil, none, err
	}
	s.project = linalg.NewMatrix(basis.Cols, basis.Rows)
	for factor := range basis.Rows {
		for term, v := range basis.Row(factor) {
			s.project.Set(term, factor, v)
		}
	}
	vectors := linalg.NewMatrix(n, s.project.Cols)
	counts.MulDense(s.project, vectors, max(o.Workers, 1))
	for row := range n {
		linalg.Normalise(vectors.Row(row))
	}
	return s, vectors, nil
}

// EmbedItem implements models.ItemEmbedder; false when no term is known.
func (s *Space) EmbedItem(it *features.Item, dst []float32) bool {
	ids, values := s.words.Vector(Terms(it, nil))
	clear(dst)
	linalg.AxpyGather(values, s.project.Data, ids, dst)
	return linalg.Normalise(dst) > 0
}
