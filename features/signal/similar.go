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
		out[2*i], out[2*i+1] = float32(most), float32(all/float64(n))
	}
}

func (Similar) byGood(r *features.Request, d *desk, out []float32, stride int) {
	var last [lastItems]*good
	var first, brand, group [lastItems]int32
	n, history := 0, r.History()
	for i := len(history) - 1; i >= 0 && n < lastItems; i-- {
		if !history[i].Type.Interest() {
			continue
		}
		if g := d.m.good(r.Catalog, history[i].Row); g.item != nil {
			last[n], first[n], brand[n], group[n] = g, g.path[0], g.brand, g.group
			n++
		}
	}
	for i, g := range d.goods {
		v := out[i*stride : i*stride+2]
		v[0], v[1] = unknown, unknown
		if n == 0 || g.item == nil {
			continue
		}
		most, all := 0., 0.
		for k, other := range last[:n] {
			if g.path[0] != first[k] && g.brand != brand[k] && g.group != group[k] && g.item != other.item {
				continue // nothing in common
			}
			if l := alike(g, other); l > 0 {
				most, all = max(most, l), all+l
			}
		}
		v[0], v[1] = float32(most), float32(all/float64(n))
	}
}

// alike is likeness by numbers.
func alike(a, b *good) float64 {
	l := 0.
	if a.path[0] == b.path[0] && a.depth > 0 && b.depth > 0 {
		if max(a.depth, b.depth) > int32(len(a.path)) {
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
