package shopper

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a store in memory.
type log struct {
	mu      sync.Mutex
	events  []features.Event
	links   map[features.UserKey]features.UserKey
	consent features.Purposes
	reads   int
	fail    error
}

func (l *log) History(_ context.Context, _ features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.fail != nil {
		return nil, l.fail
	}
	var out []features.Event
	for _, e := range l.events {
		if e.User == key || e.Session == key || l.links[e.Session] == key {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):], nil
}

func (l *log) Opinions(_ context.Context, _ features.ShopID, key features.UserKey, limit int) ([]features.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []features.Event
	for _, e := range l.events {
		if (e.User == key || e.User.IsZero() && (e.Session == key || l.links[e.Session] == key)) && (e.Type == features.Hide || e.Type == features.Dislike || e.Type == features.Like) {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):], nil
}

func (l *log) Aliases(_ context.Context, _ features.ShopID, user features.UserKey) ([]features.UserKey, error) {
	var out []features.UserKey
	for alias, u := range l.links {
		if u == user {
			out = append(out, alias)
		}
	}
	return out, nil
}

func (l *log) ConsentIn(context.Context, features.ShopID, features.UserKey, string) (features.Purposes, error) {
	return l.consent, nil
}

// put makes an event durable and returns it with its number.
func (l *log) put(user, session byte, item string) features.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := features.Event{Seq: int64(len(l.events) + 1), Type: features.View, User: key(user), Session: key(session), Item: item, Time: time.UnixMilli(int64(len(l.events)))}
	l.events = append(l.events, e)
	return e
}

func key(b byte) features.UserKey { return features.UserKey{b} }

// rows is a catalogue of the letters, in the order given.
type rows string

func (r rows) Len() int { return len(r) }
func (r rows) Row(id string) (features.Row, bool) {
	i := strings.Index(string(r), id)
	return features.Row(i), i >= 0
}
func (r rows) Item(features.Row) *features.Item      { return nil }
func (r rows) ID(row features.Row) string            { return string(r[row]) }
func (r rows) Where(string, string) *features.Bitmap { return nil }

func cache(t *testing.T, l *log) *Cache {
	t.Helper()
	c, err := New(Options{History: l, Consents: l})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var abc = View{Release: "1", Items: rows("abc")}

// letters is the history a call gives, as item ids.
func letters(t *testing.T, c *Cache, user, session byte, v View) string {
	t.Helper()
	s, err := c.Get(context.Background(), "default", key(user), key(session), v)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, it := range s.Recent {
		b.WriteString(v.Items.ID(it.Row))
	}
	return b.String()
}

func TestNobody(t *testing.T) {
	s, err := cache(t, &log{consent: features.AllPurposes}).Get(context.Background(), "default", features.UserKey{}, features.UserKey{}, abc)
	if s != nil || err != nil {
		t.Fatalf("got %v, %v, want nobody", s, err)
	}
}

func TestNextAnswerReflectsTheEvent(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c := cache(t, l)
	l.put(1, 0, "a")
	if got := letters(t, c, 1, 0, abc); got != "a" {
		t.Fatalf("got %q, want a", got)
	}
	e := l.put(1, 9, "b")
	c.Stored("default", []features.Event{e, e})
	if got := letters(t, c, 1, 0, abc); got != "ab" {
		t.Fatalf("got %q, want ab", got)
	}
	if got := letters(t, c, 0, 9, abc); got != "b" {
		t.Fatalf("session: got %q, want b", got)
	}
	if l.reads != 2 {
		t.Fatalf("got %d reads of the store, want 2: one for each key", l.reads)
	}
}

func TestEventsThatOvertakeEachOtherStandInLogOrder(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c := cache(t, l)
	letters(t, c, 1, 0, abc)
	first, second := l.put(1, 0, "a"), l.put(1, 0, "b")
	c.Stored("default", []features.Event{second})
	c.Stored("default", []features.Event{first})
	if got := letters(t, c, 1, 0, abc); got != "ab" {
		t.Fatalf("got %q, want ab", got)
	}
}

func TestSwapAndNewItemsMakeNewViewsWithoutReading(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c := cache(t, l)
	for _, item := range []string{"a", "d", "c"} {
		l.put(1, 0, item)
	}
	for _, step := range []struct {
		v    View
		want string
	}{{abc, "ac"}, {View{Release: "2", Items: rows("cba")}, "ac"}, {View{Release: "2", Items: rows("cbad")}, "adc"}, {abc, "ac"}} {
		if got := letters(t, c, 1, 0, step.v); got != step.want {
			t.Fatalf("release %s: got %q, want %q", step.v.Release, got, step.want)
		}
	}
	if l.reads != 1 {
		t.Fatalf("got %d reads of the store, want 1", l.reads)
	}
}

func TestSteadyGetMakesNothing(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c := cache(t, l)
	l.put(1, 0, "a")
	l.put(0, 2, "b")
	for _, who := range [][2]byte{{1, 0}, {0, 2}, {1, 2}} {
		letters(t, c, who[0], who[1], abc)
		got := testing.AllocsPerRun(100, func() {
			if _, err := c.Get(context.Background(), "default", key(who[0]), key(who[1]), abc); err != nil {
				t.Fatal(err)
			}
		})
		if got > 1 { // the reading context's own
			t.Errorf("user %d, session %d: got %v allocations, want at most 1", who[0], who[1], got)
		}
	}
}

func TestVisitBeforeSignInCountsForTheUser(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c := cache(t, l)
	l.put(1, 0, "a")
	l.put(0, 2, "b") // looked around unknown
	if got := letters(t, c, 1, 2, abc); got != "ab" {
		t.Fatalf("asked together: got %q, want ab", got)
	}
	if got := letters(t, c, 1, 0, abc); got != "a" {
		t.Fatalf("the user elsewhere: got %q, want a", got)
	}
	e := l.put(1, 2, "c") // signed in
	l.links[key(2)] = key(1)
	c.Linked("default", key(2), key(1))
	c.Stored("default", []features.Event{e})
	for _, session := range []byte{0, 2} {
		if got := letters(t, c, 1, session, abc); got != "abc" {
			t.Fatalf("after signing in, session %d: got %q, want abc", session, got)
		}
	}
}

func TestSharedSessionDoesNotShareKnownHistory(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{key(9): key(2)}, consent: features.AllPurposes}
	c := cache(t, l)
	l.put(1, 9, "a") // somebody else, known, on the same device
	l.put(0, 9, "b")
	l.put(2, 9, "c")
	if got := letters(t, c, 2, 9, abc); got != "bc" {
		t.Fatalf("got %q, want bc", got)
	}
	if got := letters(t, c, 1, 0, abc); got != "a" {
		t.Fatalf("got %q, want a", got)
	}
}

func TestForgetReadsConsentAnew(t *testing.T) {
	l := &log{consent: features.AllPurposes}
	c := cache(t, l)
	l.put(1, 0, "a")
	get := func() *features.Shopper {
		s, err := c.Get(context.Background(), "default", key(1), features.UserKey{}, abc)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := get()
	l.consent = features.Analytics
	c.Forget("default", key(1))
	after := get()
	if !before.Known() || after.Known() || after.Version <= before.Version {
		t.Fatalf("got known %v then %v, versions %d then %d, want consent taken and a later version", before.Known(), after.Known(), before.Version, after.Version)
	}
}

func TestFailedReadIsTriedAgain(t *testing.T) {
	l := &log{consent: features.AllPurposes, fail: errors.New("disk on fire")}
	c := cache(t, l)
	if _, err := c.Get(context.Background(), "default", key(1), features.UserKey{}, abc); !errors.Is(err, l.fail) {
		t.Fatalf("got %v, want the store's error", err)
	}
	l.put(1, 0, "a")
	l.fail = nil
	if got := letters(t, c, 1, 0, abc); got != "a" {
		t.Fatalf("got %q, want a", got)
	}
}

func TestHistoryIsFilledPastImpressions(t *testing.T) {
	l := &log{consent: features.AllPurposes}
	for range features.HistoryCap + 10 {
		l.put(1, 0, "a")
	}
	for range 3 * features.HistoryCap {
		l.put(1, 0, "b")
		l.events[len(l.events)-1].Type = features.Impression
	}
	if got := letters(t, cache(t, l), 1, 0, abc); got != strings.Repeat("a", features.HistoryCap) {
		t.Fatalf("got %d events of history, want %d", len(got), features.HistoryCap)
	}
}

func TestHidesOlderThanTheHistoryHold(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	for _, o := range []struct {
		t          features.EventType
		user, item byte
	}{
		{features.Hide, 1, 'a'}, {features.Dislike, 1, 'b'}, {features.Dislike, 1, 'c'}, {features.Hide, 2, 'd'},
		{features.Like, 1, 'a'}, {features.Like, 1, 'c'},
	} {
		l.put(o.user, 0, string(o.item))
		l.events[len(l.events)-1].Type = o.t
	}
	l.put(0, 9, "d")
	l.events[len(l.events)-1].Type = features.Dislike
	for range 5 * features.HistoryCap {
		l.put(1, 0, "e")
		l.put(0, 9, "e")
	}
	c := cache(t, l)
	hidden := func(session byte) string {
		s, err := c.Get(context.Background(), "default", key(1), key(session), View{Release: "1", Items: rows("abcde")})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, row := range s.Hidden.AppendRows(nil) {
			b.WriteString(rows("abcde").ID(row))
		}
		return b.String()
	}
	if got := hidden(0); got != "ab" {
		t.Fatalf("got %q hidden, want ab", got)
	}
	if got := hidden(9); got != "abd" {
		t.Fatalf("with what was hidden before signing in: got %q, want abd", got)
	}
	like := l.put(1, 0, "b")
	like.Type = features.Like
	l.events[len(l.events)-1].Type = features.Like
	c.Stored("default", []features.Event{like})
	if got := hidden(0); got != "a" {
		t.Fatalf("after b was liked: got %q hidden, want a", got)
	}
}

// Whoever reads after an event was acknowledged sees it, whatever else happens.
func TestReadYourWritesUnderConcurrency(t *testing.T) {
	l := &log{links: map[features.UserKey]features.UserKey{}, consent: features.AllPurposes}
	c, err := New(Options{History: l, Consents: l, Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for u := byte(1); u <= 8; u++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				e := l.put(u, 0, "a")
				c.Stored("default", []features.Event{e})
				s, err := c.Get(context.Background(), "default", key(u), features.UserKey{}, abc)
				if err != nil || len(s.Recent) != i+1 {
					t.Errorf("user %d: got %v with %v, want %d events", u, s, err, i+1)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// Of one who did not agree to personalisation no history is read and no event
// kept, whatever the session.
func TestNothingIsReadWithoutConsent(t *testing.T) {
	l := &log{consent: features.Analytics | features.Marketing, fail: errors.New("the history was read")}
	c := cache(t, l)
	for _, session := range []features.UserKey{{}, key(9)} {
		for range 2 {
			s, err := c.Get(context.Background(), "default", key(1), session, abc)
			if err != nil || s.Known() || len(s.Recent) > 0 {
				t.Fatalf("got %+v with %v, want an unknown shopper and no reading", s, err)
			}
			c.Stored("default", []features.Event{l.put(1, 0, "a")})
		}
	}
}
