package dataset

import (
	"context"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

// tape is a log in memory; sessions that begin with 9 are known to be user 1.
type tape []features.Event

func (l tape) Scan(_ context.Context, _ features.ShopID, _, _ int64, f func(*features.Event) error) error {
	for i := range l {
		e := l[i]
		e.Seq = int64(i + 1)
		if err := f(&e); err != nil {
			return err
		}
	}
	return nil
}

func (l tape) Resolve(_ context.Context, _ features.ShopID, key features.UserKey) (features.UserKey, error) {
	if key[0] == 9 {
		return features.UserKey{1}, nil
	}
	return key, nil
}

// Consent: users that begin with 7 did not agree to analytics.
func (l tape) Consent(_ context.Context, _ features.ShopID, key features.UserKey) (features.Purposes, error) {
	if key[0] == 7 {
		return features.Personalisation | features.Marketing, nil
	}
	return features.AllPurposes, nil
}

func TestFromLogLeavesOutWhoDidNotAgree(t *testing.T) {
	items, err := catalog.Of([]features.Item{{ID: "a"}, {ID: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	day := func(n int) time.Time { return time.Date(2011, 11, n, 0, 0, 0, 0, time.UTC) }
	l := tape{
		{Type: features.Purchase, User: features.UserKey{7}, Item: "a", Market: "FR", Time: day(1)},
		{Type: features.View, User: features.UserKey{1}, Item: "b", Market: "DE", Time: day(2)},
		{Type: features.View, User: features.UserKey{7}, Item: "b", Market: "FR", Time: day(3)},
	}
	got, err := FromLog(context.Background(), l, features.DefaultShop, items)
	if err != nil {
		t.Fatal(err)
	}
	w := got[0]
	if w.Data.NumUsers() != 1 || len(w.Data.Log) != 1 || w.Events != 1 || !w.From.Equal(day(2)) || !w.To.Equal(day(2)) || len(w.Data.Markets) != 1 {
		t.Errorf("got %d users, %d interactions and %d events from %v to %v in markets %v: want nothing of who did not agree",
			w.Data.NumUsers(), len(w.Data.Log), w.Events, w.From, w.To, w.Data.Markets)
	}
}

// Withheld keeps out what was done on surface "attack".
func (l tape) Withheld(context.Context, features.ShopID) (func(*features.Event) bool, error) {
	return func(e *features.Event) bool { return e.Surface == "attack" }, nil
}

// What is withheld changes nothing.
func TestFromLogWithheld(t *testing.T) {
	items, err := catalog.Of([]features.Item{{ID: "a"}, {ID: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	l := tape{
		{Type: features.Purchase, User: features.UserKey{1}, Item: "a"},
		{Type: features.Purchase, User: features.UserKey{2}, Item: "b", Surface: "attack"},
		{Type: features.Purchase, User: features.UserKey{1}, Item: "b", Surface: "attack"},
		{Type: features.View, User: features.UserKey{1}, Item: "b"},
	}
	got, err := FromLog(context.Background(), l, features.DefaultShop, items)
	if err != nil {
		t.Fatal(err)
	}
	if w := got[0]; w.Events != 2 || w.Data.NumUsers() != 1 || len(w.Data.Log) != 2 {
		t.Errorf("got %d events of %d users, want those 2 of 1 that are not withheld", w.Events, w.Data.NumUsers())
	}
}

func TestFromLog(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2011, 11, n, 0, 0, 0, 0, time.UTC) }
	one, two, session := features.UserKey{1}, features.UserKey{2}, features.UserKey{9}
	items, err := catalog.Of([]features.Item{{ID: "a"}, {ID: "b"}, {ID: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	l := tape{
		{Type: features.Purchase, User: one, Item: "a", Market: "DE", Time: day(1), Quantity: 2},
		{Type: features.View, Session: session, Item: "b", Market: "DE", Time: day(2)},
		{Type: features.Purchase, User: two, Item: "gone", Time: day(3)},
		{Type: features.Search, User: two, Text: "mug", Time: day(3)},
		{Type: features.Purchase, User: two, Item: "c", Market: "FR", Time: day(10)},
		{Type: features.Return, User: one, Item: "a", Market: "DE", Time: day(11), Quantity: 2},
	}
	got, err := FromLog(context.Background(), l, features.DefaultShop, items, day(5))
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range got {
		if err := w.Data.Validate(); err != nil {
			t.Fatalf("window %d: %v", i, err)
		}
	}
	before, after := got[0], got[1]
	if before.Events != 4 || after.Events != 2 || before.LastSeq != 4 || !before.From.Equal(day(1)) || !after.To.Equal(day(11)) {
		t.Errorf("got windows of %d and %d events, last %d, from %v to %v", before.Events, after.Events, before.LastSeq, before.From, after.To)
	}
	if h := before.Data.History(0); len(h) != 2 || h[0].Row != 0 || h[0].Quantity != 2 || h[1].Row != 1 || h[1].Type != features.View {
		t.Errorf("got history %+v of the first user: want the purchase, not yet returned, and what the session saw", h)
	}
	if before.Data.LastMarket(0) != "DE" || after.Data.LastMarket(1) != "FR" {
		t.Errorf("got markets %q and %q", before.Data.LastMarket(0), after.Data.LastMarket(1))
	}
	if h := before.Data.History(1); len(h) != 0 {
		t.Errorf("got history %+v of the second user: want none of an unknown item or a search", h)
	}
	if h := after.Data.History(0); len(h) != 1 || h[0].Type != features.Return {
		t.Errorf("got %+v after the cut: want the return alone", h)
	}
	if _, err := FromLog(context.Background(), l, features.DefaultShop, items, day(5), day(4)); err == nil {
		t.Error("cuts that do not ascend were taken")
	}
}
