package lately

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func shelf(t *testing.T, ids ...string) *catalog.Snapshot {
	t.Helper()
	items := make([]features.Item, len(ids))
	for i, id := range ids {
		items[i].ID = id
	}
	c, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(items features.Catalog, key byte, now time.Time) *features.Request {
	return &features.Request{
		Query:   features.Query{Shop: "ours", Now: now},
		Shopper: &features.Shopper{Key: features.UserKey{key}, Consent: features.AllPurposes}, Item: features.NoRow, Catalog: items,
	}
}

func keeper(t *testing.T, o Options) *Keeper {
	t.Helper()
	k, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// shown is the ids and ages in minutes that a request is told.
func shown(k *Keeper, r *features.Request, release string) (out []string) {
	var v View
	k.Fill(r, release, &v)
	for _, s := range r.Shown {
		out = append(out, fmt.Sprintf("%s %v", r.Catalog.ID(s.Row), r.Now.Sub(time.UnixMilli(s.TimeMS)).Minutes()))
	}
	return out
}

func TestWhatAShopperWasAnswered(t *testing.T) {
	k := keeper(t, Options{Items: 4, For: time.Hour})
	items := shelf(t, "a", "b", "c", "d")
	k.Answered(request(items, 1, noon), "v1", []features.Row{0, 1})
	k.Answered(request(items, 1, noon.Add(10*time.Minute)), "v1", []features.Row{2, 1})
	later := noon.Add(20 * time.Minute)
	if got, want := shown(k, request(items, 1, later), "v1"), []string{"a 20", "b 20", "c 10", "b 10"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	other := shelf(t, "x", "c", "b") // of a release with other rows, without a
	if got, want := shown(k, request(other, 1, later), "v2"), []string{"b 20", "c 10", "b 10"}; !slices.Equal(got, want) {
		t.Errorf("under another release: got %v, want %v", got, want)
	}
	k.Answered(request(items, 1, later), "v1", []features.Row{3})
	if got, want := shown(k, request(items, 1, later), "v1"), []string{"b 20", "c 10", "b 10", "d 0"}; !slices.Equal(got, want) {
		t.Errorf("one more than is kept: got %v, want %v", got, want)
	}
	if got, want := shown(k, request(items, 1, noon.Add(65*time.Minute)), "v1"), []string{"c 55", "b 55", "d 45"}; !slices.Equal(got, want) {
		t.Errorf("later: got %v, want %v", got, want)
	}
	for name, change := range map[string]func(*features.Request){
		"another shopper": func(r *features.Request) { r.Shopper.Key[0] = 2 }, "another shop": func(r *features.Request) { r.Shop = "theirs" },
		"nobody": func(r *features.Request) { r.Shopper = nil }, "no consent": func(r *features.Request) { r.Shopper.Consent = features.Marketing },
	} {
		r := request(items, 1, later)
		change(r)
		if got := shown(k, r, "v1"); len(got) > 0 {
			t.Errorf("%s: got %v, want none", name, got)
		}
		k.Answered(r, "v1", []features.Row{0})
		if r.Shopper != nil && !r.Shopper.Consent.Has(features.Personalisation) && len(shown(k, request(items, 1, later), "v1")) != 4 {
			t.Errorf("%s: it was remembered", name)
		}
	}
	k.Forget("ours", features.UserKey{1})
	if got := shown(k, request(items, 1, later), "v1"); len(got) > 0 {
		t.Errorf("forgotten: got %v, want none", got)
	}
}

func TestTrials(t *testing.T) {
	k := keeper(t, Options{Examine: 1})
	items := shelf(t, "a", "b", "c")
	r := request(items, 1, noon)
	k.Answered(r, "v1", []features.Row{1, 0})
	k.Stored("ours", []features.Event{
		{Type: features.Click, Item: "a", Recommendation: "r"}, {Type: features.Click, Item: "a"}, {Type: features.View, Item: "a", Recommendation: "r"},
		{Type: features.Click, Item: "c", Recommendation: "before this server ran"},
	})
	k.Stored("theirs", []features.Event{{Type: features.Click, Item: "a", Recommendation: "r"}})
	var v View
	k.Fill(r, "v1", &v)
	for row, want := range map[features.Row][2]float64{0: {.5, 1}, 1: {1, 0}, 2: {0, 0}} {
		if looks, clicks := r.Trials.Trial(row); looks != want[0] || clicks != want[1] {
			t.Errorf("item %d: got %v looks, %v clicks, want %v", row, looks, clicks, want)
		}
	}
}

// What is counted by many at once is whole, and fades.
func TestCountingAtOnce(t *testing.T) {
	k := keeper(t, Options{})
	items := shelf(t, "a", "b")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			r := request(items, byte(i), noon)
			var v View
			for range 1000 {
				k.Fill(r, "v1", &v)
				k.Answered(r, "v1", []features.Row{0})
				k.Stored("ours", []features.Event{{Type: features.Click, Item: "a", Recommendation: "r"}})
			}
		})
	}
	wg.Wait()
	if looks, clicks := k.trials("ours").of("a"); looks != 4000 || clicks != 4000 {
		t.Errorf("got %v looks, %v clicks, want 4000 of each", looks, clicks)
	}
	for range 5000 {
		k.Answered(request(items, 9, noon), "v1", []features.Row{0})
	}
	if looks, clicks := k.trials("ours").of("a"); looks > enough || math.Abs(clicks-2000) > 1001 {
		t.Errorf("got %v looks, %v clicks, want them to fade", looks, clicks)
	}
}
