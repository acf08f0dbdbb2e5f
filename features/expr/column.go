package expr

import (
	"sync"
	"sync/atomic"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
)

// column is a part's value for each row of a snapshot: two bitmaps of a yes or
// no, numbers and where they are known, or codes of texts. It is immutable once
// made.
type column struct {
	once    sync.Once
	made    atomic.Bool
	yes, no *features.Bitmap
	nums    []float64
	have    *features.Bitmap
	codes   []int32          // of the text in each row; -1: not known
	names   []string         // by code
	code    map[string]int32 // by name
}

// textLeaf is the number by which columns know text i.
func textLeaf(i int) int { return -1 - i }

// leaf is what a column is made by.
func (p *Program) leaf(i int) *leaf {
	if i < 0 {
		return &p.texts[-1-i]
	}
	return &p.items[i]
}

// name sets the text of a row.
func (c *column) name(row int, text string) {
	code, ok := c.code[text]
	if !ok {
		code = int32(len(c.names)) // #nosec G115 -- at most one a row
		c.code[text] = code
		c.names = append(c.names, text)
	}
	c.codes[row] = code
}

// find is the codes of what prog lists for a request, in the memory of room.
func (c *column) find(prog cel.Program, r *requestVars, room []int32) (l list) {
	l.codes = room
	out, _, err := prog.Eval(r)
	if err != nil {
		return l
	}
	all, ok := out.(traits.Iterable)
	if !ok {
		return l
	}
	l.known = true
	for it := all.Iterator(); it.HasNext() == types.True; {
		if text, ok := it.Next().Value().(string); ok {
			if code, ok := c.code[text]; ok {
				l.codes = append(l.codes, code)
			}
		}
	}
	return l
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

// The columns kept: of the catalogues asked about last, and of so many markets
// each.
const (
	keptSnapshots = 3
	keptColumns   = 256
)

// column is the leaf's column for the catalogue and market, made when it is
// first asked for. Rows whose item did not change since the snapshot before
// are taken from its column.
func (p *Program) column(cat features.Catalog, leaf int, market string, job *pace.Job) *column {
	if p.leaf(leaf).scope&onMarket == 0 {
		market = ""
	}
	key := columnKey{leaf, market}
	p.mu.Lock()
	here := p.snapshot(cat)
	c := here.columns[key]
	var old *column
	var before features.Catalog
	if c == nil {
		if len(here.columns) >= keptColumns {
			clear(here.columns)
		}
		c = new(column)
		here.columns[key] = c
		for _, s := range p.snapshots { // one that is being made, with rests, is not waited for
			if made := s.columns[key]; s != here && made != nil && made.made.Load() {
				old, before = made, s.cat
				break
			}
		}
	}
	p.mu.Unlock()
	c.once.Do(func() {
		p.fill(c, cat, leaf, market, old, before, job)
		c.made.Store(true)
	})
	return c
}

// snapshot is what is kept of a catalogue. The one asked about longest ago gives
// way to a new one: what is served stays, whatever is being loaded. The caller
// holds p.mu.
func (p *Program) snapshot(cat features.Catalog) *snapshot {
	for i, s := range p.snapshots {
		if s.cat == cat {
			copy(p.snapshots[1:i+1], p.snapshots[:i])
			p.snapshots[0] = s
			return s
		}
	}
	here := &snapshot{cat: cat, columns: map[columnKey]*column{}}
	p.snapshots = append([]*snapshot{here}, p.snapshots[:min(len(p.snapshots), keptSnapshots-1)]...)
	return here
}

func (p *Program) fill(c *column, cat features.Catalog, leaf int, market string, old *column, before features.Catalog, job *pace.Job) {
	n := cat.Len()
	if leaf < 0 {
		p.fillTexts(c, cat, leaf, market, old, before, job)
		return
	}
	if p.items[leaf].yes {
		c.yes, c.no = features.NewBitmap(n), features.NewBitmap(n)
	} else {
		c.nums, c.have = make([]float64, n), features.NewBitmap(n)
	}
	act := &itemVars{engine: p.engine, market: market}
	for row := range n {
		job.Step()
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

func (p *Program) fillTexts(c *column, cat features.Catalog, leaf int, market string, old *column, before features.Catalog, job *pace.Job) {
	c.codes, c.code = make([]int32, cat.Len()), map[string]int32{}
	act := &itemVars{engine: p.engine, market: market}
	for row := range c.codes {
		job.Step()
		c.codes[row] = -1
		it := cat.Item(features.Row(row))
		if it == nil {
			continue
		}
		if old != nil && row < before.Len() && before.Item(features.Row(row)) == it {
			if code := old.codes[row]; code >= 0 {
				c.name(row, old.names[code])
			}
			continue
		}
		act.item = it
		if out, _, err := p.leaf(leaf).prog.Eval(act); err == nil {
			if text, ok := out.Value().(string); ok {
				c.name(row, text)
			}
		}
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
