package signal

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

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

// asking has everything of a catalogue worked out in a market, by row and by key.
func asking(t *testing.T, m *Memory, set *Set, c features.Catalog, market string) {
	t.Helper()
	rows := make([]features.Row, c.Len())
	for i := range rows {
		rows[i] = features.Row(i)
	}
	r := &features.Request{Query: features.Query{Market: market, Now: start.Add(300 * time.Hour)}, Shopper: &features.Shopper{}, Item: features.NoRow, Catalog: c, State: m}
	got, want := make([]float32, len(rows)*set.Width()), make([]float32, len(rows)*set.Width())
	set.Value(r, rows, got)
	set.byKey(r, rows, want, set.Width())
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s of item %d: got %v by row, want %v", set.Columns()[i%set.Width()], i/set.Width(), got[i], want[i])
		}
	}
}

// known is what a memory keeps of each row of a catalogue.
func known(m *Memory, c features.Catalog, market string) (goods []*good, offers []*offer) {
	e := m.editions.of(c)
	if e == nil {
		return nil, nil
	}
	for row := range features.Row(c.Len()) {
		goods, offers = append(goods, e.table.rows.at(row)), append(offers, e.table.offers(market).at(row))
	}
	return goods, offers
}

// filled is a memory of a log, and copies of the goods it is about: each is the
// catalogue of another release.
func filled(t *testing.T, releases int) (m *Memory, set *Set, all []*catalog.Snapshot) {
	t.Helper()
	set = newSet(t)
	m = NewMemory(set)
	events := log(11, 200)
	for i := range events {
		m.Fold(events[i])
	}
	for range releases {
		all = append(all, goods(t))
	}
	return m, set, all
}

// What is known of the items of a release that is gone goes with it, and with
// that what the release was read into; of one that is there, whatever changed in
// it since, it stays.
func TestKeepDropsWhatIsGone(t *testing.T) {
	m, set, all := filled(t, 2)
	first, changed := all[0], all[0].Apply([]catalog.Change{{Item: &features.Item{ID: "i3", Brand: "z"}}})
	gone := weak.Make(all[1].Item(0))
	asking(t, m, set, first, "FR")
	asking(t, m, set, all[1], "FR")
	before, _ := known(m, first, "FR")
	m.Keep(changed)
	if goods, _ := known(m, all[1], "FR"); goods != nil {
		t.Error("the items of a release that is gone are known")
	}
	after, _ := known(m, first, "FR")
	if !slices.Equal(before, after) {
		t.Error("what is known of a release went when it changed")
	}
	clear(all)
	runtime.GC()
	runtime.GC() // what lay in pools
	if gone.Value() != nil {
		t.Error("the items of a release that is gone are in memory")
	}
	runtime.KeepAlive(m)
	m.Keep()
	if left := m.editions.list(); len(left) != 0 {
		t.Errorf("got %d catalogues kept, want none", len(left))
	}
}

// Two releases that are asked about in turn, as where one is a canary, keep what
// is known of each, also while one of them changes over and over.
func TestReleasesDoNotUndoEachOthersItems(t *testing.T) {
	m, set, all := filled(t, 2)
	asking(t, m, set, all[0], "FR")
	goods, offers := known(m, all[0], "FR")
	other := all[1]
	for i := range 3 * mostEditions {
		asking(t, m, set, other, "FR")
		other = other.Apply([]catalog.Change{{Item: &features.Item{ID: "i3", Brand: fmt.Sprint("b", i)}}})
	}
	asking(t, m, set, all[0], "FR")
	againGoods, againOffers := known(m, all[0], "FR")
	if !slices.Equal(goods, againGoods) || !slices.Equal(offers, againOffers) {
		t.Error("what was known of one release's items was made anew after another was asked about")
	}
}

// What is prepared is what would be made when it is asked for, and then is not
// made again.
func TestPrepareLeavesNothingToBeMade(t *testing.T) {
	m, set, all := filled(t, 1)
	first := all[0]
	asking(t, m, set, first, "FR")
	var items []features.Item
	for row := range features.Row(first.Len()) { // in other rows
		items = append(items, *first.Item(features.Row(first.Len()) - 1 - row))
	}
	next, err := catalog.Of(append(items, features.Item{ID: "news"}))
	if err != nil {
		t.Fatal(err)
	}
	m.Prepare(nil, next)
	goods, offers := known(m, next, "FR")
	for row := range first.Len() {
		if goods[row] == nil || offers[row] == nil {
			t.Fatalf("item %s is not prepared", next.ID(features.Row(row)))
		}
	}
	if goods[first.Len()] != nil {
		t.Error("an item that nobody asked about is prepared")
	}
	asking(t, m, set, next, "FR")
	againGoods, againOffers := known(m, next, "FR")
	if n := first.Len(); !slices.Equal(goods[:n], againGoods[:n]) || !slices.Equal(offers[:n], againOffers[:n]) {
		t.Error("what was prepared was made anew")
	}
}
