package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

func groupNames(t *testing.T, s *Store, shop features.ShopID) (names []string) {
	t.Helper()
	all, err := s.ListGroups(context.Background(), shop)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		names = append(names, g.Name)
	}
	return names
}

func TestGroupsKeepTheirOrder(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(ctx, Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []Group{
		{Name: "big", Kind: GroupRule, Body: "profile.spent > 100"}, {Name: "all", Kind: GroupRule, Body: "true"},
		{Name: "big", Title: "Big spenders", Kind: GroupRule, Body: "profile.spent > 200"},
	} {
		if err := s.PutGroup(ctx, "default", g); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutGroup(ctx, "other", Group{Name: "x", Kind: GroupRule, Body: "true"}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		clusters := []Group{{Name: "cluster:1", Kind: GroupCluster, Body: "1"}, {Name: "cluster:2", Kind: GroupCluster, Body: "2"}}
		if err := s.PutClusters(ctx, "default", `{}`, clusters[:2-i%2]); err != nil {
			t.Fatal(err)
		}
		if err := s.PutFact(ctx, "default", FactCensus, time.UnixMilli(int64(1000*i)), string(rune('a'+i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(ctx, Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := groupNames(t, s, "default"); !slices.Equal(got, []string{"big", "all", "cluster:1", "cluster:2"}) {
		t.Errorf("got %v", got)
	}
	all, err := s.ListGroups(ctx, "default")
	if err != nil || all[0].Title != "Big spenders" || all[0].Body != "profile.spent > 200" {
		t.Errorf("got %+v, %v: want the change in the group's place", all, err)
	}
	if got, err := s.Facts(ctx, "default", FactCensus, 2); err != nil || !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("got %v, %v: want the two newest, oldest first", got, err)
	}
	if err := s.DeleteGroup(ctx, "default", "big"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteGroup(ctx, "default", "big"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound the second time", err)
	}
	if got := groupNames(t, s, "other"); !slices.Equal(got, []string{"x"}) {
		t.Errorf("got %v of the other shop", got)
	}
}

func TestChoicesAndLinks(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	none, some := features.Purposes(0), features.Analytics
	p, err := s.Pseudonyms(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutUsers(ctx, "default", []User{{ID: "no", Consent: &none}, {ID: "some", Consent: &some}, {ID: "silent"}, {ID: "gone"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(ctx, "default", p.Session("s"), p.User("some")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Erase(ctx, "default", p.User("gone")); err != nil {
		t.Fatal(err)
	}
	c, err := s.Choices(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]features.Purposes{"no": 0, "some": features.Analytics, "silent": features.AllPurposes, "gone": features.AllPurposes, "new": features.AllPurposes} {
		if got := c.Of(p.User(id)); got != want {
			t.Errorf("%s: got consent %v, want %v", id, got, want)
		}
	}
	links, err := s.Links(ctx, "default")
	if err != nil || len(links) != 1 || links[p.Session("s")] != p.User("some") {
		t.Errorf("got links %v, %v", links, err)
	}
	for _, c := range []struct {
		since time.Time
		want  int
	}{{time.UnixMilli(0), 3}, {time.Now().Add(time.Hour), 0}} {
		if got, err := s.Touched(ctx, "default", c.since); err != nil || len(got) != c.want {
			t.Errorf("since %v: got %d touched, %v: want %d", c.since, len(got), err, c.want)
		}
	}
}

// Links stored together, by themselves or with events, are those stored one by
// one.
func TestLinkManyEqualsLink(t *testing.T) {
	ctx := context.Background()
	key := func(n int) features.UserKey { return features.UserKey{byte(n + 1)} }
	rng := rand.New(rand.NewPCG(8, 9))
	open := func() *Store {
		s, err := Open(ctx, Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	one, many, beside := open(), open(), open()
	for round := range 20 {
		var pairs [][2]features.UserKey
		for range 1 + rng.IntN(6) {
			pairs = append(pairs, [2]features.UserKey{key(rng.IntN(8)), key(rng.IntN(8))}) // circles and the like among them
		}
		for range rng.IntN(2 * linksAtOnce) { // more than one statement takes
			pairs = append(pairs, [2]features.UserKey{key(8 + rng.IntN(100)), key(108 + rng.IntN(100))})
		}
		for _, p := range pairs {
			_ = one.Link(ctx, "default", p[0], p[1]) // some are refused
		}
		if err := many.LinkMany(ctx, "default", pairs); err != nil {
			t.Fatal(err)
		}
		events := []features.Event{{Type: features.View, User: key(0), Item: "cup"}}
		if out, unlinked, err := beside.AppendLinking(ctx, "default", events, pairs); err != nil || unlinked != nil || out[0].Seq != int64(round+1) {
			t.Fatalf("round %d: got %v, %v, %v, want event %d and its links stored", round, out, unlinked, err, round+1)
		}
		for n := range 208 {
			a, err := one.Resolve(ctx, "default", key(n))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []*Store{many, beside} {
				if b, err := s.Resolve(ctx, "default", key(n)); err != nil || a != b {
					t.Fatalf("round %d, key %d: got %s, %v, want %s", round, n, b, err, a)
				}
			}
		}
	}
}

// Links that cannot be stored leave the events of their call and of others.
func TestEventsOutliveTheirLinks(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	alias, user := features.UserKey{1}, features.UserKey{2}
	if err := s.Link(ctx, "default", alias, features.UserKey{3}); err != nil {
		t.Fatal(err)
	}
	spoil := func(tx *transaction) error {
		_, err := tx.exec(`UPDATE identities SET user_key = x'00'`) // no key
		return err
	}
	if err := s.writer.do(ctx, spoil); err != nil {
		t.Fatal(err)
	}
	events := []features.Event{{Type: features.View, User: user, Session: alias, Item: "cup"}}
	out, unlinked, err := s.AppendLinking(ctx, "default", events, [][2]features.UserKey{{{5}, {6}}, {alias, user}})
	if err != nil || !errors.Is(unlinked, ErrCorrupt) || len(out) != 1 || out[0].Seq != 1 {
		t.Fatalf("got %v, %v, %v, want the event stored and the links not", out, unlinked, err)
	}
	if got, err := s.Resolve(ctx, "default", features.UserKey{5}); err != nil || got != (features.UserKey{5}) {
		t.Fatalf("got %s, %v, want no link of the call", got, err)
	}
	if end, err := s.End(ctx, "default"); err != nil || end != 2 {
		t.Fatalf("got end %d, %v, want 2", end, err)
	}
}
