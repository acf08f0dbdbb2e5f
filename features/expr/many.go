package expr

import (
	"math"

	"github.com/attune-rec/attune/features"
)

// Numbers appends Value of each row to dst: a part of the expression at a time,
// which reads each column in one go.
func (b *Bound) Numbers(rows []features.Row, dst []float64) []float64 {
	out := b.values(rows)
	if b.mayLack() {
		for i, row := range rows {
			if b.r.Catalog.Item(row) == nil {
				out[i] = val{}
			}
		}
	}
	return numbers(out, dst)
}

// NumbersOfItems is Numbers for rows whose items are known to be there, such as
// those that another expression matched. Of other rows it says anything.
func (b *Bound) NumbersOfItems(rows []features.Row, dst []float64) []float64 {
	return numbers(b.values(rows), dst)
}

func numbers(of []val, dst []float64) []float64 {
	for _, v := range of {
		if v.ok {
			dst = append(dst, v.f)
		} else {
			dst = append(dst, math.NaN())
		}
	}
	return dst
}

// Matches appends Match of each row to dst.
func (b *Bound) Matches(rows []features.Row, dst []bool) []bool {
	lack := b.mayLack()
	for i, v := range b.values(rows) {
		dst = append(dst, v.ok && v.f != 0 && (!lack || b.r.Catalog.Item(rows[i]) != nil))
	}
	return dst
}

// mayLack reports whether values says something of a row without an item, of
// which nothing is known.
func (b *Bound) mayLack() bool {
	return len(b.p.residues) == 0 && b.r.Catalog != nil && !b.p.needs
}

// values is value of each row, where its item is there, valid until the next
// call.
func (b *Bound) values(rows []features.Row) []val {
	out := b.memory(0, len(rows))
	if len(b.p.residues) > 0 || b.r.Catalog == nil { // what costs much is only run where it decides
		for i, row := range rows {
			out[i] = b.value(row)
		}
		return out
	}
	b.many(b.p.root, rows, out, 1)
	return out
}

// memory is n values that calls at the same depth share.
func (b *Bound) memory(depth, n int) []val {
	for len(b.room) <= depth {
		b.room = append(b.room, nil)
	}
	if cap(b.room[depth]) < n {
		b.room[depth] = make([]val, n+n/2)
	}
	return b.room[depth][:n]
}

// many sets out to what n is at each of rows. It may use the memory from depth
// on.
func (b *Bound) many(n node, rows []features.Row, out []val, depth int) {
	switch n := n.(type) {
	case asked:
		fill(out, b.asked[n.i])
	case known:
		b.columns[n.i].many(rows, out)
	case not:
		b.many(n.x, rows, out, depth)
		for i := range out {
			out[i].f = 1 - out[i].f
		}
	case both:
		if a, ok := n.x.(asked); ok {
			if v := b.asked[a.i]; v.ok && v.f == 0 {
				fill(out, v)
				return
			}
		}
		y := b.memory(depth, len(rows))
		b.many(n.x, rows, out, depth+1)
		b.many(n.y, rows, y, depth+1)
		for i, x := range out {
			switch {
			case x.ok && x.f == 0:
			case y[i].ok && (y[i].f == 0 || x.ok):
				out[i] = y[i]
			default:
				out[i] = val{}
			}
		}
	case cond:
		x, y := b.memory(depth, len(rows)), b.memory(depth+1, len(rows))
		b.many(n.c, rows, out, depth+2)
		b.many(n.x, rows, x, depth+2)
		b.many(n.y, rows, y, depth+2)
		for i, c := range out {
			switch {
			case !c.ok:
				out[i] = val{}
			case c.f != 0:
				out[i] = x[i]
			default:
				out[i] = y[i]
			}
		}
	default:
		for i, row := range rows {
			out[i] = n.at(b, int(row))
		}
	}
}

func fill(out []val, v val) {
	for i := range out {
		out[i] = v
	}
}

func (c *column) many(rows []features.Row, out []val) {
	if c.nums != nil {
		for i, row := range rows {
			out[i] = c.at(int(row))
		}
		return
	}
	yes, no := c.yes.Words(), c.no.Words()
	for i, row := range rows {
		word, bit := uint(row)/64, uint(row)%64 // #nosec G115 -- below 0 is beyond all words
		out[i] = val{}
		if word < uint(len(yes)) {
			is := yes[word] >> bit & 1
			out[i] = val{float64(is), (is|no[word]>>bit)&1 != 0}
		}
	}
}
