package expr

import (
	"sync"

	"cel.dev/cel-go/common/types/ref"

	"github.com/attune-rec/attune/features"
)

// column is a part's value for each row of a snapshot: two bitmaps of a yes or
// no, numbers and where they are known of the rest. It is immutable once made.
type column struct {
	once    sync.Once
	yes, no *features.Bitmap
	nums    []float64
	have    *features.Bitmap
}

func (c *column) at(row int) val {
	r := features.Row(row)
	if c.nums == nil {
		if c.yes.Has(r) {
			return val{1, true}
		}
		return val{0, c.no.Has(r)}
	}
	if !c.have.Has(r) {
		return val{}
	}
	return val{c.nums[row], true}
}

func (c *column) set(row int, v val) {
	r := features.Row(row)
	switch {
	case !v.ok:
	case c.nums != nil:
		c.nums[row] = v.f
		c.have.Set(r)
	case v.f != 0:
		c.yes.Set(r)
	default:
		c.no.Set(r)
	}
}

type columnKey struct {
	leaf   int
	market string
}

// snapshot is the columns made of one catalogue.
type snapshot struct {
	cat     features.Catalog
	columns map[columnKey]*column
}

// The columns kept: of the newest catalogues asked about, and of so many
// markets each.
const (
	keptSnapshots = 3
	keptColumns   = 256
)

// column is the leaf's column for the catalogue and market, made when it is
// first asked for. Rows whose item did not change since the snapshot before
// are taken from its column.
func (p *Program) column(cat features.Catalog, leaf int, market string) *column {
	if p.items[leaf].scope&onMarket == 0 {
		market = ""
	}
	key := columnKey{leaf, market}
	p.mu.Lock()
	var here *snapshot
	for _, s := range p.snapshots {
		if s.cat == cat {
			here = s
		}
	}
	if here == nil {
		here = &snapshot{cat: cat, columns: map[columnKey]*column{}}
		p.snapshots = append([]*snapshot{here}, p.snapshots[:min(len(p.snapshots), keptSnapshots-1)]...)
	}
	c := here.columns[key]
	var old *column
	var before features.Catalog
	if c == nil {
		if len(here.columns) >= keptColumns {
			clear(here.columns)
		}
		c = new(column)
		here.columns[key] = c
		for _, s := range p.snapshots {
			if s != here && s.columns[key] != nil {
				old, before = s.columns[key], s.cat
				break
			}
		}
	}
	p.mu.Unlock()
	c.once.Do(func() {
		if old != nil {
			old.once.Do(func() { p.fill(old, before, leaf, market, nil, nil) })
		}
		p.fill(c, cat, leaf, market, old, before)
	})
	return c
}

func (p *Program) fill(c *column, cat features.Catalog, leaf int, market string, old *column, before features.Catalog) {
	n := cat.Len()
	if p.items[leaf].yes {
		c.yes, c.no = features.NewBitmap(n), features.NewBitmap(n)
	} else {
		c.nums, c.have = make([]float64, n), features.NewBitmap(n)
	}
	act := &itemVars{engine: p.engine, market: market}
	for row := range n {
		it := cat.Item(features.Row(row))
		if it == nil {
			continue
		}
		if old != nil && row < before.Len() && before.Item(features.Row(row)) == it {
			c.set(row, old.at(row))
			continue
		}
		act.item = it
		c.set(row, eval(p.items[leaf].prog, act))
	}
}

// itemVars binds the fields of an item.
type itemVars struct {
	engine *Engine
	item   *features.Item
	market string
}

func (a *itemVars) Parent() activation { return nil }

func (a *itemVars) ResolveName(name string) (any, bool) {
	i, ok := a.engine.index[name]
	if !ok || a.engine.fields[i].item == nil {
		return nil, false
	}
	return bound(a.engine.fields[i].item(a.item, a.market))
}

func bound(v ref.Val) (any, bool) { return v, v != nil }
