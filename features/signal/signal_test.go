package signal

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/profile"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const goodsCount, userCount = 40, 6

func user(i int) features.UserKey { return features.UserKey{1, byte(i)} }

func goods(tb testing.TB) *catalog.Snapshot {
	tb.Helper()
	items := make([]features.Item, goodsCount)
	for i := range items {
		items[i] = features.Item{
			ID: fmt.Sprint("i", i), Category: []string{"all", fmt.Sprint("c", i%5)}, Brand: []string{"", "a", "b"}[i%3],
			Group: fmt.Sprint("g", i/4), Rating: float32(i % 6),
		}
		if i%4 > 0 {
			items[i].Prices = map[string]features.Money{"": features.MoneyOf(float64(i), "EUR")}
			items[i].ListPrices = map[string]features.Money{"FR": features.MoneyOf(30, "EUR")}
			items[i].Created = start.Add(-time.Duration(i) * 50 * time.Hour)
		}
	}
	s, err := catalog.Of(items)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// log is a random log; every third event comes late.
func log(seed uint64, n int) []features.Event {
	rng := rand.New(rand.NewPCG(seed, 9))
	types := append(features.EventTypes(), features.View, features.Purchase, features.CartAdd, features.View)
	events := make([]features.Event, n)
	for i := range events {
		e := features.Event{
			Seq: int64(i + 1), Type: types[rng.IntN(len(types))], Item: fmt.Sprint("i", rng.IntN(goodsCount+2)),
			Time: start.Add(time.Duration(i) * 17 * time.Minute), Market: []string{"", "FR", "DE"}[rng.IntN(3)],
			Price: features.MoneyOf(float64(i*i%97)/3, "EUR"),
		}
		if i%3 == 0 {
			e.Time = e.Time.Add(-time.Duration(rng.IntN(5000)) * time.Minute)
		}
		if u := user(rng.IntN(userCount)); rng.IntN(4) > 0 {
			e.User = u
		} else {
			e.Session = u
		}
		events[i] = e
	}
	return events
}

// ask is a request after some events of the log.
type ask struct {
	after int
	user  int
	where string
}

func asks(seed uint64, n int) []ask {
	rng := rand.New(rand.NewPCG(seed, 10))
	var list []ask
	for i := 0; i < n; i += 1 + rng.IntN(20) {
		list = append(list, ask{i, rng.IntN(userCount + 1), []string{"", "FR", "US"}[rng.IntN(3)]})
	}
	return list
}

// dossier is what is kept of a shopper.
type dossier struct {
	history.Book
	state profile.State
}

// answer is the numbers of all items for a request, from state and books.
func answer(set *Set, state features.State, books map[features.UserKey]*dossier, cat *catalog.Snapshot, a ask) []uint32 {
	r := &features.Request{
		Query: features.Query{Market: a.where, Now: start.Add(time.Duration(a.after)*17*time.Minute + time.Second)},
		Item:  features.NoRow, Catalog: cat, State: state, Scratch: new(features.Scratch),
	}
	if b := books[user(a.user)]; b != nil {
		r.Shopper = b.Shopper(cat)
		r.Shopper.Profile = b.state.Profile(nil, r.Now)
		r.Shopper.Key, r.Shopper.Consent = user(a.user), features.AllPurposes
	}
	items := make([]features.Row, cat.Len())
	for i := range items {
		items[i] = features.Row(i)
	}
	out := make([]float32, len(items)*set.Width())
	set.Value(r, items, out)
	bits := make([]uint32, len(out))
	for i, v := range out {
		bits[i] = math.Float32bits(v)
	}
	return bits
}

// serve answers the asks while the log comes in, in batches with repeats.
func serve(set *Set, cat *catalog.Snapshot, events []features.Event, list []ask) [][]uint32 {
	m, books := NewMemory(set), map[features.UserKey]*dossier{}
	var answers [][]uint32
	done := 0
	for _, a := range list {
		m.Fold(events[max(0, done-3):a.after]...)
		for ; done < a.after; done++ {
			book(books, &events[done])
		}
		answers = append(answers, answer(set, m, books, cat, a))
	}
	return answers
}

func book(books map[features.UserKey]*dossier, e *features.Event) {
	k := e.Subject()
	if books[k] == nil {
		books[k] = new(dossier)
	}
	books[k].Fold(e)
	books[k].state.Update(e)
}

func newSet(tb testing.TB) *Set {
	tb.Helper()
	set, err := NewSet()
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func TestReplayEqualsLive(t *testing.T) {
	set, cat := newSet(t), goods(t)
	const n = 1200
	for seed := range uint64(3) {
		events, list := log(seed, n), asks(seed, n)
		live := serve(set, cat, events, list)
		// The replay folds each event by itself into a plain state, from the
		// log alone, and stops over from a snapshot now and then.
		m, books, next := NewMemory(set), map[features.UserKey]*dossier{}, 0
		known := 0
		for i := 0; i <= n && next < len(list); i++ {
			for next < len(list) && list[next].after == i {
				if got := answer(set, m, books, cat, list[next]); !slices.Equal(got, live[next]) {
					t.Fatalf("seed %d, request %d: the replay gives other numbers than serving did", seed, next)
				}
				for _, bits := range live[next] {
					if v := math.Float32frombits(bits); v == v {
						known++
					}
				}
				next++
			}
			if i == n {
				break
			}
			set.Update(m, events[i])
			m.seq = events[i].Seq
			book(books, &events[i])
			if i%400 == 399 {
				var b bytes.Buffer
				if err := m.Save(&b); err != nil {
					t.Fatal(err)
				}
				var err error
				if m, err = Decode(set, b.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if next != len(list) || known == 0 {
			t.Fatalf("compared %d of %d requests, %d numbers known", next, len(list), known)
		}
	}
}

func TestTheFutureChangesNothing(t *testing.T) {
	set, cat := newSet(t), goods(t)
	const n, until = 900, 500
	events := log(7, n)
	var list []ask
	for _, a := range asks(7, n) {
		if a.after <= until {
			list = append(list, a)
		}
	}
	want := serve(set, cat, events, list)
	rng := rand.New(rand.NewPCG(3, 3))
	for range 3 {
		future := slices.Clone(events[until:])
		rng.Shuffle(len(future), func(i, j int) { future[i], future[j] = future[j], future[i] })
		for i := range future {
			future[i].Seq = int64(until + i + 1)
		}
		other := append(slices.Clone(events[:until]), future...)
		got := serve(set, cat, other, append(slices.Clone(list), ask{after: n}))
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Fatalf("request %d after %d events: what came later changed its numbers", i, list[i].after)
			}
		}
		if all := serve(set, cat, events, []ask{{after: n}}); slices.Equal(all[0], got[len(got)-1]) {
			t.Fatal("the shuffled future does not differ: the test shows nothing")
		}
	}
}

func TestValuesBySenseOfTheWords(t *testing.T) {
	set, cat := newSet(t), goods(t)
	m, books := NewMemory(set), map[features.UserKey]*dossier{}
	event := func(seq int, typ features.EventType, item, market string) {
		e := features.Event{Seq: int64(seq), Type: typ, Item: item, Market: market, User: user(1), Time: start}
		m.Fold(e)
		book(books, &e)
	}
	event(1, features.Purchase, "i6", "FR")
	event(2, features.View, "i6", "FR")
	event(3, features.CartAdd, "i11", "DE")
	bits := answer(set, m, books, cat, ask{user: 1, where: "FR"})
	col := map[string]int{}
	for i, name := range set.Columns() {
		col[name] = i
	}
	at := func(item int, name string) float64 {
		return float64(math.Float32frombits(bits[item*set.Width()+col[name]]))
	}
	for _, c := range []struct {
		item int
		name string
		want float64
	}{
		{0, "recency.1", math.Log1p(3)}, {0, "recency.3", math.Log1p(1)}, {6, "popularity.0", math.Log1p(1)}, {6, "popularity.1", math.Log1p(1)},
		{11, "popularity.1", 0}, {11, "popularity.2", 0}, {6, "popularity.2", math.Log1p(1)}, {6, "pair.0", math.Log1p(1)}, {6, "pair.2", math.Log1p(1)},
		{11, "pair.1", math.Log1p(1)}, {0, "pair.0", 0}, {1, "affinity.0", 1}, {0, "affinity.0", 0}, {2, "affinity.1", 2. / 7}, {11, "similar.0", 1}, {6, "similar.0", .75},
		{6, "moment.0", math.Log((2 + 10*4./7) / 12 / (4. / 7))}, {7, "shelf.1", 1 - 7./30}, {7, "shelf.2", 1},
	} {
		if got := at(c.item, c.name); math.Abs(got-c.want) > 1e-4 {
			t.Errorf("item %d, %s: got %v, want %v", c.item, c.name, got, c.want)
		}
	}
	for _, name := range []string{"affinity.1", "price.0", "shelf.0", "pair.3"} {
		if got := at(0, name); got == got {
			t.Errorf("item 0, %s: got %v, want unknown", name, got)
		}
	}
	nobody := answer(set, m, nil, cat, ask{user: 1})
	if v := math.Float32frombits(nobody[col["recency.1"]]); v == v {
		t.Errorf("without a shopper: got %v, want unknown", v)
	}
	m.Forget(user(1))
	if m.Read("recency", features.OfUser, subjectOf(1)) != nil || m.Read("pair", features.OfPair, subjectOf(1)+"i6") != nil {
		t.Error("a forgotten user's cells are still there")
	}
	if m.Read("popularity", features.OfItem, "i6") == nil {
		t.Error("an item's cells went with a user")
	}
}

func subjectOf(i int) string { k := user(i); return string(k[:]) }

func TestReadersBesideTheWriter(t *testing.T) {
	set, cat := newSet(t), goods(t)
	m := NewMemory(set)
	events := log(2, 600)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range events {
			m.Fold(events[i])
		}
	})
	for u := range 4 {
		wg.Go(func() {
			for range 40 {
				answer(set, m, nil, cat, ask{user: u, after: 600})
				c := m.Read("recency", features.OfUser, subjectOf(u))
				if c == nil {
					continue
				}
				was := slices.Clone(c)
				answer(set, m, nil, cat, ask{user: u, after: 600})
				if !slices.Equal(was, c) {
					t.Error("cells changed under a reader")
				}
			}
		})
	}
	wg.Wait()
	if m.Seq() != 600 {
		t.Errorf("got seq %d, want 600", m.Seq())
	}
}

func TestSetsByName(t *testing.T) {
	set, err := NewSet("pair", "recency")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(set.Columns(), " "); set.Width() != 8 || got != "pair.0 pair.1 pair.2 pair.3 recency.0 recency.1 recency.2 recency.3" {
		t.Errorf("got %d columns %s", set.Width(), got)
	}
	for _, bad := range [][]string{{"pair", "pair"}, {"nothing"}} {
		if _, err := NewSet(bad...); !errors.Is(err, ErrSignal) {
			t.Errorf("%v: got %v, want ErrSignal", bad, err)
		}
	}
}

func TestSnapshotsThatAreNone(t *testing.T) {
	set := newSet(t)
	m := NewMemory(set)
	m.Fold(log(1, 50)...)
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Decode(set, b.Bytes())
	if err != nil || back.Seq() != 50 || back.Len() != m.Len() {
		t.Fatalf("got %v, want the memory back", err)
	}
	for i := range b.Len() {
		bad := bytes.Clone(b.Bytes())
		bad[i] ^= 0x10
		if _, err := Decode(set, bad); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("byte %d changed: got %v, want ErrSnapshot", i, err)
		}
		if _, err := Decode(set, bad[:i]); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("cut at %d: got %v, want ErrSnapshot", i, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	set := newSet(f)
	m := NewMemory(set)
	m.Fold(log(1, 5)...)
	var b bytes.Buffer
	if err := m.Save(&b); err != nil {
		f.Fatal(err)
	}
	body := b.Bytes()[len(magic) : b.Len()-4]
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := Decode(set, sealed(body))
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("got %v, want ErrSnapshot", err)
			}
			return
		}
		var once, twice bytes.Buffer
		if err := m.Save(&once); err != nil {
			t.Fatal(err)
		}
		again, err := Decode(set, once.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Save(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("what was saved loads as something else: %v", err)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	m, events, i := NewMemory(newSet(b)), log(1, 100_000), 0
	b.ReportAllocs()
	for b.Loop() {
		e := events[i%len(events)]
		e.Seq = 0
		m.Fold(e)
		i++
	}
}

func BenchmarkValue300(b *testing.B) {
	set, cat := newSet(b), goods(b)
	m, books := NewMemory(set), map[features.UserKey]*dossier{}
	for _, e := range log(1, 1000) {
		m.Fold(e)
		book(books, &e)
	}
	s := books[user(1)].Shopper(cat)
	s.Key, s.Consent = user(1), features.AllPurposes
	scratch := new(features.Scratch)
	r := &features.Request{Query: features.Query{Market: "FR", Now: start.Add(300 * time.Hour)}, Shopper: s, Catalog: cat, State: m, Scratch: scratch}
	items := make([]features.Row, 300)
	for i := range items {
		items[i] = features.Row(i % goodsCount)
	}
	out := make([]float32, len(items)*set.Width())
	b.ReportAllocs()
	for b.Loop() {
		scratch.Reset()
		set.Value(r, items, out)
	}
}

// Every signal says of what and from what it is, and names each of its numbers.
func TestSignalsSayWhatTheyAre(t *testing.T) {
	of := map[string]bool{}
	for _, s := range Signals() {
		a := s.About()
		if of[a.Of] = true; a.From == "" || len(a.Numbers) != s.Width() {
			t.Errorf("%s: got %+v, want what it is made of and %d numbers", s.Name(), a, s.Width())
		}
	}
	for _, kind := range []string{"user", "item", "context", "pair", "sequence"} {
		if !of[kind] {
			t.Errorf("no signal is about the %s", kind)
		}
	}
	if len(of) != 5 {
		t.Errorf("got signals about %v, want five kinds", of)
	}
}

func TestCharacterIsTheProfiles(t *testing.T) {
	now := start.Add(20 * 24 * time.Hour)
	s := &features.Shopper{Key: user(1), Consent: features.AllPurposes, Recent: make([]features.Interaction, 1), Profile: &features.Profile{
		Orders: 3, GapDays: 9, Last: start, PriceLevel: .7, ReturnShare: .2, Tags: []features.Tag{{Name: "quality", Confidence: .95}, {Name: "night", Confidence: 1}},
	}}
	ask := func(s *features.Shopper) []float32 {
		out := make([]float32, characterWidth)
		Character{}.Value(&features.Request{Query: features.Query{Now: now}, Shopper: s}, make([]features.Row, 1), out)
		return out
	}
	got, want := ask(s), []float64{math.Log(21. / 10), .7, .2, 0, .95, 0}
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > 1e-6 {
			t.Errorf("number %d: got %v, want %v", i, got[i], want[i])
		}
	}
	s.Consent = features.Analytics
	if v := ask(s); v[1] == v[1] {
		t.Errorf("without consent: got %v, want unknown", v)
	}
}

// In market A cheap goods sell, in B dear ones; at weekends dear ones do.
func TestCrossingLearnsWhatSellsWhere(t *testing.T) {
	items, err := catalog.Of([]features.Item{
		{ID: "cheap", Prices: map[string]features.Money{"": features.MoneyOf(1.5, "EUR")}}, {ID: "dear", Prices: map[string]features.Money{"": features.MoneyOf(90, "EUR")}}, {ID: "unpriced"},
	})
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet("crossing")
	if err != nil {
		t.Fatal(err)
	}
	m := NewMemory(set)
	saturday := start.AddDate(0, 0, int(time.Saturday-start.Weekday()))
	for i := range 200 {
		e := features.Event{Seq: int64(i + 1), Type: features.Purchase, Item: "x", Market: "A", Time: saturday.AddDate(0, 0, 3), Price: features.MoneyOf(1.2, "EUR")}
		if i%2 == 1 {
			e.Market, e.Time, e.Price = "B", saturday, features.MoneyOf(100, "EUR")
		}
		m.Fold(e)
	}
	for _, c := range []struct {
		market string
		at     time.Time
		signs  [4]float32 // cheap by market, by time; dear by market, by time
	}{{"A", saturday, [4]float32{1, -1, -1, 1}}, {"B", saturday.AddDate(0, 0, 3), [4]float32{-1, 1, 1, -1}}} {
		r := &features.Request{Query: features.Query{Market: c.market, Now: c.at}, Item: features.NoRow, Catalog: items, State: m}
		rows, out := []features.Row{0, 1, 2}, make([]float32, 6)
		set.Value(r, rows, out)
		for i, sign := range c.signs {
			row, _ := items.Row([]string{"cheap", "dear"}[i/2])
			if v := out[2*int(row)+i%2] * sign; !(v > .5) {
				t.Errorf("market %s, number %d: got %v, want one of sign %v that is told", c.market, i, out[2*int(row)+i%2], sign)
			}
		}
		if row, _ := items.Row("unpriced"); out[2*row] == out[2*row] {
			t.Errorf("without a price: got %v, want unknown", out[2*row])
		}
	}
}
