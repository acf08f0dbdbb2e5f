package profile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/profile"
	"github.com/attune-rec/attune/features/store"
)

// crowd appends the orders of n buyers: every fourth buys much and often.
func (b *bench) crowd(k *Keeper, n int) {
	b.t.Helper()
	var events []features.Event
	for u := range n {
		orders, price := 1+u%2, 5.
		if u%4 == 0 {
			orders, price = 8+u%3, 40.
		}
		for o := range orders {
			events = append(events, features.Event{
				Type: features.Purchase, User: b.names.User(b.user(u)), Item: fmt.Sprint("i", (u+o)%40), Order: fmt.Sprint(u, "/", o),
				Price: features.MoneyOf(price+float64(u%7), "EUR"), Quantity: 1, Time: start.AddDate(0, 0, 10*o+u%30),
			})
		}
	}
	_, err := b.store.Append(context.Background(), shopID, events)
	must(b.t, err)
	k.Stored(shopID, events)
	b.settle(k)
}

func TestSegmentsLiveAndDurable(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	k := b.keeper("", 0)
	b.crowd(k, 200)
	must(t, k.PutSegment(ctx, shopID, store.Group{Name: "big", Kind: store.GroupRule, Body: "profile.spent > 200"}))
	must(t, k.PutSegment(ctx, shopID, store.Group{Name: "big_regular", Kind: store.GroupRule, Body: "'big' in profile.segments && profile.orders > 5"}))
	if err := k.PutSegment(ctx, shopID, store.Group{Name: "bad", Kind: store.GroupRule, Body: "profile.sent > 1"}); !errors.Is(err, profile.ErrSegment) {
		t.Fatalf("got %v, want ErrSegment for a field that there is not", err)
	}
	var seeds []features.UserKey
	for u := 0; u < 200; u += 4 {
		seeds = append(seeds, b.names.User(b.user(u)))
	}
	model, err := k.Train(ctx, shopID, "like_these", "", seeds)
	must(t, err)
	if model.AUC < .99 {
		t.Errorf("got AUC %.3f of buyers apart as day and night", model.AUC)
	}
	found, err := k.Discover(ctx, shopID, 2, 4, true)
	must(t, err)
	if len(found.Clusters) < 2 || found.Clusters[0].Size < found.Clusters[1].Size {
		t.Errorf("got clusters %+v", found.Clusters)
	}
	if _, _, err := k.Grid(ctx, shopID); err != nil {
		t.Fatal(err)
	}
	check := func(k *Keeper) {
		t.Helper()
		f, err := b.get(k, b.user(0))
		must(t, err)
		for _, name := range []string{"big", "big_regular", "like_these"} {
			if !slices.Contains(f.Profile.Segments, name) {
				t.Errorf("got segments %v, want %s", f.Profile.Segments, name)
			}
		}
		c, err := k.Count(ctx, shopID)
		must(t, err)
		members := 0
		must(t, k.Members(ctx, shopID, "big", features.Marketing, func(Found) error { members++; return nil }))
		if c.Shoppers != 200 || c.Sizes["big"] != 50 || members != 50 {
			t.Errorf("got %d shoppers, %d in big and %d streamed: want 200, 50, 50", c.Shoppers, c.Sizes["big"], members)
		}
		clustered, staged := 0, 0
		for name, n := range c.Sizes {
			if strings.HasPrefix(name, "cluster:") {
				clustered += n
			}
			if strings.HasPrefix(name, profile.StagePrefix) {
				staged += n
				size := 0
				must(t, k.Members(ctx, shopID, name, features.Marketing, func(f Found) error {
					if size++; profile.StageName(f.Profile.Lifecycle) != name {
						t.Errorf("got somebody who is %s in %s", f.Profile.Lifecycle, name)
					}
					return nil
				}))
				if size != n {
					t.Errorf("%s: got %d streamed of %d", name, size, n)
				}
			}
		}
		if clustered != 200 || staged != 200 {
			t.Errorf("got %d shoppers in clusters and %d in stages, want each in one", clustered, staged)
		}
	}
	check(k)
	_, err = b.store.Append(ctx, shopID, []features.Event{{
		Type: features.Purchase, User: b.names.User(b.user(1)), Item: "i1", Order: "late", Price: features.MoneyOf(900, "EUR"), Time: start,
	}})
	must(t, err)
	k.Stored(shopID, nil)
	b.settle(k)
	if f, err := b.get(k, b.user(1)); err != nil || !slices.Contains(f.Profile.Segments, "big") {
		t.Errorf("got %+v, %v: want membership to follow the purchase", f.Profile, err)
	}
	_, err = b.store.Append(ctx, shopID, []features.Event{{
		Type: features.Return, User: b.names.User(b.user(1)), Item: "i1", Order: "late", Price: features.MoneyOf(900, "EUR"), Time: start,
	}})
	must(t, err)
	c, err := k.Count(ctx, shopID)
	must(t, err)
	must(t, k.Keep(ctx, shopID, c))
	k.Stored(shopID, nil)
	must(t, k.Close())
	k = b.keeper("", 0)
	check(k)
	if past, err := k.Past(ctx, shopID, 10); err != nil || len(past) != 1 || past[0].Sizes["big"] != 51 {
		t.Errorf("got %+v, %v: want the count that was kept", past, err)
	}
	must(t, k.DeleteSegment(ctx, shopID, "big"))
	if f, err := b.get(k, b.user(0)); err != nil || slices.Contains(f.Profile.Segments, "big_regular") {
		t.Errorf("got %v, %v: want nothing of a segment that is gone, nor of one built on it", f.Profile.Segments, err)
	}
}

func TestFiguresAndAudiencesAskForConsent(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	k := b.keeper("", 0)
	b.crowd(k, 40)
	must(t, k.PutSegment(ctx, shopID, store.Group{Name: "all", Kind: store.GroupRule, Body: "true"}))
	for u, p := range []features.Purposes{features.Personalisation, features.Personalisation | features.Marketing, features.Personalisation | features.Analytics, 0} {
		must(t, b.store.PutUsers(ctx, shopID, []store.User{{ID: b.user(u), Consent: &p}}))
		k.Forget(shopID, b.names.User(b.user(u)))
	}
	c, err := k.Count(ctx, shopID)
	must(t, err)
	members := 0
	must(t, k.Members(ctx, shopID, "all", features.Marketing, func(Found) error { members++; return nil }))
	if c.Shoppers != 37 || members != 37 {
		t.Errorf("got %d counted and %d streamed, want 37 each: of four, one agreed to figures and one to marketing", c.Shoppers, members)
	}
}

func TestListGoesThroughAllOnce(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	k := b.keeper("", 10) // most are made from the store
	b.crowd(k, 120)
	seen := map[features.UserKey]int{}
	var after features.UserKey
	for pages := 0; ; pages++ {
		list, next, err := k.List(ctx, shopID, after, 7, func(f Found) bool { return f.Profile.Orders >= 8 })
		must(t, err)
		for _, f := range list {
			seen[f.Key]++
		}
		if next == nil {
			break
		}
		if after = *next; pages > 40 {
			t.Fatal("the list has no end")
		}
	}
	if len(seen) != 30 {
		t.Errorf("got %d shoppers, want 30", len(seen))
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", key, n)
		}
	}
}

func TestCountsAreKeptNowAndThen(t *testing.T) {
	b := newBench(t)
	k, err := New(Options{Store: b.store, Refresh: 5 * time.Millisecond, Load: time.Minute, Clock: func() time.Time { return start.AddDate(0, 6, 0) }})
	must(t, err)
	defer func() { must(t, k.Close()) }()
	b.settle(k)
	b.crowd(k, 30)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		past, err := k.Past(context.Background(), shopID, 1)
		must(t, err)
		if len(past) == 1 && past[0].Shoppers == 30 && len(past[0].Sizes) > 0 { // cells of the grid
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", past)
		}
	}
}
