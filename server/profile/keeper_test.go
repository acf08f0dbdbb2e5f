package profile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/risk"
	"github.com/attune-rec/attune/features/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shopID = features.DefaultShop

var start = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

// bench is a store and keepers over it, whose clock stands still.
type bench struct {
	t     *testing.T
	store *store.Store
	names *features.Pseudonyms
	rng   *rand.Rand
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{Dir: t.TempDir(), Clock: func() time.Time { return start.AddDate(0, 6, 0) }})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	names, err := s.Pseudonyms(context.Background(), shopID)
	must(t, err)
	var items []features.Item
	for i := range 40 {
		items = append(items, features.Item{
			ID: fmt.Sprint("i", i), Category: []string{fmt.Sprint("c", i%4)}, Brand: fmt.Sprint("b", i%3),
			Prices: map[string]features.Money{"": features.MoneyOf(float64(1+i), "EUR")},
		})
	}
	must(t, s.PutItems(context.Background(), shopID, items))
	return &bench{t, s, names, rand.New(rand.NewPCG(5, 6))}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) keeper(dir string, size int) *Keeper {
	b.t.Helper()
	k, err := New(Options{Store: b.store, Dir: dir, Size: size, Load: time.Minute, Clock: func() time.Time { return start.AddDate(0, 6, 0) }})
	must(b.t, err)
	b.t.Cleanup(func() { _ = k.Close() })
	b.settle(k)
	return k
}

// settle waits until the follower has read the log and measured the goods.
func (b *bench) settle(k *Keeper) {
	b.t.Helper()
	end, err := b.store.End(context.Background(), shopID)
	must(b.t, err)
	s := k.shop(shopID)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		waiting := len(s.linked)
		s.mu.Unlock()
		if s.seq.Load() >= end-1 && waiting == 0 && s.ref.Load() != nil && s.recalls.Load() == 0 {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the follower is at %d, the log at %d", s.seq.Load(), end-1)
		}
	}
}

func (b *bench) user(n int) string { return fmt.Sprint("user", n) }

// live appends n random events of some users and sessions and tells k.
func (b *bench) live(k *Keeper, n, users int) {
	b.t.Helper()
	ctx := context.Background()
	types := []features.EventType{features.View, features.View, features.CartAdd, features.Purchase, features.Purchase, features.Return, features.Impression}
	for range n {
		u := b.rng.IntN(users)
		e := features.Event{
			Type: types[b.rng.IntN(len(types))], Item: fmt.Sprint("i", b.rng.IntN(40)), Quantity: int32(1 + b.rng.IntN(3)), Device: "phone",
			Price: features.MoneyOf(float64(1+b.rng.IntN(40)), "EUR"), Time: start.Add(time.Duration(b.rng.IntN(4000)) * time.Hour), Market: "DE",
		}
		visit := b.names.Session(fmt.Sprint("visit", u, b.rng.IntN(3)))
		switch b.rng.IntN(4) {
		case 0:
			e.Session = visit
		case 1:
			e.User, e.Session = b.names.User(b.user(u)), visit
			must(b.t, b.store.Link(ctx, shopID, visit, e.User))
			k.Linked(shopID, visit, e.User)
		default:
			e.User = b.names.User(b.user(u))
		}
		_, err := b.store.Append(ctx, shopID, []features.Event{e})
		must(b.t, err)
		k.Stored(shopID, nil)
	}
	b.settle(k)
}

func (b *bench) get(k *Keeper, id string) (Found, error) {
	return k.Get(context.Background(), shopID, b.names.User(id))
}

// all is every user's profile and the newest event in it.
func (b *bench) all(k *Keeper, users int) (list []Found) {
	b.t.Helper()
	k.shop(shopID).refreshGoods(context.Background()) // all by the same prices
	for u := range users {
		f, err := b.get(k, b.user(u))
		if !errors.Is(err, store.ErrNotFound) {
			must(b.t, err)
		}
		list = append(list, f)
	}
	return list
}

func same(t *testing.T, what string, got, want []Found) {
	t.Helper()
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: user %d: got %+v\n%+v\nwant %+v\n%+v", what, i, got[i], got[i].Profile, want[i], want[i].Profile)
		}
	}
}

func TestLiveEqualsRebuilt(t *testing.T) {
	const users = 12
	b := newBench(t)
	dir := t.TempDir()
	live := b.keeper(dir, 0)
	b.live(live, 300, users)
	must(t, live.Close()) // writes the file
	if _, err := os.Stat(filepath.Join(dir, "default.profiles")); err != nil {
		t.Fatal(err)
	}
	resumed := b.keeper(dir, 0)
	b.live(resumed, 300, users)
	rebuilt := b.all(b.keeper("", 0), users)
	if rebuilt[0].Profile == nil || rebuilt[0].Profile.Orders == 0 || len(rebuilt[0].Profile.Categories) == 0 {
		t.Fatalf("got %+v of a shopper who bought", rebuilt[0].Profile)
	}
	same(t, "from the file and the tail", b.all(resumed, users), rebuilt)
	same(t, "with two kept", b.all(b.keeper("", 2), users), rebuilt)
}

func TestDamagedFileIsLeftAside(t *testing.T) {
	const users = 4
	b := newBench(t)
	dir := t.TempDir()
	k := b.keeper(dir, 0)
	b.live(k, 60, users)
	want := b.all(k, users)
	must(t, k.Close())
	path := filepath.Join(dir, "default.profiles")
	body, err := os.ReadFile(path)
	must(t, err)
	for _, at := range []int{0, 12, len(body) / 2, len(body) - 1} {
		bad := slices.Clone(body)
		bad[at] ^= 0x40
		must(t, os.WriteFile(path, bad, 0o600))
		again := b.keeper(dir, 0)
		same(t, fmt.Sprint("byte ", at, " flipped"), b.all(again, users), want)
		must(t, again.Close())
	}
}

func TestConsentDecides(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	dir := t.TempDir()
	k := b.keeper(dir, 0)
	say := func(p features.Purposes) {
		must(t, b.store.PutUsers(ctx, shopID, []store.User{{ID: "ann", Consent: &p}}))
		k.Forget(shopID, b.names.User("ann"))
	}
	buy := func() {
		_, err := b.store.Append(ctx, shopID, []features.Event{{
			Type: features.Purchase, User: b.names.User("ann"), Item: "i1", Price: features.MoneyOf(2, "EUR"), Time: start,
		}})
		must(t, err)
		k.Stored(shopID, nil)
		b.settle(k)
	}
	say(features.Analytics)
	buy()
	if f, err := b.get(k, "ann"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("got %+v, %v: want no profile without consent", f.Profile, err)
	}
	if e, ok := k.shop(shopID).entries.Peek(b.names.User("ann")); ok && e.agreed {
		t.Fatal("a state is kept of one who did not agree")
	}
	say(features.AllPurposes)
	if f, err := b.get(k, "ann"); err != nil || f.Profile.Pieces != 1 {
		t.Fatalf("got %+v, %v: want the purchase once consent is given", f.Profile, err)
	}
	k.shop(shopID).file.mu.Lock()
	k.shop(shopID).file.missing = true // write it now
	k.shop(shopID).file.mu.Unlock()
	buy()
	for k.shop(shopID).file.wanted() {
		time.Sleep(time.Millisecond)
	}
	path := filepath.Join(dir, "default.profiles")
	before, err := os.Stat(path)
	must(t, err)
	say(features.Analytics)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		after, err := os.Stat(path)
		if err == nil && after.Size() < before.Size() {
			break // written anew without her
		}
		if time.Now().After(deadline) {
			t.Fatal("the file still has who took consent back")
		}
	}
	if f, err := b.get(k, "ann"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("got %+v, %v: want no profile after consent was taken", f.Profile, err)
	}
}

func TestErasureLeavesNothing(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	dir := t.TempDir()
	k := b.keeper(dir, 0)
	b.live(k, 100, 3)
	must(t, k.Close())
	k = b.keeper(dir, 0)
	ann := b.names.User(b.user(0))
	c, err := b.store.Erase(ctx, shopID, ann)
	must(t, err)
	for _, key := range c.Keys {
		k.Erased(shopID, key)
	}
	if f, err := b.get(k, b.user(0)); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("got %+v, %v after erasure", f.Profile, err)
	}
	seen := 0
	must(t, k.shop(shopID).each(ctx, func(f Found) error {
		seen++
		if f.Key == ann {
			t.Error("an erased shopper is still listed")
		}
		return nil
	}))
	if seen != 2 {
		t.Errorf("got %d shoppers, want the other two", seen)
	}
	must(t, k.Close())
	body, err := os.ReadFile(filepath.Join(dir, "default.profiles"))
	must(t, err)
	if slices.ContainsFunc(c.Keys, func(key features.UserKey) bool {
		for i := range len(body) - len(key) {
			if features.UserKey(body[i:i+len(key)]) == key {
				return true
			}
		}
		return false
	}) {
		t.Error("the file names an erased shopper")
	}
}

// What is in quarantine counts neither of its shopper nor of goods, from the
// moment it is decided until it is let in again; after a start as well.
func TestQuarantineCountsNothing(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	var hold atomic.Pointer[func(*features.Event) bool]
	options := Options{
		Store: b.store, Dir: t.TempDir(), Load: time.Minute, Clock: func() time.Time { return start.AddDate(0, 6, 0) },
		Quarantined: func(_ context.Context, _ features.ShopID, e *features.Event) bool {
			f := hold.Load()
			return f != nil && *f != nil && (*f)(e)
		},
	}
	open := func() *Keeper {
		k, err := New(options)
		must(t, err)
		t.Cleanup(func() { _ = k.Close() })
		b.settle(k)
		return k
	}
	k := open()
	ann, bob := b.names.User("ann"), b.names.User("bob")
	var last int64
	buy := func(user features.UserKey, n int) {
		for range n {
			done, err := b.store.Append(ctx, shopID, []features.Event{{
				Type: features.Purchase, User: user, Item: "i1", Price: features.MoneyOf(2, "EUR"), Quantity: 1, Time: start, Market: "DE",
			}})
			must(t, err)
			last = done[0].Seq
			k.Stored(shopID, nil)
		}
		b.settle(k)
	}
	pieces := func(user string) int {
		f, err := b.get(k, user)
		if errors.Is(err, store.ErrNotFound) {
			return 0
		}
		must(t, err)
		return f.Profile.Pieces
	}
	sold := func(want int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			n := 0
			for range k.shop(shopID).sold.Each {
				n++
			}
			if n == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("goods are measured by %d purchases, want %d", n, want)
			}
		}
	}
	decide := func(id string, state store.RiskState) {
		if id == "" {
			flag := risk.Flag{Subject: ann, Kind: risk.ClickFraud, Score: 1, From: 2, To: last, First: start, Last: start}
			_, err := b.store.PutFlags(ctx, shopID, []risk.Flag{flag}, .5, "test")
			must(t, err)
		} else {
			_, err := b.store.DecideFlag(ctx, shopID, id, state, "test", "")
			must(t, err)
		}
		f, err := b.store.Quarantined(ctx, shopID)
		must(t, err)
		hold.Store(&f)
		must(t, k.Recount(ctx, shopID))
	}
	buy(ann, 3)
	buy(bob, 1)
	sold(4)
	decide("", "")
	if got := pieces("ann"); got != 1 {
		t.Errorf("got %d pieces of who has two of three in quarantine, want 1", got)
	}
	sold(2)
	buy(ann, 1) // beyond the flag
	if got := pieces("ann"); got != 2 {
		t.Errorf("got %d pieces after another, want 2", got)
	}
	must(t, k.Close())
	k = open()
	if ann, bob := pieces("ann"), pieces("bob"); ann != 2 || bob != 1 {
		t.Errorf("after a start: got %d and %d pieces, want 2 and 1", ann, bob)
	}
	flags, err := b.store.ListFlags(ctx, shopID, "", "", 10)
	must(t, err)
	decide(flags[0].ID(), store.RiskReleased)
	if got := pieces("ann"); got != 4 {
		t.Errorf("got %d pieces once all are let in, want 4", got)
	}
	sold(5)
}

// Who never said anything has the default of the market they were last in, live
// and after a start.
func TestConsentByMarket(t *testing.T) {
	ctx := context.Background()
	b := newBench(t)
	must(t, b.store.SetMarketConsents(ctx, shopID, map[string]features.Purposes{"DE": 0}))
	dir := t.TempDir()
	k := b.keeper(dir, 0)
	buy := func(user, market string) {
		_, err := b.store.Append(ctx, shopID, []features.Event{{
			Type: features.Purchase, User: b.names.User(user), Item: "i1", Price: features.MoneyOf(2, "EUR"), Time: start, Market: market,
		}})
		must(t, err)
		k.Stored(shopID, nil)
		b.settle(k)
	}
	has := func(user string, want bool) {
		t.Helper()
		_, err := b.get(k, user)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if got := err == nil; got != want {
			t.Errorf("%s has a profile: got %v, want %v", user, got, want)
		}
	}
	buy("ann", "FR")
	buy("bob", "DE")
	agreed := features.AllPurposes
	must(t, b.store.PutUsers(ctx, shopID, []store.User{{ID: "cyd", Consent: &agreed}}))
	buy("cyd", "DE")
	check := func(ann, bob bool) {
		t.Helper()
		has("ann", ann)
		has("bob", bob)
		has("cyd", true)
	}
	check(true, false)
	must(t, k.Close())
	k = b.keeper(dir, 0)
	check(true, false)
	must(t, k.Close())
	k = b.keeper("", 0) // from the log
	check(true, false)
	buy("ann", "DE")
	buy("bob", "FR")
	check(false, true)
}

// Quarantine may change again while the sales of the last change are read: each
// counts once, and closing waits for nobody who is not listened to.
func TestRecountsMeet(t *testing.T) {
	b := newBench(t)
	k := b.keeper(t.TempDir(), 100)
	b.live(k, 3000, 20)
	b.settle(k)
	want := len(slices.Collect(k.shop(shopID).sold.Each))
	for range 20 {
		for range 5 {
			must(t, k.Recount(context.Background(), shopID))
			time.Sleep(time.Millisecond)
		}
		must(t, k.Close())
		k = b.keeper(t.TempDir(), 100)
		for range 5 {
			must(t, k.Recount(context.Background(), shopID))
		}
		s := k.shop(shopID)
		for deadline := time.Now().Add(time.Minute); s.recount.Load() || s.recalls.Load() > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the sales are still being read after a minute")
			}
		}
		if got := len(slices.Collect(s.sold.Each)); got != want {
			t.Fatalf("goods are measured by %d purchases after some recounts, want %d", got, want)
		}
	}
}
