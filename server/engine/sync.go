package engine

import (
	"context"
	"fmt"
	"time"

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
	var read []changed
	job := pace.Of(ctx)
	from := e.next
	if from == first { // what is old to others is looked up, not read
		from = es.start(shop, e, job)
	}
	next, err := es.o.Changes.Changes(ctx, shop, from, func(c store.Change) error {
		job.Step()
		read = append(read, kept(&c))
		if e.news(c.Item.ID, c.Item.Updated, c.Deleted) {
			item := c.Item
			changes = append(changes, catalog.Change{Item: &item, Deleted: c.Deleted})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read catalogue changes: %w", err)
	}
	es.read(shop, read, from, next)
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

// first is the number of a shop's first change.
const first = 1

// start is the first change that may be news to a new engine.
func (es *Engines) start(shop features.ShopID, e *Engine, job *pace.Job) int64 {
	es.mu.Lock()
	l := es.ledgers[shop]
	es.mu.Unlock()
	if l == nil {
		return first
	}
	return l.start(e, job)
}

// read keeps what was read of the shop's changes from a number on.
func (es *Engines) read(shop features.ShopID, read []changed, from, next int64) {
	es.mu.Lock()
	defer es.mu.Unlock()
	l := ledger{next: first}
	if old := es.ledgers[shop]; old != nil {
		l = *old // whoever reads it is not disturbed
	}
	l.add(read, from, next)
	es.ledgers[shop] = &l
}

// news tells what changed since the release was made from what it was made of.
func (e *Engine) news(id string, updated time.Time, deleted bool) bool {
	items := e.items.Load()
	row, ok := items.Row(id)
	if !ok {
		return !deleted
	}
	old := items.Item(row)
	if deleted || old == nil {
		return deleted != (old == nil)
	}
	return !old.Updated.Equal(updated) || old.Updated.IsZero()
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
