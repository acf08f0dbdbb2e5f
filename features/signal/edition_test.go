package signal

import (
	"fmt"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/history"
)

// Catalogues that are asked about in turn have their items in other rows: what
// was found in one is not taken for what is in another, however many there are.
func TestRowsOfOneCatalogueAreNotThoseOfAnother(t *testing.T) {
	const goods = 12
	set := newSet(t)
	m, book := NewMemory(set), new(history.Book)
	for i := range goods / 2 {
		e := features.Event{Seq: int64(i + 1), Type: features.Purchase, User: user(1), Item: fmt.Sprint("g", i), Time: start.Add(time.Duration(i) * time.Hour)}
		m.Fold(e)
		book.Fold(&e)
	}
	var all []features.Catalog
	for turn := range mostEditions + 2 {
		var items []features.Item
		for i := range goods - turn { // the first ones of some are not there
			items = append(items, features.Item{ID: fmt.Sprint("g", (i+turn)%goods)})
		}
		c, err := catalog.Of(items)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for range 2 {
		for n, c := range all {
			s := book.Shopper(c)
			s.Key, s.Consent = user(1), features.AllPurposes
			r := &features.Request{Query: features.Query{Now: start.Add(99 * time.Hour)}, Shopper: s, Item: features.NoRow, Catalog: c, State: m}
			rows := make([]features.Row, c.Len())
			for i := range rows {
				rows[i] = features.Row(i)
			}
			got, want := make([]float32, len(rows)*set.Width()), make([]float32, len(rows)*set.Width())
			set.Into(r, rows, got, set.Width())
			set.byKey(r, rows, want, set.Width())
			for i := range got {
				if !(got[i] == want[i] || got[i] != got[i] && want[i] != want[i]) {
					t.Fatalf("catalogue %d, item %s, number %s: got %v, want %v", n, c.ID(rows[i/set.Width()]), set.Columns()[i%set.Width()], got[i], want[i])
				}
			}
		}
		m.Keep(all[0])
		if left := m.editions.list(); len(left) > 1 {
			t.Errorf("got %d catalogues kept, want at most the one in use", len(left))
		}
	}
}
