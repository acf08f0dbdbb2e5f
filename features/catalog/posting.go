package catalog

import (
	"slices"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
)

// mark is an attribute and its value.
type mark struct{ attr, value string }

// posting is the rows that carry a mark: a sorted list while they are few, a
// bitmap when that is the smaller. It is immutable; the bitmap of a list is
// made when it is first asked for.
type posting struct {
	rows  []features.Row
	count int
	bits  atomic.Pointer[features.Bitmap]
	dense bool
}

// sparser says how many rows a bitmap over n rows outweighs as a list.
func sparser(count, n int) bool { return count*32 <= n }

func newPosting(rows []features.Row, n int) *posting {
	p := &posting{count: len(rows)}
	if sparser(len(rows), n) {
		p.rows = slices.Clip(rows)
		return p
	}
	b := features.NewBitmap(n)
	for _, r := range rows {
		b.Set(r)
	}
	p.dense = true
	p.bits.Store(b)
	return p
}

func (p *posting) bitmap() *features.Bitmap {
	if b := p.bits.Load(); b != nil {
		return b
	}
	if len(p.rows) == 0 {
		return nil
	}
	b := features.NewBitmap(int(p.rows[len(p.rows)-1]) + 1)
	for _, r := range p.rows {
		b.Set(r)
	}
	p.bits.Store(b)
	return b
}

// changed is p over n rows with the rows of in added and those of out removed;
// both are sorted and apart from each other.
func (p *posting) changed(in, out []features.Row, n int) *posting {
	if p != nil && p.dense {
		b := p.bits.Load().Grow(n)
		for _, r := range in {
			b.Set(r)
		}
		for _, r := range out {
			b.Clear(r)
		}
		q := &posting{count: b.Count(), dense: true}
		if sparser(2*q.count, n) {
			return newPosting(b.AppendRows(make([]features.Row, 0, q.count)), n)
		}
		q.bits.Store(b)
		return q
	}
	var old []features.Row
	if p != nil {
		old = p.rows
	}
	rows := make([]features.Row, 0, len(old)+len(in))
	for _, r := range old {
		for len(in) > 0 && in[0] < r {
			rows, in = append(rows, in[0]), in[1:]
		}
		if len(in) > 0 && in[0] == r {
			in = in[1:]
		}
		for len(out) > 0 && out[0] < r {
			out = out[1:]
		}
		if len(out) > 0 && out[0] == r {
			continue
		}
		rows = append(rows, r)
	}
	return newPosting(append(rows, in...), n)
}

// marks calls f with each mark of it, once, but for markets, stock and
// visibility, which Snapshot keeps by itself.
func marks(it *features.Item, f func(mark)) {
	if it == nil {
		return
	}
	path := ""
	for i, c := range it.Category {
		if i > 0 {
			path += "/"
		}
		path += c
		f(mark{features.AttrCategory, path})
	}
	one := func(attr, value string) {
		if value != "" {
			f(mark{attr, value})
		}
	}
	one(features.AttrBrand, it.Brand)
	one(features.AttrSeller, it.Seller)
	one(features.AttrKind, string(it.Kind))
	one(features.AttrLanguage, it.Language)
	for tag := range it.Variants {
		if tag != it.Language {
			one(features.AttrLanguage, tag)
		}
	}
	for i, tag := range it.Tags {
		if !slices.Contains(it.Tags[:i], tag) {
			one(features.AttrTag, tag)
		}
	}
}
