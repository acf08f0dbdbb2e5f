package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// listed is somebody by what a partner's list has of them.
func listed(t *testing.T, s *Store, id string) Listed {
	t.Helper()
	return Listed{Key: must(s.Pseudonyms(context.Background(), shop))(t).User(id)}
}

func on(t *testing.T, s *Store, keys ...features.UserKey) (names []string) {
	t.Helper()
	for _, m := range must(s.Memberships(context.Background(), shop, keys))(t) {
		names = append(names, m.Audience)
	}
	return names
}

// A list has those that were put on it, once each, and says how many of them
// somebody goes by: who told something, who did something, whom a link names.
func TestAudiencesCountWhoIsOnThem(t *testing.T) {
	ctx := context.Background()
	now := noon
	s := open(t, Options{Clock: func() time.Time { return now }})
	told, linked, stranger, gone := listed(t, s, "ann"), listed(t, s, features.EmailUser("b0b")), listed(t, s, features.DeviceUser("tv")), listed(t, s, "old")
	gone.Expires = now.Add(time.Hour)
	did := listed(t, s, "doer")
	e := event(1)
	e.User = did.Key
	must(s.Append(ctx, shop, []features.Event{e}))(t)
	if err := s.PutUsers(ctx, shop, []User{{ID: "ann"}}); err != nil {
		t.Fatal(err)
	}
	everybody := []Listed{told, linked, stranger, gone, did, told}
	if got := must(s.Enlist(ctx, shop, "vip", "crm", everybody))(t); got != (Enlisted{Stored: 5, Same: 1}) {
		t.Errorf("got %+v, want five", got)
	}
	now = now.Add(2 * time.Hour)
	if got := must(s.Enlist(ctx, shop, "vip", "crm", everybody))(t); got != (Enlisted{Same: 6}) {
		t.Errorf("got %+v the second time, want nothing new", got)
	}
	want := Audience{Name: "vip", Source: "crm", Created: noon, Updated: noon, Size: 5, Matched: 2, Unmatched: 2, Expired: 1}
	if got := must(s.GetAudience(ctx, shop, "vip"))(t); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := s.Link(ctx, shop, linked.Key, must(s.Pseudonyms(ctx, shop))(t).User("bob")); err != nil {
		t.Fatal(err)
	}
	want.Matched, want.Unmatched = 3, 1
	if got := must(s.ListAudiences(ctx, shop, "", 10))(t); len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, want %+v once somebody goes by the e-mail", got, want)
	}
	if got := must(s.ListAudiences(ctx, "other", "", 10))(t); len(got) != 0 {
		t.Errorf("got %+v of another shop", got)
	}
	if got := must(s.Retain(ctx, shop, "vip", map[features.UserKey]struct{}{told.Key: {}}))(t); got != 4 || on(t, s, linked.Key) != nil || len(on(t, s, told.Key)) != 1 {
		t.Errorf("got %d taken off, want all but one", got)
	}
	if err := s.DeleteAudience(ctx, shop, "vip"); err != nil || on(t, s, told.Key) != nil {
		t.Errorf("got %v and the lists %v after the list went", err, on(t, s, told.Key))
	}
	if err := s.DeleteAudience(ctx, shop, "vip"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound the second time", err)
	}
	if _, err := s.Enlist(ctx, shop, "a/b", "crm", everybody); err == nil {
		t.Error("got no error for a name that no path can have")
	}
}

// Of several names on one list a person is on it since the first and until the
// last.
func TestMembershipsAreOfThePerson(t *testing.T) {
	ctx := context.Background()
	now := noon
	s := open(t, Options{Clock: func() time.Time { return now }})
	mail, device := listed(t, s, features.EmailUser("a")), listed(t, s, features.DeviceUser("a"))
	mail.Expires, device.Expires = noon.Add(time.Hour), noon.Add(2*time.Hour)
	must(s.Enlist(ctx, shop, "vip", "crm", []Listed{mail}))(t)
	now = now.Add(time.Minute)
	must(s.Enlist(ctx, shop, "vip", "ads", []Listed{device}))(t)
	must(s.Enlist(ctx, shop, "big", "ads", []Listed{device}))(t)
	want := []features.Membership{
		{Audience: "big", Source: "ads", Since: now, Expires: device.Expires},
		{Audience: "vip", Source: "crm", Since: noon, Expires: device.Expires},
	}
	if got := must(s.Memberships(ctx, shop, []features.UserKey{device.Key, mail.Key}))(t); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Erasure takes a person off every list, under every name, and no list brings
// them back until they agree to marketing themselves.
func TestErasedStayOffTheLists(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{})
	names := must(s.Pseudonyms(ctx, shop))(t)
	ann, mail, other := names.User("ann"), listed(t, s, features.EmailUser("a")), listed(t, s, "bob")
	if err := s.Link(ctx, shop, mail.Key, ann); err != nil {
		t.Fatal(err)
	}
	all := []Listed{{Key: ann}, mail, other}
	must(s.Enlist(ctx, shop, "vip", "crm", all))(t)
	if p := must(s.Export(ctx, shop, ann))(t); len(p.Audiences) != 1 || p.Audiences[0].Source != "crm" {
		t.Errorf("got the lists %v in the export, want the one she is on", p.Audiences)
	}
	c := must(s.Erase(ctx, shop, ann))(t)
	if !slices.Contains(c.Places, Place{"audiences", 2}) {
		t.Errorf("got %v, want both names taken off", c.Places)
	}
	if got := must(s.Enlist(ctx, shop, "vip", "crm", all))(t); got != (Enlisted{Same: 1, Withheld: 2}) {
		t.Errorf("got %+v, want the other left and the erased kept out", got)
	}
	if got := on(t, s, ann, mail.Key); got != nil {
		t.Errorf("got %v of an erased person", got)
	}
	yes := features.Marketing
	if err := errors.Join(s.PutUsers(ctx, shop, []User{{ID: "ann2", Consent: &yes}}), s.Link(ctx, shop, mail.Key, names.User("ann2"))); err != nil {
		t.Fatal(err)
	}
	if got := must(s.Enlist(ctx, shop, "vip", "crm", all))(t); got != (Enlisted{Stored: 1, Same: 1, Withheld: 1}) {
		t.Errorf("got %+v, want the e-mail of who agreed since", got)
	}
}

// A list that comes while a person is being erased does not bring them back.
func TestListsDuringAnErasure(t *testing.T) {
	ctx := context.Background()
	var s *Store
	var all []Listed
	came := 0
	s = open(t, Options{seam: func(string) error {
		if len(all) > 0 {
			must(s.Enlist(ctx, shop, "vip", "crm", all))(t)
			came++
		}
		return nil
	}})
	ann, mail := listed(t, s, "ann"), listed(t, s, features.EmailUser("a"))
	if err := s.Link(ctx, shop, mail.Key, ann.Key); err != nil {
		t.Fatal(err)
	}
	all = []Listed{ann, mail}
	must(s.Erase(ctx, shop, ann.Key))(t)
	if got := on(t, s, ann.Key, mail.Key); got != nil || came == 0 {
		t.Errorf("got %v of an erased person after %d lists came meanwhile", got, came)
	}
}
