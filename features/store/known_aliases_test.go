package store

import (
	"context"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// What the filter says no to is in the table neither before nor after a
// restart, however the link came, and it says no to nearly all that never was.
func TestKnownAliasesMissNone(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SealAt: -1}
	s := open(t, o)
	const linked = 3 * aliasesAtOnce
	alias := func(i int) features.UserKey { return features.UserKey{byte(i >> 8), byte(i), 1, byte(i >> 4), 7} }
	user := key(500)
	var pairs [][2]features.UserKey
	for i := 1; i < linked; i++ {
		pairs = append(pairs, [2]features.UserKey{alias(i), user})
	}
	if err := s.LinkMany(ctx, shop, pairs[:linked/2]); err != nil {
		t.Fatal(err)
	}
	if err := s.Link(ctx, shop, alias(linked), user); err != nil {
		t.Fatal(err)
	}
	must(s.Append(ctx, shop, []features.Event{event(1)}))(t)
	_, unlinked, err := s.AppendLinking(ctx, shop, []features.Event{event(2)}, pairs[linked/2:])
	if err != nil || unlinked != nil {
		t.Fatal(err, unlinked)
	}
	if err := s.Link(ctx, shop, alias(linked+1), user); err != nil { // and so those that wait go to the table
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		l := must(s.knownShop(ctx, shop))(t)
		for i := 1; i <= linked+1; i++ {
			if !l.aliases.may(alias(i)) {
				t.Fatalf("%s: alias %d is linked, and the filter says no", when, i)
			}
			if got := must(s.Resolve(ctx, shop, alias(i)))(t); got != user {
				t.Fatalf("%s: alias %d leads to %s, want %s", when, i, got, user)
			}
		}
		wrong := 0
		for i := range 1000 {
			if l.aliases.may(features.UserKey{9, byte(i >> 8), byte(i), byte(i * 7), byte(i * 13), 3, byte(i * 31), 5}) {
				wrong++
			}
		}
		if wrong > 20 {
			t.Errorf("%s: the filter says yes to %d of 1000 keys that never were linked", when, wrong)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, o)
		for l := must(s.knownShop(ctx, shop))(t); ; time.Sleep(time.Millisecond) {
			l.aliases.mu.RLock()
			read := l.aliases.read
			l.aliases.mu.RUnlock()
			if read {
				break
			}
		}
	}
}
