package signal

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/history"
)

// plain is a memory that is only known as a state: nothing is found by row.
type plain struct{ features.State }

// What is found by row is what a look by key, into texts and maps, gives: for
// the goods as they are, and after some of them changed.
func TestByRowEqualsByKey(t *testing.T) {
	set, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	m, book := NewMemory(set), new(history.Book)
	events := log(11, 800)
	for i := range events {
		m.Fold(events[i])
		if events[i].User == user(2) {
			book.Fold(&events[i])
		}
	}
	items := goods(t)
	for round := range 3 {
		s := book.Shopper(items)
		s.Key, s.Consent = user(2), features.AllPurposes
		for _, market := range []string{"FR", "", "XX"} {
			r := &features.Request{
				Query: features.Query{Market: market, Now: start.Add(300 * time.Hour)}, Shopper: s, Item: features.NoRow, Catalog: items, State: m,
			}
			rows := make([]features.Row, items.Len())
			for i := range rows {
				rows[i] = features.Row(i)
			}
			got, want := make([]float32, len(rows)*set.Width()), make([]float32, len(rows)*set.Width())
			for range 2 { // found anew, then kept
				set.Value(r, rows, got)
				slow := *r
				slow.State = plain{m}
				set.Value(&slow, rows, want)
				for i := range got {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("round %d, market %q, %s of item %d: got %v by row, want %v", round, market, set.Columns()[i%set.Width()], i/set.Width(), got[i], want[i])
					}
				}
			}
		}
		items = items.Apply([]catalog.Change{
			{Item: &features.Item{ID: fmt.Sprint("i", round), Brand: "z", Category: []string{"all", "new"}, Prices: map[string]features.Money{"FR": features.MoneyOf(3, "EUR")}}},
			{Item: &features.Item{ID: fmt.Sprint("n", round), Brand: "a", Category: []string{"", "c1", "c", "d", "e"}}},
			{Item: &features.Item{ID: "i9"}, Deleted: true},
		})
	}
}

// What is known of the items of a catalogue that is gone goes with it; of those
// that are there it stays.
func TestKeepDropsWhatIsGone(t *testing.T) {
	set, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	m := NewMemory(set)
	events := log(11, 200)
	for i := range events {
		m.Fold(events[i])
	}
	first := goods(t)
	second := first.Apply([]catalog.Change{{Item: &features.Item{ID: "i3", Brand: "z", Prices: map[string]features.Money{"FR": features.MoneyOf(3, "EUR")}}}})
	changed, ok := first.Row("i3")
	if !ok {
		t.Fatal("the catalogue lacks i3")
	}
	ask := func(c features.Catalog) {
		rows := make([]features.Row, c.Len())
		for i := range rows {
			rows[i] = features.Row(i)
		}
		r := &features.Request{Query: features.Query{Market: "FR", Now: start.Add(300 * time.Hour)}, Shopper: &features.Shopper{}, Item: features.NoRow, Catalog: c, State: m}
		set.Value(r, rows, make([]float32, len(rows)*set.Width()))
	}
	known := func(where string, gone ...features.Row) {
		t.Helper()
		for row := range features.Row(first.Len()) { // #nosec G115 -- a row
			want := !slices.Contains(gone, row)
			if got := m.goods.rows.at(row) != nil; got != want {
				t.Errorf("%s: item %d is known: %v, want %v", where, row, got, want)
			}
			if got := m.offers("FR").at(row) != nil; got != want {
				t.Errorf("%s: item %d is known in its market: %v, want %v", where, row, got, want)
			}
		}
	}
	ask(first)
	m.Keep(second, first)
	known("both are there")
	m.Keep(second)
	known("one changed", changed)
	ask(second)
	known("asked again")
	m.Keep()
	all := make([]features.Row, first.Len())
	for i := range all {
		all[i] = features.Row(i) // #nosec G115 -- a row
	}
	known("none is there", all...)
}
