package expr

import (
	"math"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
)

type activation = interpreter.Activation

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	engine *Engine
	source string
	kind   Kind
	cost   uint64
	plain  cel.Program

	root     node
	needs    bool          // it is known of no row without an item
	asks     []leaf        // once a request
	items    []leaf        // once a snapshot
	texts    []leaf        // once a snapshot: texts of items, looked for in
	lists    []cel.Program // once a request: texts
	residues []leaf        // for each candidate
	hoisted  []cel.Program // what residues use of the request: variable "@i"

	mu        sync.Mutex
	snapshots []*snapshot // asked about last first
}

// Source is the text it was compiled from.
func (p *Program) Source() string { return p.source }

// Kind is what it was compiled for.
func (p *Program) Kind() Kind { return p.kind }

// Cost is the most one evaluation may cost, in the units of MaxCost.
func (p *Program) Cost() uint64 { return p.cost }

// Residues is how many parts run for each candidate; none means that bitmaps
// and columns decide alone.
func (p *Program) Residues() int { return len(p.residues) }

// Warm makes the columns of cat for the markets, so that the first request
// after a change of the catalogue needs not.
func (p *Program) Warm(cat features.Catalog, markets ...string) { p.Prepare(nil, cat, markets...) }

// Prepare is Warm at the pace of a job.
func (p *Program) Prepare(job *pace.Job, cat features.Catalog, markets ...string) {
	for _, m := range append([]string{""}, markets...) {
		for i := range p.items {
			p.column(cat, i, m, job)
		}
		for i := range p.texts {
			p.column(cat, textLeaf(i), m, job)
		}
	}
}

// Holds reports whether a segment's expression holds for the shopper of r,
// whose Now and Shopper count.
func (p *Program) Holds(r *features.Request) bool {
	v := eval(p.plain, &requestVars{engine: p.engine, r: r})
	return v.ok && v.f != 0
}

// Plain evaluates the whole expression for one item without the split: its
// number or 1 for yes and 0 for no, and whether that is known. It is the plain
// twin of Bound.Value, slower and in need of no catalogue.
func (p *Program) Plain(r *features.Request, it *features.Item) (float64, bool) {
	if it == nil && p.kind != Segment {
		return 0, false
	}
	v := eval(p.plain, &mixedVars{
		req:  requestVars{engine: p.engine, r: r},
		item: itemVars{engine: p.engine, item: it, market: r.Market},
	})
	return v.f, v.ok
}

// Bound is a program for one request: what the request decides is decided. It
// belongs to one goroutine.
type Bound struct {
	p       *Program
	r       *features.Request
	asked   []val
	columns []*column
	texts   []*column
	lists   []list
	vars    mixedVars
	room    [][]val // by depth: see many
}

// list is the codes, in a column of texts, of what stands in a list of the
// request.
type list struct {
	codes []int32
	known bool
}

// Bind evaluates what depends on the request alone, for candidates of
// r.Catalog. Into is reused when it is not nil.
func (p *Program) Bind(r *features.Request, into *Bound) *Bound {
	b := into
	if b == nil {
		b = new(Bound)
	}
	b.p, b.r = p, r
	b.vars.req.reset(p.engine, r)
	b.vars.item = itemVars{engine: p.engine, market: r.Market}
	b.asked = b.asked[:0]
	for i := range p.asks {
		if v := &p.asks[i]; v.always {
			b.asked = append(b.asked, v.is)
		} else {
			b.asked = append(b.asked, eval(v.prog, &b.vars.req))
		}
	}
	b.vars.hoisted = b.vars.hoisted[:0]
	for _, prog := range p.hoisted {
		v, _, err := prog.Eval(&b.vars.req)
		if err != nil {
			v = nil
		}
		b.vars.hoisted = append(b.vars.hoisted, v)
	}
	b.texts = b.texts[:0]
	if r.Catalog != nil {
		for i, prog := range p.lists {
			c := p.column(r.Catalog, textLeaf(i), r.Market, nil)
			b.texts = append(b.texts, c)
			if len(b.lists) == i {
				b.lists = append(b.lists, list{})
			}
			b.lists[i] = c.find(prog, &b.vars.req, b.lists[i].codes[:0])
		}
	}
	b.columns = b.columns[:0]
	for i := range p.items {
		if r.Catalog == nil {
			b.columns = append(b.columns, &column{})
			continue
		}
		b.columns = append(b.columns, p.column(r.Catalog, i, r.Market, nil))
	}
	return b
}

// Match reports whether a rule holds for the item in row.
func (b *Bound) Match(row features.Row) bool {
	v := b.value(row)
	return v.ok && v.f != 0
}

// Value is the number of the item in row; NaN when it is not known.
func (b *Bound) Value(row features.Row) float64 {
	if v := b.value(row); v.ok {
		return v.f
	}
	return math.NaN()
}

func (b *Bound) value(row features.Row) val {
	if b.r.Catalog == nil || !b.p.needs && b.r.Catalog.Item(row) == nil {
		return val{}
	}
	return b.p.root.at(b, int(row))
}

// Narrow takes rows out of eligible for which a rule cannot hold, as far as
// bitmaps tell, and reports whether it holds for all that stay; otherwise
// Match decides about each.
func (b *Bound) Narrow(eligible *features.Bitmap) (exact bool) {
	return b.narrow(b.p.root, eligible)
}

// narrow spares the sets that limits would make of what is joined by and.
func (b *Bound) narrow(n node, eligible *features.Bitmap) (exact bool) {
	switch n := n.(type) {
	case both:
		x, y := b.narrow(n.x, eligible), b.narrow(n.y, eligible)
		return x && y
	case asked:
		if v := b.asked[n.i]; !v.ok || v.f == 0 {
			eligible.And(nil)
		}
		return true
	}
	yes, _, exact := b.limits(n, eligible.Len())
	if yes != nil {
		eligible.And(yes)
	}
	return exact
}

// limits is the sets outside of which n is certainly not true and certainly
// not false, nil for all rows, and whether they are exact.
func (b *Bound) limits(n node, rows int) (yes, no *features.Bitmap, exact bool) {
	switch n := n.(type) {
	case asked:
		v := b.asked[n.i]
		if !v.ok || v.f == 0 {
			yes = features.NewBitmap(rows)
		}
		if !v.ok || v.f != 0 {
			no = features.NewBitmap(rows)
		}
		return yes, no, true
	case known:
		if c := b.columns[n.i]; c.yes != nil && c.yes.Len() >= rows {
			return c.yes, c.no, true
		}
	case not:
		yes, no, exact = b.limits(n.x, rows)
		return no, yes, exact
	case both:
		xy, xn, xe := b.limits(n.x, rows)
		yy, yn, ye := b.limits(n.y, rows)
		return meet(xy, yy), join(xn, yn), xe && ye
	case any2:
		xy, xn, xe := b.limits(n.x, rows)
		yy, yn, ye := b.limits(n.y, rows)
		return join(xy, yy), meet(xn, yn), xe && ye
	}
	return nil, nil, false
}

func meet(x, y *features.Bitmap) *features.Bitmap {
	if x == nil {
		return y
	}
	if y == nil {
		return x
	}
	both := x.Clone()
	both.And(y)
	return both
}

func join(x, y *features.Bitmap) *features.Bitmap {
	if x == nil || y == nil {
		return nil
	}
	either := x.Grow(max(x.Len(), y.Len()))
	either.Or(y)
	return either
}

// run evaluates residue i for the item in row.
func (b *Bound) run(i, row int) val {
	b.vars.item.item = b.r.Catalog.Item(features.Row(row))
	return eval(b.p.residues[i].prog, &b.vars)
}

// requestVars binds the fields of a request and its shopper, each made once.
type requestVars struct {
	engine *Engine
	r      *features.Request
	made   []ref.Val
	done   []bool
}

func (a *requestVars) reset(e *Engine, r *features.Request) {
	a.engine, a.r = e, r
	clear(a.made)
	clear(a.done)
}

func (a *requestVars) Parent() activation { return nil }

func (a *requestVars) ResolveName(name string) (any, bool) {
	i, ok := a.engine.index[name]
	if !ok || a.engine.fields[i].ask == nil {
		return nil, false
	}
	if a.made == nil {
		a.made, a.done = make([]ref.Val, len(a.engine.fields)), make([]bool, len(a.engine.fields))
	}
	if !a.done[i] {
		a.made[i], a.done[i] = a.engine.fields[i].ask(a.r), true
	}
	return bound(a.made[i])
}

// mixedVars binds all fields and what was hoisted.
type mixedVars struct {
	req     requestVars
	item    itemVars
	hoisted []ref.Val
}

func (a *mixedVars) Parent() activation { return nil }

func (a *mixedVars) ResolveName(name string) (any, bool) {
	if len(name) > 1 && name[0] == '@' {
		n := 0
		for _, c := range name[1:] {
			if c < '0' || c > '9' {
				return nil, false
			}
			n = n*10 + int(c-'0')
		}
		if n >= len(a.hoisted) {
			return nil, false
		}
		return bound(a.hoisted[n])
	}
	if v, ok := a.item.ResolveName(name); ok {
		return v, true
	}
	return a.req.ResolveName(name)
}

// eval is the value of a program; whatever fails is not known.
func eval(p cel.Program, a activation) val {
	out, _, err := p.Eval(a)
	if err != nil {
		return val{}
	}
	switch v := out.(type) {
	case types.Bool:
		return truth(bool(v))
	case types.Double:
		return val{float64(v), true}
	case types.Int:
		return val{float64(v), true}
	}
	return val{}
}
