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
	if kept := traitsOf(r.State); kept != nil && kept.similar(r, last[:n], items, out) {
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

// similar is Similar's value by traits; false where a path is too deep for them.
func (t *traits) similar(r *features.Request, last []*features.Item, items []features.Row, out []float32) bool {
	var of [lastItems]*trait
	for i, it := range last {
		row, ok := r.Catalog.Row(it.ID)
		if !ok {
			return false
		}
		if of[i] = t.of(r.Catalog, row); of[i] == nil || int(of[i].depth) > len(of[i].path) {
			return false
		}
	}
	for i, row := range items {
		it := t.of(r.Catalog, row)
		if it == nil {
			continue
		}
		if int(it.depth) > len(it.path) {
			return false
		}
		most, all := 0., 0.
		for _, other := range of[:len(last)] {
			l := 0.
			for k := range min(it.depth, other.depth) {
				if it.path[k] != other.path[k] {
					break
				}
				l += .5 / float64(max(it.depth, other.depth))
			}
			if it.brand != 0 && it.brand == other.brand {
				l += .25
			}
			if it.item == other.item || it.group != 0 && it.group == other.group {
				l += .25
			}
			most, all = max(most, l), all+l
		}
		out[2*i], out[2*i+1] = float32(most), float32(all/float64(len(last)))
	}
	return true
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
