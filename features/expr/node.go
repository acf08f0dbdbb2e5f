package expr

import (
	"slices"

	"cel.dev/cel-go/common/operators"
)

func (n asked) at(b *Bound, _ int) val   { return b.asked[n.i] }
func (n known) at(b *Bound, row int) val { return b.columns[n.i].at(row) }
func (n mixed) at(b *Bound, row int) val { return b.run(n.i, row) }

func (n among) at(b *Bound, row int) val {
	codes, list := b.texts[n.i].codes, &b.lists[n.i]
	if !list.known || uint(row) >= uint(len(codes)) || codes[row] < 0 {
		return val{}
	}
	return truth(slices.Contains(list.codes, codes[row]))
}

func (n not) at(b *Bound, row int) val {
	v := n.x.at(b, row)
	return val{1 - v.f, v.ok}
}

func (n neg) at(b *Bound, row int) val {
	v := n.x.at(b, row)
	return val{-v.f, v.ok}
}

func (n both) at(b *Bound, row int) val {
	x := n.x.at(b, row)
	if x.ok && x.f == 0 {
		return x
	}
	y := n.y.at(b, row)
	if y.ok && (y.f == 0 || x.ok) {
		return y
	}
	return val{}
}

func (n any2) at(b *Bound, row int) val {
	x := n.x.at(b, row)
	if x.ok && x.f != 0 {
		return x
	}
	y := n.y.at(b, row)
	if y.ok && (y.f != 0 || x.ok) {
		return y
	}
	return val{}
}

func (n cond) at(b *Bound, row int) val {
	switch c := n.c.at(b, row); {
	case !c.ok:
		return val{}
	case c.f != 0:
		return n.x.at(b, row)
	}
	return n.y.at(b, row)
}

func (n calc) at(b *Bound, row int) val {
	x, y := n.x.at(b, row), n.y.at(b, row)
	if !x.ok || !y.ok {
		return val{}
	}
	switch n.op {
	case operators.Add:
		return val{x.f + y.f, true}
	case operators.Subtract:
		return val{x.f - y.f, true}
	case operators.Multiply:
		return val{x.f * y.f, true}
	case operators.Divide:
		return val{x.f / y.f, true}
	case operators.Equals:
		return truth(x.f == y.f)
	case operators.NotEquals:
		return truth(x.f != y.f)
	case operators.Less:
		return truth(x.f < y.f)
	case operators.LessEquals:
		return truth(x.f <= y.f)
	case operators.Greater:
		return truth(x.f > y.f)
	}
	return truth(x.f >= y.f)
}
