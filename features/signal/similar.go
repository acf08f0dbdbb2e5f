package signal

import "github.com/attune-rec/attune/features"

// Similar is how alike the item is to the ten newest items of interest: the
// likeness to the most alike, and the mean. Likeness is half for one category
// path (less for a common beginning), a quarter for one brand, a quarter for
// one group. Unknown without a history.
type Similar struct{}

const lastItems = 10

// Name implements features.Feature.
func (Similar) Name() string { return "similar" }

// Width implements features.Feature.
func (Similar) Width() int { return 2 }

// About implements Signal.
func (Similar) About() About {
	return About{Of: "sequence", From: "history, catalogue", Numbers: []string{
		"likeness to the most alike of the last ten items",
		"mean likeness to them",
	}}
}

// Update implements features.Feature: the history tells all.
func (Similar) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (Similar) Value(r *features.Request, items []features.Row, out []float32) {
	fill(out)
	if r.Catalog == nil {
		return
	}
	var last [lastItems]*features.Item
	n, history := 0, r.History()
	for i := len(history) - 1; i >= 0 && n < lastItems; i-- {
		if it := r.Catalog.Item(history[i].Row); it != nil && history[i].Type.Interest() {
			last[n] = it
			n++
		}
	}
	if n == 0 {
		return
	}
	for i, row := range items {
		it := r.Catalog.Item(row)
		if it == nil {
			continue
		}
		most, all := 0., 0.
		for _, other := range last[:n] {
			l := likeness(it, other)
			most, all = max(most, l), all+l
		}
		out[2*i], out[2*i+1] = float32(most), float32(all*(1/float64(n)))
	}
}

// lastGoods is the newest items of interest, and which of them have what.
type lastGoods struct {
	goods              [lastItems]*good
	n                  int
	inverse            float64 // of n
	brand, group, self sharers
	round              uint32
	trails             [256]trail
}

// trail is how alike items of one category path are to the last ones by that
// alone. It says nothing of a round before.
type trail struct {
	code      int32
	round     uint32
	most, all float64
}

// sharers says which of the last items have a code, by some of its bits: where
// two codes share those, more are named than have it.
type sharers [64]uint16

func (s *sharers) of(code int32) uint16 { return s[uint32(code)%uint32(len(s))] } // #nosec G115 -- a code

// add names items for a code; 0 is none.
func (s *sharers) add(code int32, bit uint16) {
	if code != 0 {
		s[uint32(code)%uint32(len(s))] |= bit // #nosec G115 -- a code
	}
}

func (Similar) begin(r *features.Request, d *desk) {
	l, history := &d.last, r.History()
	l.n, l.brand, l.group, l.self = 0, sharers{}, sharers{}, sharers{}
	if l.round++; l.round == 0 { // they have run out
		l.trails, l.round = [len(l.trails)]trail{}, 1
	}
	for i := len(history) - 1; i >= 0 && l.n < lastItems; i-- {
		if g := d.past[i]; g.item != nil && history[i].Type.Interest() {
			l.goods[l.n] = g
			l.brand.add(g.brand, 1<<l.n)
			l.group.add(g.group, 1<<l.n)
			l.self.add(int32(g.slot+1), 1<<l.n) // #nosec G115 -- of turns
			l.n++
		}
	}
	l.inverse = 1 / float64(l.n)
}

func (Similar) block(d *desk, lo, hi int, out []float32, stride int) {
	l := &d.last
	for i, g := range d.goods[lo:hi] {
		v := (*[2]float32)(out[(lo+i)*stride:])
		*v = [2]float32{unknown, unknown}
		if l.n == 0 || g.item == nil {
			continue
		}
		var most, all float64
		if l.brand.of(g.brand)|l.group.of(g.group)|l.self.of(int32(g.slot+1)) == 0 { // #nosec G115 -- of turns
			t := &l.trails[uint32(g.trail)%uint32(len(l.trails))] // #nosec G115 -- a code
			if t.code != g.trail || t.round != l.round {
				t.code, t.round = g.trail, l.round
				t.most, t.all = l.alike(g)
			}
			most, all = t.most, t.all
		} else {
			most, all = l.alike(g)
		}
		v[0], v[1] = float32(most), float32(all*l.inverse)
	}
}

// alike is the most that the item is like one of the last, and the sum.
func (l *lastGoods) alike(g *good) (most, all float64) {
	for _, other := range l.goods[:l.n] {
		if a := alike(g, other); a > 0 {
			most, all = max(most, a), all+a
		}
	}
	return most, all
}

// alike is likeness by numbers.
func alike(a, b *good) float64 {
	l := 0.
	if a.path[0] == b.path[0] && a.depth > 0 && b.depth > 0 {
		if max(a.depth, b.depth) > uint16(len(a.path)) {
			return likeness(a.item, b.item)
		}
		step := .5 / float64(max(a.depth, b.depth))
		for k := range min(a.depth, b.depth) {
			if a.path[k] != b.path[k] {
				break
			}
			l += step
		}
	}
	if a.brand != 0 && a.brand == b.brand {
		l += .25
	}
	if a.item == b.item || a.group != 0 && a.group == b.group {
		l += .25
	}
	return l
}

// likeness is from 0 to 1.
func likeness(a, b *features.Item) float64 {
	l := 0.
	for i := range min(len(a.Category), len(b.Category)) {
		if a.Category[i] != b.Category[i] {
			break
		}
		l += .5 / float64(max(len(a.Category), len(b.Category)))
	}
	if a.Brand != "" && a.Brand == b.Brand {
		l += .25
	}
	if a.ID == b.ID || a.Group != "" && a.Group == b.Group {
		l += .25
	}
	return l
}
