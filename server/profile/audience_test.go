package profile

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// lists are the partners' lists in a profile.
func lists(f Found) (names []string) {
	for _, a := range f.Profile.Audiences {
		names = append(names, a.Audience)
	}
	return names
}

// A shopper is on the lists of every name they go by: from the import on, from
// the link on, until the link, the list or their consent is taken back or the
// time is over. Segments see it.
func TestListsFollowThePerson(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	k := b.keeper(t.TempDir(), 0)
	must(t, k.PutSegment(ctx, shopID, store.Group{Name: "target", Kind: store.GroupRule, Body: "'vip' in profile.audiences && profile.orders > 0"}))
	_, err := b.store.Append(ctx, shopID, []features.Event{{
		Type: features.Purchase, User: b.names.User("ann"), Item: "i1", Price: features.MoneyOf(2, "EUR"), Time: start,
	}})
	must(t, err)
	k.Stored(shopID, nil)
	b.settle(k)
	expect := func(when string, want ...string) {
		t.Helper()
		f, err := b.get(k, "ann")
		must(t, err)
		if got := lists(f); !slices.Equal(got, want) {
			t.Errorf("%s: got the lists %v, want %v", when, got, want)
		}
		members := 0
		must(t, k.Members(ctx, shopID, "target", features.Marketing, func(Found) error { members++; return nil }))
		if in := slices.Contains(want, "vip"); in != (members == 1) || in != slices.Contains(f.Profile.Segments, "target") {
			t.Errorf("%s: got %d members and the segments %v", when, members, f.Profile.Segments)
		}
	}
	mail := b.names.User(features.EmailUser("a"))
	now := start.AddDate(0, 6, 0)
	enlist := func(name string, l store.Listed) {
		_, err := b.store.Enlist(ctx, shopID, name, "crm", []store.Listed{l})
		must(t, err)
		k.Listed(shopID)
	}
	expect("before")
	enlist("vip", store.Listed{Key: mail})
	enlist("old", store.Listed{Key: b.names.User("ann"), Expires: now.Add(-time.Hour)})
	enlist("new", store.Listed{Key: b.names.User("ann"), Expires: now.Add(time.Hour)})
	expect("by the own id", "new")
	link := func(on bool) {
		if on {
			must(t, b.store.Link(ctx, shopID, mail, b.names.User("ann")))
			k.Linked(shopID, mail, b.names.User("ann"))
		} else {
			must(t, b.store.Unlink(ctx, shopID, mail))
			k.Unlinked(shopID, mail, b.names.User("ann"))
		}
		k.Forget(shopID, b.names.User("ann")) // as the RPC does
	}
	link(true)
	expect("once the e-mail is hers", "new", "vip")
	f, err := b.get(k, "ann")
	must(t, err)
	if m := f.Profile.Audiences[1]; m.Source != "crm" || !m.Since.Equal(now) {
		t.Errorf("got %+v, want who brought it and when", m)
	}
	say := func(p features.Purposes) {
		must(t, b.store.PutUsers(ctx, shopID, []store.User{{ID: "ann", Consent: &p}}))
		k.Forget(shopID, b.names.User("ann"))
	}
	say(features.AllPurposes &^ features.Marketing)
	expect("without consent to marketing")
	say(features.AllPurposes)
	expect("with it again", "new", "vip")
	must(t, k.Close())
	k = b.keeper(t.TempDir(), 0)
	expect("after a start", "new", "vip")
	link(false)
	expect("the e-mail is not hers", "new")
	link(true)
	must(t, b.store.DeleteAudience(ctx, shopID, "vip"))
	k.Listed(shopID)
	expect("the list is gone", "new")
	if _, err := b.get(k, "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v of somebody who never did anything", err)
	}
}

// What is kept of a shop without lists reads none.
func TestNoListsCostNoReads(t *testing.T) {
	b := newBench(t)
	k := b.keeper("", 0)
	b.live(k, 50, 2)
	_, err := b.get(k, b.user(0))
	must(t, err)
	s := k.shop(shopID)
	if e, ok := s.entries.Peek(b.names.User(b.user(0))); !ok || !e.has() || e.listed != 0 || s.listing.Load() != 0 {
		t.Errorf("got kept %v and listing %d of a shop that has none, want no lists read", ok, s.listing.Load())
	}
}
