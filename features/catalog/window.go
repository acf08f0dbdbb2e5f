package catalog

import (
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// windows is the rows that are not always on sale, and the instants at which
// any of them opens or closes. Between two instants nothing changes. It is
// immutable.
type windows struct {
	rows  []features.Row // ascending
	edges []time.Time    // ascending, distinct
}

func newWindows(rows []features.Row, item func(features.Row) *features.Item) *windows {
	w := &windows{rows: rows}
	for _, r := range rows {
		it := item(r)
		for _, t := range []time.Time{it.SaleStart, it.SaleEnd} {
			if !t.IsZero() {
				w.edges = append(w.edges, t)
			}
		}
	}
	slices.SortFunc(w.edges, time.Time.Compare)
	w.edges = slices.CompactFunc(w.edges, time.Time.Equal)
	return w
}

// epoch is how many edges lie at or before now.
func (w *windows) epoch(now time.Time) int {
	i, found := slices.BinarySearchFunc(w.edges, now, time.Time.Compare)
	if found {
		i++
	}
	return i
}

func hasWindow(it *features.Item) bool {
	return it != nil && (!it.SaleStart.IsZero() || !it.SaleEnd.IsZero())
}

// sameWindow reports whether two items, nil among them, open and close at the
// same instants.
func sameWindow(a, b *features.Item) bool {
	if !hasWindow(a) || !hasWindow(b) {
		return hasWindow(a) == hasWindow(b)
	}
	return a.SaleStart.Equal(b.SaleStart) && a.SaleEnd.Equal(b.SaleEnd)
}
