package profile

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

var start = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

// log is a random log with late events.
func log(seed uint64, n, items int) []features.Event {
	rng := rand.New(rand.NewPCG(seed, 1))
	types := append(features.EventTypes(), features.Purchase, features.Purchase, features.Return, features.View)
	events := make([]features.Event, n)
	for i := range events {
		e := features.Event{
			Seq: int64(i + 1), Type: types[rng.IntN(len(types))], Item: fmt.Sprint("i", rng.IntN(items)),
			Time: start.Add(time.Duration(i*3-rng.IntN(100)) * time.Hour), Quantity: int32(rng.IntN(4)),
			Price: features.MoneyOf(float64(rng.IntN(50)), "EUR"), Value: float64(1 + rng.IntN(5)), Market: "DE", Device: "phone",
			Channel: []string{"web", "app", "mail", ""}[rng.IntN(4)],
		}
		if rng.IntN(2) == 0 {
			e.Order = fmt.Sprint(rng.IntN(20))
		}
		events[i] = e
	}
	return events
}

func goods(n int) *catalog.Snapshot {
	items := make([]features.Item, n)
	for i := range items {
		items[i] = features.Item{
			ID: fmt.Sprint("i", i), Category: []string{"all", fmt.Sprint("c", i%4)}, Brand: fmt.Sprint("b", i%3),
			Prices: map[string]features.Money{"": features.MoneyOf(float64(1+i%40), "EUR")},
		}
	}
	s, err := catalog.Of(items)
	if err != nil {
		panic(err) // the ids differ
	}
	return s
}

func TestUpdateEqualsRebuild(t *testing.T) {
	for seed := range uint64(4) {
		events := log(seed, 4000, 3000) // more items than are kept
		ref := NewReference(goods(3000), slices.Values(events))
		live := new(State)
		for i := range events {
			live.Update(&events[i])
			if live.Update(&events[i]) || live.Update(&events[i/2]) {
				t.Fatalf("event %d was folded twice", i)
			}
			if i%500 != 0 && i != len(events)-1 {
				continue
			}
			rebuilt := Of(events[:i+1])
			if !reflect.DeepEqual(live, rebuilt) {
				t.Fatalf("seed %d, event %d: the states differ", seed, i)
			}
			now := events[i].Time.Add(time.Hour)
			if got, want := live.Profile(ref, now), rebuilt.Profile(ref, now); !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, event %d: got %+v, want %+v", seed, i, got, want)
			}
		}
		if len(live.items) > 2*itemCap {
			t.Fatalf("got %d items, want at most %d", len(live.items), 2*itemCap)
		}
	}
}

func buy(seq int, days int, item, order string, n int32, price float64) features.Event {
	return features.Event{Seq: int64(seq), Type: features.Purchase, Item: item, Order: order, Quantity: n,
		Price: features.MoneyOf(price, "EUR"), Time: start.Add(time.Duration(days) * day)}
}

func TestConsumption(t *testing.T) {
	back := buy(4, 12, "i2", "a", 1, 0)
	back.Type = features.Return
	unknown := buy(5, 13, "i9", "z", 4, 3)
	unknown.Type = features.Return
	events := []features.Event{buy(1, 0, "i1", "a", 2, 5), buy(2, 0, "i2", "a", 3, 10), buy(3, 10, "i1", "", 1, 5), back, unknown, buy(6, 20, "i3", "", 1, 7)}
	p := Of(events).Profile(nil, start.Add(25*day))
	if len(p.Tags) != 1 || p.Tags[0].Name != "morning" || p.Tags[0].Evidence != "5 of 5 visits from 6 to 12 o'clock" {
		t.Errorf("got tags %+v, want the morning", p.Tags)
	}
	p.Tags = nil
	want := features.Profile{First: start, Last: start.Add(20 * day), RecencyDays: 5, Orders: 3, Spent: 42, Pieces: 6,
		ReturnShare: 1. / 7, GapDays: 10, PriceLevel: .5, Sensitivity: 1, Lifecycle: Active}
	if !reflect.DeepEqual(*p, want) {
		t.Fatalf("got %+v, want %+v", *p, want)
	}
}

func TestLifecycle(t *testing.T) {
	orders := func(days ...int) []features.Event {
		var events []features.Event
		for i, d := range days {
			events = append(events, buy(i+1, d, "i1", fmt.Sprint(i), 1, 5))
		}
		return events
	}
	for _, c := range []struct {
		days []int
		now  int
		want string
	}{
		{[]int{0}, 10, New}, {[]int{0}, 31, Active}, {[]int{0}, 91, AtRisk}, {[]int{0}, 181, Lost},
		{[]int{0, 30, 60}, 70, Active}, {[]int{0, 30, 60, 90}, 100, Loyal}, {[]int{0, 30, 60, 90}, 151, AtRisk}, {[]int{0, 30, 60, 90}, 211, Lost},
		{[]int{0, 1, 2, 3}, 30, Loyal}, {[]int{0, 1, 2, 3}, 32, AtRisk},
	} {
		if got := Of(orders(c.days...)).Profile(nil, start.Add(time.Duration(c.now)*day)).Lifecycle; got != c.want {
			t.Errorf("orders on days %v, on day %d: got %s, want %s", c.days, c.now, got, c.want)
		}
	}
}

func TestMotivesAndLevels(t *testing.T) {
	cat := goods(80)
	var all, bargain, dearest []features.Event
	for i := range 400 {
		all = append(all, buy(i+1, i%50, fmt.Sprint("i", i%80), fmt.Sprint(i), 1, float64(1+i%40)))
	}
	for i := range 20 {
		cheap := buy(i+1, i, fmt.Sprint("i", i), fmt.Sprint(i), 1, .8*float64(1+i%40))
		bargain, all = append(bargain, cheap), append(all, cheap)
		dearest = append(dearest, buy(i+1, i, fmt.Sprint("i", 36+i%4), fmt.Sprint(i), 1, float64(37+i%4)))
	}
	all = append(all, dearest...)
	ref := NewReference(cat, slices.Values(all))
	tags := func(events []features.Event) string {
		var names []string
		for _, tag := range Of(events).Profile(ref, start.Add(60*day)).Tags {
			if tag.Confidence < sureEnough || tag.Confidence > 1 || !strings.Contains(tag.Evidence, "20 of 20 purchases") || tag.Since != start {
				t.Errorf("bad tag %+v", tag)
			}
			names = append(names, tag.Name)
		}
		return strings.Join(names, " ")
	}
	for i := range bargain {
		bargain[i].Time, dearest[i].Time = start, start // one visit: no scene
	}
	if got := tags(bargain); got != "value" {
		t.Errorf("got tags %q, want value", got)
	}
	if got := tags(dearest); got != "quality" {
		t.Errorf("got tags %q, want quality", got)
	}
	if got := Of(dearest).Profile(ref, start).PriceLevel; got < .9 {
		t.Errorf("got price level %v, want at least .9", got)
	}
}

func TestInterestsDecay(t *testing.T) {
	ref := NewReference(goods(80), nil)
	view := func(seq, days int, item string) features.Event {
		return features.Event{Seq: int64(seq), Type: features.View, Item: item, Time: start.Add(time.Duration(days) * day)}
	}
	s := Of([]features.Event{view(1, 0, "i0"), view(2, 0, "i0"), view(3, 120, "i1"), view(4, 60, "i2")})
	got := s.Profile(ref, start.Add(120*day)).Categories
	want := []features.Weighted{{Name: "c1", Weight: .5}, {Name: "c0", Weight: .25}, {Name: "c2", Weight: .25}}
	if !reflect.DeepEqual(got, want) { // two views four half lives ago weigh as one two ago
		t.Fatalf("got %v, want %v", got, want)
	}
}

// What a shopper does among others, and by which channel.
func TestSocialAndChannel(t *testing.T) {
	var events []features.Event
	for i, e := range []struct {
		of      features.EventType
		channel string
	}{
		{features.Share, "web"}, {features.Review, "app"}, {features.Comment, "app"}, {features.Rating, "app"}, {features.Unfollow, ""},
		{features.Follow, "web"}, {features.Follow, ""}, {features.Unfollow, ""},
	} {
		events = append(events, features.Event{Seq: int64(i + 1), Type: e.of, Item: "i1", Target: "somebody", Channel: e.channel, Value: 4, Time: start.Add(time.Duration(i) * day)})
	}
	p := Of(events).Profile(nil, start.Add(20*day))
	if want := (features.Social{Shares: 1, Voices: 3, Follows: 1}); p.Social != want || p.Channel != "app" {
		t.Errorf("got %+v by %q, want %+v by app", p.Social, p.Channel, want)
	}
}

// Who buys mostly of one kind has its style; who buys as everybody has none,
// and who waits for discounts is told by a number above 1.
func TestStyleAndSensitivity(t *testing.T) {
	var items []features.Item
	for i := range 80 {
		items = append(items, features.Item{ID: fmt.Sprint("i", i), Category: []string{fmt.Sprint("kind", i%8)}, Prices: map[string]features.Money{"": features.MoneyOf(10, "EUR")}})
	}
	cat, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	var all, gardener, like, bargains []features.Event
	for i := range 800 {
		all = append(all, buy(i+1, i%50, fmt.Sprint("i", i%80), fmt.Sprint(i), 1, 10-2*float64(i%4/3)))
	}
	for i := range 24 {
		gardener = append(gardener, buy(i+1, 0, fmt.Sprint("i", 8*(i%10)), "a", 1, 10))
		like = append(like, buy(i+1, 0, fmt.Sprint("i", i), "a", 1, 10))
		bargains = append(bargains, buy(i+1, 0, fmt.Sprint("i", i), "a", 1, 8))
	}
	ref := NewReference(cat, slices.Values(all))
	of := func(events []features.Event) *features.Profile { return Of(events).Profile(ref, start.Add(day)) }
	tags := of(gardener).Tags
	if len(tags) != 1 || tags[0].Name != "style:kind0" || !IsStyle(tags[0].Name) || tags[0].Confidence < sureEnough || tags[0].Evidence != "24 of 24 purchases are of kind0; 12 % among all shoppers" {
		t.Errorf("got %+v, want the style of kind0", tags)
	}
	if tags := of(like).Tags; slices.ContainsFunc(tags, func(tag features.Tag) bool { return IsStyle(tag.Name) }) {
		t.Errorf("who buys as everybody: got %+v, want no style", tags)
	}
	if a, b := of(like).Sensitivity, of(bargains).Sensitivity; a >= 1 || b <= 1.3 {
		t.Errorf("got sensitivities %.2f at full prices and %.2f at discounts, want below 1 and well above", a, b)
	}
}

func BenchmarkUpdate(b *testing.B) {
	events := log(1, 100_000, 400)
	s, i := new(State), 0
	b.ReportAllocs()
	for b.Loop() {
		if i == len(events) {
			s, i = new(State), 0
		}
		s.Update(&events[i])
		i++
	}
}

func BenchmarkProfile(b *testing.B) {
	events := log(1, 300, 100)
	ref := NewReference(goods(400), slices.Values(events))
	s := Of(events)
	b.ReportAllocs()
	for b.Loop() {
		s.Profile(ref, start.Add(900*time.Hour))
	}
}
