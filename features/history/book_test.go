package history

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// rows gives item-<n> the row n, shifted: a release numbers as it likes.
type rows struct{ n, shift int }

func (r rows) Row(id string) (features.Row, bool) {
	var i int
	if _, err := fmt.Sscanf(id, "item-%d", &i); err != nil || i >= r.n {
		return features.NoRow, false
	}
	return features.Row(i + r.shift), true
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func event(seq int, t features.EventType, item int) features.Event {
	return features.Event{
		Seq: int64(seq), Type: t, Item: fmt.Sprintf("item-%d", item),
		Time: start.Add(time.Duration(seq) * time.Minute), Quantity: 1,
	}
}

// log is a random log with much going back and forth between few items.
func log(seed uint64, n int) []features.Event {
	rng := rand.New(rand.NewPCG(seed, 1))
	types := append(features.EventTypes(), features.CartAdd, features.CartRemove, features.Purchase, features.Return)
	var events []features.Event
	for i := range n {
		e := event(i+1, types[rng.IntN(len(types))], rng.IntN(30))
		e.Quantity = int32(rng.IntN(4))
		e.Value = float64(rng.IntN(5))
		if rng.IntN(2) == 0 {
			e.Order = fmt.Sprint(rng.IntN(3))
		}
		events = append(events, e)
	}
	return events
}

func TestReplayEqualsIncrement(t *testing.T) {
	for seed := range uint64(5) {
		events := log(seed, 1700)
		live := new(Book)
		for i := range events {
			live.Fold(&events[i])
			if i%50 != 0 && i != len(events)-1 {
				continue
			}
			cat := rows{n: 25, shift: 3}
			replayed := Of(events[:i+1])
			if got, want := live.Shopper(cat), replayed.Shopper(cat); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, after event %d: got %+v, want %+v", seed, i, got, want)
			}
			// The end of the log is enough for the history.
			last := Of(events[max(0, i+1-3*features.HistoryCap) : i+1])
			if got, want := live.Shopper(cat).Recent, last.Shopper(cat).Recent; !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, after event %d: got %d interactions, want %d, from the end of the log", seed, i, len(got), len(want))
			}
			if n := len(live.Shopper(cat).Recent); n > features.HistoryCap {
				t.Fatalf("got %d interactions, want at most %d", n, features.HistoryCap)
			}
		}
	}
}

func TestRepeatsChangeNothing(t *testing.T) {
	events := log(9, 300)
	once, twice := new(Book), new(Book)
	for i := range events {
		once.Fold(&events[i])
		twice.Fold(&events[i])
		if twice.Fold(&events[i]) || twice.Fold(&events[i/2]) {
			t.Fatalf("event %d was folded twice", i)
		}
	}
	cat := rows{n: 30}
	if got, want := twice.Shopper(cat), once.Shopper(cat); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestNetting(t *testing.T) {
	type ev struct {
		t     features.EventType
		item  int
		n     int32
		order string
	}
	for name, c := range map[string]struct {
		events []ev
		want   string
	}{
		"a view stays":                      {[]ev{{features.View, 1, 0, ""}}, "view 1 x1"},
		"impressions are not kept":          {[]ev{{features.Impression, 1, 0, ""}}, ""},
		"a removal takes the newest back":   {[]ev{{features.CartAdd, 1, 2, ""}, {features.CartAdd, 1, 1, ""}, {features.CartRemove, 1, 0, ""}}, "cart_add 1 x2"},
		"of its own item":                   {[]ev{{features.CartAdd, 1, 1, ""}, {features.CartRemove, 2, 0, ""}}, "cart_add 1 x1"},
		"a removal of nothing vanishes":     {[]ev{{features.WishRemove, 1, 0, ""}, {features.WishAdd, 1, 0, ""}}, "wish_add 1 x1"},
		"two removals take two back":        {[]ev{{features.WishAdd, 1, 0, ""}, {features.WishAdd, 1, 0, ""}, {features.WishRemove, 1, 0, ""}, {features.WishRemove, 1, 0, ""}}, ""},
		"a return takes pieces off":         {[]ev{{features.Purchase, 1, 3, ""}, {features.Return, 1, 1, ""}}, "purchase 1 x2, return 1 x1"},
		"all pieces back, no purchase":      {[]ev{{features.Purchase, 1, 2, ""}, {features.Return, 1, 2, ""}}, "return 1 x2"},
		"returns reach back":                {[]ev{{features.Purchase, 1, 2, ""}, {features.Purchase, 1, 1, ""}, {features.Return, 1, 2, ""}}, "purchase 1 x1, return 1 x2"},
		"a return finds its order":          {[]ev{{features.Purchase, 1, 1, "a"}, {features.Purchase, 1, 1, "b"}, {features.Return, 1, 1, "a"}}, "purchase 1 x1, return 1 x1"},
		"items without a row are left out":  {[]ev{{features.View, 99, 0, ""}, {features.View, 2, 0, ""}}, "view 2 x1"},
		"events about no item are not kept": {[]ev{{features.Search, 1, 0, ""}}, ""},
	} {
		b := new(Book)
		for i, e := range c.events {
			x := event(i+1, e.t, e.item)
			x.Quantity, x.Order = e.n, e.order
			b.Fold(&x)
		}
		got := ""
		for i, it := range b.Shopper(rows{n: 30}).Recent {
			if i > 0 {
				got += ", "
			}
			got += fmt.Sprintf("%s %d x%g", it.Type, it.Row, it.Quantity)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestHidden(t *testing.T) {
	b := new(Book)
	for i, e := range []features.Event{
		event(1, features.Hide, 1), event(2, features.Dislike, 2), event(3, features.Dislike, 3), event(4, features.Like, 3),
		event(5, features.Like, 1), event(6, features.Dislike, 99), event(7, features.Hide, 200),
	} {
		if !b.Fold(&e) {
			t.Fatalf("event %d changed nothing", i)
		}
	}
	b.Hide(map[string]features.EventType{"item-5": features.Hide, "item-2": features.Hide, "item-6": features.View})
	got := b.Shopper(rows{n: 300}).Hidden.AppendRows(nil)
	if want := []features.Row{1, 2, 5, 99, 200}; !reflect.DeepEqual(got, want) {
		t.Fatalf("got hidden %v, want %v", got, want)
	}
	if got := b.Shopper(rows{n: 50}).Hidden.AppendRows(nil); !reflect.DeepEqual(got, []features.Row{1, 2, 5}) {
		t.Fatalf("got hidden %v in a smaller release, want 1, 2, 5", got)
	}
	for i := range 3 * features.HistoryCap { // hiding outlives the window
		e := event(10+i, features.View, 4)
		b.Fold(&e)
	}
	if !b.Shopper(rows{n: 300}).Hidden.Has(1) {
		t.Fatal("hidden item is back after many events")
	}
}

func TestRemapKeepsIDs(t *testing.T) {
	events := log(3, 200)
	b := Of(events)
	small, large := b.Shopper(rows{n: 10}), b.Shopper(rows{n: 30, shift: 100})
	if len(small.Recent) >= len(large.Recent) {
		t.Fatalf("got %d interactions with 10 items and %d with 30, want fewer", len(small.Recent), len(large.Recent))
	}
	i := 0
	for _, it := range large.Recent {
		if it.Row-100 >= 10 {
			continue
		}
		it.Row -= 100
		if small.Recent[i] != it {
			t.Fatalf("interaction %d: got %+v, want %+v", i, small.Recent[i], it)
		}
		i++
	}
}

func TestMergeIsTheLogOfBoth(t *testing.T) {
	events := log(4, 900)
	rng := rand.New(rand.NewPCG(8, 8))
	session, user := new(Book), new(Book)
	for i := range events {
		if events[i].Type == features.Like { // lifts a dislike only in its own book
			events[i].Type = features.View
		}
		where := rng.IntN(4) // now and then in both
		if where != 1 {
			session.Fold(&events[i])
		}
		if where == 1 || where == 2 {
			user.Fold(&events[i])
		}
	}
	cat := rows{n: 30}
	got, want := Merge(session, user).Shopper(cat), Of(events).Shopper(cat)
	if !reflect.DeepEqual(got.Recent, want.Recent) || !reflect.DeepEqual(got.Hidden, want.Hidden) {
		t.Fatalf("got %d interactions, want %d", len(got.Recent), len(want.Recent))
	}
	if got.Version <= user.Version() || got.Version <= session.Version() {
		t.Fatalf("got version %d, want above %d and %d", got.Version, user.Version(), session.Version())
	}
}
