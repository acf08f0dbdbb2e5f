package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/profile"
	"github.com/attune-rec/attune/server/shopper"
)

// What a recommendation is made for carries the shopper's profile, so that
// expressions over profile.* hold; not without consent, and not of a stranger.
func TestRecommendationsSeeTheProfile(t *testing.T) {
	ctx, shop := context.Background(), features.DefaultShop
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st, err := store.Open(ctx, store.Options{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	must(err)
	defer func() { must(st.Close()) }()
	names, err := st.Pseudonyms(ctx, shop)
	must(err)
	ann := names.User("ann")
	_, err = st.Append(ctx, shop, []features.Event{{
		Type: features.Purchase, User: ann, Item: "a", Order: "1", Quantity: 2, Price: features.MoneyOf(30, "EUR"), Time: time.Now(),
	}})
	must(err)
	k, err := profile.New(profile.Options{Store: st, Load: time.Minute})
	must(err)
	defer func() { must(k.Close()) }()
	cache, err := shopper.New(shopper.Options{History: st, Consents: st, Load: time.Minute})
	must(err)
	items, err := catalog.Of([]features.Item{{ID: "a"}})
	must(err)
	p := profiled{cache, k}
	engine, err := expr.New()
	must(err)
	spender, err := engine.Compile("profile.spent == 60", expr.Segment)
	must(err)
	holds := func(user features.UserKey) bool {
		who, err := p.Get(ctx, shop, user, features.UserKey{}, shopper.View{Release: "1", Items: items})
		must(err)
		return spender.Holds(&features.Request{Query: features.Query{Now: time.Now()}, Item: features.NoRow, Shopper: who})
	}
	if !holds(ann) {
		t.Error("an expression over the profile of who spent 60 does not hold")
	}
	if holds(names.User("bob")) {
		t.Error("it holds for a stranger")
	}
	forget := all(cache.Forget, k.Forget)
	for _, c := range []struct {
		consent features.Purposes
		want    bool
	}{{features.Analytics, false}, {features.AllPurposes, true}} {
		must(st.PutUsers(ctx, shop, []store.User{{ID: "ann", Consent: &c.consent}}))
		forget(shop, ann)
		if got := holds(ann); got != c.want {
			t.Errorf("with consent %v: got %v, want %v", c.consent, got, c.want)
		}
	}
}
