// Package attribute is what the catalogue says of the items that other items
// have in common with them, as numbers that a network can learn vectors for: an
// item nobody met is known by what is said of it.
//
// It imports models/nn, models/linalg and features. Start reading at Of.
package attribute

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/text"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
)

const (
	fewItems = 2  // items that share an attribute at least: one alone says nothing of others
	mostOwn  = 24 // attributes of an item that are read, the rarest
)

// Table is what is said of each item: levels of the category, brand, tags,
// attributes, words of the title, each by a number. It is read-only.
type Table struct {
	ptr   []int32 // of each item into ids
	ids   []int32
	names int
}

// Of reads d's catalogue. It is nil where there is none or nothing is shared.
func Of(d *dataset.Dataset) *Table {
	if d.Catalog == nil {
		return nil
	}
	all, counts := map[string]int32{}, []int(nil)
	byItem := make([][]int32, d.NumItems())
	for i := range byItem {
		it := d.Catalog.Item(features.Row(i)) // #nosec G115 -- rows are int32 by contract
		if it == nil {
			continue
		}
		said(it, func(name string) {
			id, ok := all[name]
			if !ok {
				id = int32(len(counts)) // #nosec G115 -- fewer than the catalogue has words
				all[name], counts = id, append(counts, 0)
			}
			if !slices.Contains(byItem[i], id) {
				byItem[i] = append(byItem[i], id)
				counts[id]++
			}
		})
	}
	a := &Table{ptr: make([]int32, 1, len(byItem)+1)}
	row := make([]int32, len(counts)) // of the attributes that are kept, from 1
	for i := range byItem {
		shared := slices.DeleteFunc(byItem[i], func(id int32) bool { return counts[id] < fewItems || counts[id] > len(byItem)/2 })
		slices.SortStableFunc(shared, func(x, y int32) int { return counts[x] - counts[y] })
		for _, id := range shared[:min(len(shared), mostOwn)] {
			if row[id] == 0 {
				a.names++
				row[id] = int32(a.names) // #nosec G115 -- as above
			}
			a.ids = append(a.ids, row[id]-1)
		}
		a.ptr = append(a.ptr, int32(len(a.ids))) // #nosec G115 -- as above
	}
	if a.names == 0 {
		return nil
	}
	return a
}

// said calls yield with everything that is said of an item, by name.
func said(it *features.Item, yield func(name string)) {
	path := "c"
	for _, level := range it.Category {
		path += "\x00" + level
		yield(path)
	}
	if it.Brand != "" {
		yield("b\x00" + it.Brand)
	}
	for _, tag := range it.Tags {
		yield("t\x00" + tag)
	}
	for _, key := range slices.Sorted(maps.Keys(it.Attributes)) {
		yield("a\x00" + strconv.Quote(key) + it.Attributes[key])
	}
	for _, word := range text.Tokens(it.Title, it.Language, nil) {
		yield("w\x00" + word)
	}
}

// Names is how many different attributes there are.
func (a *Table) Names() int { return a.names }

// Row is the attributes of an item, to be read only.
func (a *Table) Row(item int32) []int32 { return a.ids[a.ptr[item]:a.ptr[item+1]] }

// Compose fills whole with each item's own vector and the sum of its
// attributes' times their [Share].
func (a *Table) Compose(own, attrs, whole *nn.Param[float32], workers int) {
	dim := own.Cols
	linalg.ParallelN(own.Rows, 256, workers, func(_, lo, hi int) {
		copy(whole.W[lo*dim:hi*dim], own.W[lo*dim:hi*dim])
		for i := lo; i < hi; i++ {
			ids := a.Row(int32(i)) // #nosec G115 -- rows are int32 by contract
			for _, id := range ids {
				linalg.Axpy(Share(len(ids)), attrs.W[int(id)*dim:][:dim], whole.W[i*dim:][:dim])
			}
		}
	})
}

// Distribute gives the gradient of whole to own and attrs, and clears it.
func (a *Table) Distribute(own, attrs, whole *nn.Param[float32]) {
	dim := own.Cols
	for i := range own.Rows {
		ids := a.Row(int32(i)) // #nosec G115 -- rows are int32 by contract
		for _, id := range ids {
			linalg.Axpy(Share(len(ids)), whole.G[i*dim:][:dim], attrs.G[int(id)*dim:][:dim])
		}
	}
	linalg.AddTo(own.G, own.G, whole.G)
	clear(whole.G)
}

// Share is the factor on the vectors of n attributes, one by the root of n.
func Share(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }
