package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/pipeline"
)

// neighbours is what lies beside an item: by the model's vectors where there
// is an index over them, which knows items newer than the model too, and by
// the model's own lists otherwise.
type neighbours struct {
	lists models.Neighbourhood // nil: by vectors
	embed models.Embedder
	fresh models.ItemEmbedder
	index models.Index
	kept  *kept // nil: nothing is
}

func newNeighbours(spec models.SourceSpec, env pipeline.Env) (*neighbours, error) {
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	lists, listed := m.(models.Neighbourhood)
	embed, embeds := m.(models.Embedder)
	if !listed && !embeds {
		return nil, fmt.Errorf("model %q of kind %s has neither neighbours nor vectors", spec.Model, m.Kind())
	}
	index, err := env.Index(spec.Model)
	if embeds && err == nil {
		fresh, _ := m.(models.ItemEmbedder)
		return &neighbours{embed: embed, fresh: fresh, index: index, kept: newKept(index)}, nil
	}
	if !listed {
		return nil, err
	}
	return &neighbours{lists: lists}, nil
}

// remote reports whether the neighbours are waited for aside.
func (n *neighbours) remote() bool { return n.lists == nil && remote(n.index) }

// of leaves at most k eligible neighbours of item, itself not among them, in
// b.near.
func (n *neighbours) of(ctx context.Context, r *features.Request, item features.Row, k int, b *buffers) error {
	b.near = b.near[:0]
	if n.lists != nil {
		b.near = n.lists.Neighbours(item, k, r.Eligible, b.near)
		return nil
	}
	vec := n.vector(r, item, &b.vec)
	if vec == nil {
		return nil
	}
	if n.kept != nil && n.trained(item) {
		found, err := n.kept.of(ctx, vec, item, k, r.Eligible, b)
		if found || err != nil {
			return err
		}
	}
	var err error
	b.hits, err = n.index.Search(ctx, vec, k+1, models.Where{Allow: r.Eligible, Attr: r.Words}, b.hits[:0])
	for _, h := range b.hits {
		if h.Row != item && h.Score > 0 && len(b.near) < k {
			b.near = append(b.near, models.Neighbour(h))
		}
	}
	return err
}

// around appends the eligible items that lie closest to items, as many as most:
// each of items brings its first k neighbours and weighs decay times the one
// before it. What was found comes beside an error that is degraded, or says that
// the time is up.
func (n *neighbours) around(ctx context.Context, r *features.Request, items []features.Row, k int, decay float32, b *buffers, most int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	b.reach(r.Eligible.Len())
	weight := float32(1)
	var partly error
	for _, item := range items {
		if ctx.Err() != nil {
			break
		}
		err := n.of(ctx, r, item, k, b)
		if err != nil && !degraded(err) {
			return dst, fmt.Errorf("neighbours: %w", err)
		}
		if err != nil {
			partly = err
		}
		for _, x := range b.near {
			if x.Score > 0 {
				b.add(x.Row, weight*x.Score)
			}
		}
		weight *= decay
	}
	if err := ctx.Err(); err != nil {
		partly = err
	}
	return b.give(most, dst), partly
}

// trained reports whether the model has a vector of the item.
func (n *neighbours) trained(item features.Row) bool {
	return item >= 0 && (int(item)+1)*n.embed.Dim() <= len(n.embed.Vectors())
}

// vector is the item's own, made in memory from what the catalogue says when
// the item is newer than the model; nil when it has none.
func (n *neighbours) vector(r *features.Request, item features.Row, memory *[]float32) []float32 {
	dim := n.embed.Dim()
	if n.trained(item) {
		return n.embed.Vectors()[int(item)*dim:][:dim]
	}
	if n.fresh == nil || r.Catalog == nil {
		return nil
	}
	it := r.Catalog.Item(item)
	if it == nil {
		return nil
	}
	if cap(*memory) < dim {
		*memory = make([]float32, dim)
	}
	vec := (*memory)[:dim]
	if !n.fresh.EmbedItem(it, vec) {
		return nil
	}
	return vec
}

// beside says how close item lies to anchor: among its first k neighbours, or,
// by vectors, whatever lies between them. False where it does not lie close.
func (n *neighbours) beside(r *features.Request, anchor, item features.Row, k int, b *buffers) (float32, bool) {
	if n.lists == nil {
		x, y := n.vector(r, anchor, &b.vec), n.vector(r, item, &b.score)
		if x == nil || y == nil {
			return 0, false
		}
		score := linalg.Dot(x, y)
		return score, score > 0
	}
	b.near = n.lists.Neighbours(anchor, k, r.Eligible, b.near[:0])
	for _, x := range b.near {
		if x.Row == item && x.Score > 0 {
			return x.Score, true
		}
	}
	return 0, false
}
