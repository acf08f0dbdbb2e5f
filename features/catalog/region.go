package catalog

import "github.com/attune-rec/attune/features"

// region is a set of rows by market, with what holds for a market nobody
// named. Every named market's bitmap is complete by itself, so a look-up is
// one bitmap. It is immutable; edit changes a copy.
type region struct {
	named     map[string]*features.Bitmap
	elsewhere *features.Bitmap
}

func (g *region) in(market string) *features.Bitmap {
	if b, ok := g.named[market]; ok {
		return b
	}
	return g.elsewhere
}

// verdict is where one item belongs: in the markets of its own list, and
// elsewhere or not.
type verdict struct {
	own       func(f func(market string, in bool)) // the markets the item speaks of
	elsewhere bool
}

// sold is the verdict on where it is offered.
func sold(it *features.Item) verdict {
	return verdict{
		elsewhere: it != nil && len(it.Markets) == 0,
		own: func(f func(string, bool)) {
			if it != nil {
				for _, m := range it.Markets {
					f(m, true)
				}
			}
		},
	}
}

// stocked is the verdict on where a piece can be had. The entry "" is the
// stock of all markets without one of their own.
func stocked(it *features.Item) verdict {
	v := verdict{elsewhere: it != nil}
	if it != nil {
		if n, ok := it.Stock[""]; ok {
			v.elsewhere = n > 0
		}
	}
	v.own = func(f func(string, bool)) {
		if it != nil {
			for m, n := range it.Stock {
				if m != "" {
					f(m, n > 0)
				}
			}
		}
	}
	return v
}

// newRegion judges all items at once.
func newRegion(n int, items func(row int) *features.Item, judge func(*features.Item) verdict) *region {
	type own struct{ in, out *features.Bitmap }
	owns := map[string]*own{}
	g := &region{named: map[string]*features.Bitmap{}, elsewhere: features.NewBitmap(n)}
	for row := range n {
		v := judge(items(row))
		if v.elsewhere {
			g.elsewhere.Set(features.Row(row))
		}
		v.own(func(market string, in bool) {
			o := owns[market]
			if o == nil {
				o = &own{features.NewBitmap(n), features.NewBitmap(n)}
				owns[market] = o
			}
			if in {
				o.in.Set(features.Row(row))
			} else {
				o.out.Set(features.Row(row))
			}
		})
	}
	for market, o := range owns {
		o.in.Or(g.elsewhere)
		o.in.AndNot(o.out)
		g.named[market] = o.in
	}
	return g
}

// regionEdit is a region being changed: bitmaps are copied when first touched.
type regionEdit struct {
	from, to *region
	n        int
	owned    map[string]bool
	mine     bool // elsewhere is a copy already
}

func (g *region) edit(n int) *regionEdit {
	return &regionEdit{from: g, to: g, n: n, owned: map[string]bool{}}
}

func (e *regionEdit) begin() {
	if e.to != e.from {
		return
	}
	e.to = &region{named: make(map[string]*features.Bitmap, len(e.from.named)+1), elsewhere: e.from.elsewhere}
	for m, b := range e.from.named {
		e.to.named[m] = b
	}
}

// put gives row its new verdict.
func (e *regionEdit) put(row features.Row, v verdict) {
	v.own(func(market string, _ bool) {
		if _, ok := e.to.named[market]; !ok {
			e.begin()
			e.to.named[market] = e.to.elsewhere.Grow(e.n)
			e.owned[market] = true
		}
	})
	if e.to.elsewhere.Has(row) != v.elsewhere {
		e.begin()
		if !e.mine {
			e.to.elsewhere, e.mine = e.to.elsewhere.Grow(e.n), true
		}
		assign(e.to.elsewhere, row, v.elsewhere)
	}
	for market, b := range e.to.named {
		in := v.elsewhere
		v.own(func(m string, own bool) {
			if m == market {
				in = own
			}
		})
		if b.Has(row) == in {
			continue
		}
		e.begin()
		if !e.owned[market] {
			e.to.named[market], e.owned[market] = e.to.named[market].Grow(e.n), true
		}
		assign(e.to.named[market], row, in)
	}
}

func assign(b *features.Bitmap, row features.Row, in bool) {
	if in {
		b.Set(row)
	} else {
		b.Clear(row)
	}
}
