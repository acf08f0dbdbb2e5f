package recommend

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
)

// SurfaceSimilar is the surface whose recipe lists the neighbours of an item.
// A release without one answers with the recipe of the item page.
const SurfaceSimilar = "similar"

// Similar fills ans with the items most like q.Item, whoever asks: it looks at
// no shopper, and nothing is recorded. It fails with ErrItem for an item the
// shop does not have, and as Recommend does.
func (rec *Recommender) Similar(ctx context.Context, q *Query, ans *Answer) error {
	rel, err := rec.o.Releases.Acquire(ctx, q.Shop, features.UserKey{})
	if err != nil {
		return err
	}
	defer rel.Done()
	surface := SurfaceSimilar
	p := rel.Pipeline(surface)
	if p == nil {
		surface = features.SurfaceItem
		if p = rel.Pipeline(surface); p == nil {
			return &SurfaceError{Surface: surface, Known: rel.Surfaces()}
		}
	}
	items := rel.Catalog()
	if row, ok := items.Row(q.Item); !ok || items.Item(row) == nil {
		return fmt.Errorf("%w: %q", ErrItem, q.Item)
	}
	w := rec.pool.Get().(*work)
	defer rec.pool.Put(w)
	if err := rec.request(w, q, surface, rel, items, nil); err != nil {
		return err
	}
	if err := p.Answer(ctx, &w.req, &ans.raw); err != nil {
		return err
	}
	ans.ID, ans.Release, ans.Seen = "", rel.Version(), nil
	ans.Degraded = append(ans.Degraded[:0], ans.raw.Degraded...)
	rec.word(ans, q, items)
	w.req = features.Request{}
	return nil
}
