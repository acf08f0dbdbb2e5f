package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// neighbours is what lies beside an item: by the model's own lists, or by the
// vectors of the model where it has an index.
type neighbours struct {
	lists models.Neighbourhood
	embed models.Embedder
	fresh models.ItemEmbedder
	index models.Index
}

func newNeighbours(spec models.SourceSpec, env pipeline.Env) (*neighbours, error) {
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	n := &neighbours{}
	if lists, ok := m.(models.Neighbourhood); ok {
		n.lists = lists
		return n, nil
	}
	embed, ok := m.(models.Embedder)
	if !ok {
		return nil, fmt.Errorf("model %q of kind %s has neither neighbours nor vectors", spec.Model, m.Kind())
	}
	n.embed = embed
	n.fresh, _ = m.(models.ItemEmbedder)
	n.index, err = env.Index(spec.Model)
	return n, err
}

// of leaves at most k eligible neighbours of item, itself not among them, in
// b.near.
func (n *neighbours) of(ctx context.Context, r *features.Request, item features.Row, k int, b *buffers) error {
	b.near = b.near[:0]
	if n.lists != nil {
		b.near = n.lists.Neighbours(item, k, r.Eligible, b.near)
		return nil
	}
	dim := n.embed.Dim()
	vecs := n.embed.Vectors()
	var vec []float32
	switch {
	case item >= 0 && (int(item)+1)*dim <= len(vecs):
		vec = vecs[int(item)*dim:][:dim]
	case n.fresh != nil && r.Catalog != nil && r.Catalog.Item(item) != nil:
		if cap(b.vec) < dim {
			b.vec = make([]float32, dim)
		}
		vec = b.vec[:dim]
		if !n.fresh.EmbedItem(r.Catalog.Item(item), vec) {
			return nil
		}
	default:
		return nil
	}
	var err error
	b.hits, err = n.index.Search(ctx, vec, k+1, models.Where{Allow: r.Eligible}, b.hits[:0])
	for _, h := range b.hits {
		if h.Row != item && len(b.near) < k {
			b.near = append(b.near, models.Neighbour{Row: h.Row, Score: h.Score})
		}
	}
	return err
}

// beside reports whether item is among the k neighbours of anchor, and how
// close.
func (n *neighbours) beside(r *features.Request, anchor, item features.Row, k int, b *buffers) (float32, bool) {
	if n.of(context.Background(), r, anchor, k, b) != nil {
		return 0, false
	}
	for _, x := range b.near {
		if x.Row == item && x.Score > 0 {
			return x.Score, true
		}
	}
	return 0, false
}
