package source

import (
	"context"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// kept remembers what lies beside the items that were asked about lately, as an
// index over their vectors finds it, whoever may be shown what: a page of an
// item that many look at needs no search. What is eligible is left of it for
// each request anew. It is safe for concurrent use.
type kept struct {
	index changing
	lists [keptLists]atomic.Pointer[nearest]
}

// keptLists bounds the memory of a table: 8 bytes a neighbour, and twice as many
// neighbours of each item as are asked for.
const keptLists = 4096

// changing is an index in memory that says when what it finds may differ.
type changing interface {
	models.Index
	Changes() uint64
}

// nearest is the neighbours of an item as they were at a count of changes. It is
// immutable.
type nearest struct {
	item    features.Row
	changes uint64
	asked   int // how many were searched for: there are no more where fewer came
	near    []models.Neighbour
}

// newKept is nil for an index that does not say when it changes, or that is
// asked over the network, which has its own degradations.
func newKept(index models.Index) *kept {
	x, ok := index.(changing)
	if !ok || remote(index) {
		return nil
	}
	return &kept{index: x}
}

// of leaves the k nearest eligible neighbours of item, whose vector is vec, in
// b.near; eligible nil is all. It reports false, and leaves nothing, when too few
// of those it knows are eligible: a search among the eligible finds more.
func (t *kept) of(ctx context.Context, vec []float32, item features.Row, k int, eligible *features.Bitmap, b *buffers) (bool, error) {
	slot := &t.lists[int(item)%keptLists]
	changes := t.index.Changes() // before the search, so that a change meanwhile counts
	l := slot.Load()
	if l == nil || l.item != item || l.changes != changes || l.asked < k {
		hits, err := t.index.Search(ctx, vec, 2*k+1, models.Where{}, b.hits[:0])
		if b.hits = hits; err != nil {
			return false, err
		}
		l = &nearest{item: item, changes: changes, asked: 2 * k, near: make([]models.Neighbour, 0, len(hits))}
		for _, h := range hits {
			if h.Row != item && h.Score > 0 && len(l.near) < l.asked {
				l.near = append(l.near, models.Neighbour(h))
			}
		}
		slot.Store(l)
	}
	for _, x := range l.near {
		if len(b.near) == k {
			break
		}
		if eligible == nil || eligible.Has(x.Row) {
			b.near = append(b.near, x)
		}
	}
	if len(b.near) == k || len(l.near) < l.asked {
		return true, nil
	}
	b.near = b.near[:0]
	return false, nil
}
