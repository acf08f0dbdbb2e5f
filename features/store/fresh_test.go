package store

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// Links that came with events are found by everybody at once, however often
// they go to the table meanwhile, and hold after a restart; what is unlinked or
// erased does not come back.
func TestFreshLinks(t *testing.T) {
	ctx := context.Background()
	now := noon
	o := Options{Dir: t.TempDir(), Clock: func() time.Time { return now }}
	s := open(t, o)
	twin := map[features.UserKey]features.UserKey{}
	rng := rand.New(rand.NewPCG(4, 5))
	const users, sessions = 10, 60
	session := func(n int) features.UserKey { return features.UserKey{2, byte(n)} }
	check := func(s *Store, when string) {
		t.Helper()
		for n := range sessions {
			want, ok := twin[session(n)]
			if !ok {
				want = session(n)
			}
			if got := must(s.Resolve(ctx, shop, session(n)))(t); got != want {
				t.Fatalf("%s: session %d is %s, want %s", when, n, got, want)
			}
		}
		if all := must(s.Links(ctx, shop))(t); len(all) != len(twin) {
			t.Fatalf("%s: got %d links, want %d", when, len(all), len(twin))
		}
		own := 0
		for n := range users {
			own += len(must(s.Aliases(ctx, shop, key(n)))(t))
		}
		if own != len(twin) {
			t.Fatalf("%s: users have %d sessions, want %d", when, own, len(twin))
		}
		if got := must(s.Touched(ctx, shop, noon.Add(-time.Hour)))(t); len(got) < len(twin) {
			t.Fatalf("%s: %d keys were touched, want every session among them", when, len(got))
		}
	}
	for round := range 60 {
		var pairs [][2]features.UserKey
		for range 1 + rng.IntN(4) {
			p := [2]features.UserKey{session(rng.IntN(sessions)), key(rng.IntN(users))}
			pairs = append(pairs, p)
			twin[p[0]] = p[1]
		}
		e := event(round)
		if _, unlinked, err := s.AppendLinking(ctx, shop, []features.Event{e}, pairs); err != nil || unlinked != nil {
			t.Fatal(unlinked, err)
		}
		waiting := &must(s.knownShop(ctx, shop))(t).fresh
		waiting.mu.Lock()
		waiting.step = 1 + round%4 // a move takes some steps
		waiting.mu.Unlock()
		switch rng.IntN(8) {
		case 0:
			if p := pairs[0][0]; twin[p] != (features.UserKey{}) {
				if err := s.Unlink(ctx, shop, p); err != nil {
					t.Fatal(err)
				}
				delete(twin, p)
			}
		case 1:
			now = now.Add(freshFor) // the next commit takes them to the table
		case 2:
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
		}
		check(s, "owner")
	}
	r := must(OpenReader(ctx, o))(t)
	defer r.Close()
	check(r, "reader")
	p := [2]features.UserKey{session(0), key(1)}
	if _, _, err := s.AppendLinking(ctx, shop, []features.Event{event(100)}, [][2]features.UserKey{p}); err != nil {
		t.Fatal(err)
	}
	twin[p[0]] = p[1]
	check(r, "reader, later")
	must(s.Erase(ctx, shop, key(1)))(t)
	for a, u := range twin {
		if u == key(1) {
			delete(twin, a)
		}
	}
	for n := range sessions {
		if got := must(s.Resolve(ctx, shop, session(n)))(t); got == key(1) {
			t.Errorf("session %d is that of a person who was erased", n)
		}
	}
	if got := len(must(r.Links(ctx, shop))(t)); got != len(twin) {
		t.Errorf("got %d links, want %d", got, len(twin))
	}
}

// Failing links leave those that wait as they were.
func TestFreshLinksOutliveAFailure(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{Dir: t.TempDir()})
	link := func(alias, user features.UserKey) error {
		_, unlinked, err := s.AppendLinking(ctx, shop, []features.Event{{Type: features.View, User: user, Item: "cup"}}, [][2]features.UserKey{{alias, user}})
		if err != nil {
			t.Fatal(err)
		}
		return unlinked
	}
	if err := link(key(1), key(2)); err != nil {
		t.Fatal(err)
	}
	l := must(s.knownShop(ctx, shop))(t)
	failed := s.writer.do(ctx, func(tx *transaction) error {
		if err := tx.settle(l); err != nil {
			return err
		}
		return ErrReadOnly
	})
	if failed == nil {
		t.Fatal("the job did not fail")
	}
	if err := link(key(1), key(3)); err != nil { // takes the one before to the table, and undoes it
		t.Fatal(err)
	}
	if got := must(s.Resolve(ctx, shop, key(1)))(t); got != key(3) {
		t.Errorf("got %s, want the newer link", got)
	}
	if got := must(s.Aliases(ctx, shop, key(2)))(t); len(got) != 0 {
		t.Errorf("got %v, want no session of the user before", got)
	}
}
