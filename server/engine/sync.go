package engine

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/features/store"
)

// Changed takes what changed in a shop's catalogue into every engine of the
// shop. The next answer reflects it.
func (es *Engines) Changed(ctx context.Context, shop features.ShopID) {
	es.mu.Lock()
	var mine []*Engine
	for e, s := range es.all {
		if s == shop {
			mine = append(mine, e)
		}
	}
	es.mu.Unlock()
	for _, e := range mine {
		if err := es.sync(ctx, shop, e); err != nil {
			es.o.Logger.ErrorContext(ctx, "catalogue could not be brought up to date; the next change tries again",
				"shop", shop, "release", e.version, "error", err)
		}
	}
}

// sync reads the changes that e has not seen.
func (es *Engines) sync(ctx context.Context, shop features.ShopID, e *Engine) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var changes []catalog.Change
	job := pace.Of(ctx)
	next, err := es.o.Changes.Changes(ctx, shop, e.next, func(c store.Change) error {
		job.Step()
		if e.news(&c) {
			item := c.Item
			changes = append(changes, catalog.Change{Item: &item, Deleted: c.Deleted})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read catalogue changes: %w", err)
	}
	if len(changes) == 0 {
		e.next = next
		return nil
	}
	items := e.items.Load().Apply(changes)
	for i := range changes {
		if err := e.index(items, &changes[i]); err != nil {
			return err
		}
	}
	es.warm(ctx, shop, items)
	e.next = next
	e.items.Store(items)
	return nil
}

// warm tells of a catalogue that is about to be served.
func (es *Engines) warm(ctx context.Context, shop features.ShopID, items features.Catalog) {
	if es.o.Warm != nil {
		es.o.Warm(ctx, shop, items)
	}
}

// news tells what changed since the release was made from what it was made of.
func (e *Engine) news(c *store.Change) bool {
	items := e.items.Load()
	row, ok := items.Row(c.Item.ID)
	if !ok {
		return !c.Deleted
	}
	old := items.Item(row)
	if c.Deleted || old == nil {
		return c.Deleted != (old == nil)
	}
	return !old.Updated.Equal(c.Item.Updated) || old.Updated.IsZero()
}

// index makes a new item findable or not. Items of the release keep the vectors
// they were trained with; the eligible set keeps deleted ones out.
func (e *Engine) index(items *catalog.Snapshot, c *catalog.Change) error {
	row, ok := items.Row(c.Item.ID)
	if !ok || int(row) < len(e.base) {
		return nil
	}
	for i := range e.tails {
		t := &e.tails[i]
		if t.embed == nil {
			continue
		}
		vec := make([]float32, t.dim)
		if c.Deleted || !t.embed.EmbedItem(c.Item, vec) {
			t.index.Delete(row)
			continue
		}
		if err := t.index.Upsert(row, vec); err != nil {
			return fmt.Errorf("model %q: item %q: %w", t.name, c.Item.ID, err)
		}
	}
	return nil
}
