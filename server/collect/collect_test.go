package collect

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shelf is a log, a morgue, a book of links and a listener in memory.
type shelf struct {
	log     []features.Event
	ids     map[string]int64
	dead    []store.DeadLetter
	links   []features.UserKey
	told    []int64
	fail    error
	failBad error

	failLinks error
}

func (s *shelf) AppendLinking(_ context.Context, _ features.ShopID, events []features.Event, links [][2]features.UserKey) ([]store.Appended, error, error) {
	if s.fail != nil {
		return nil, nil, s.fail
	}
	for _, p := range links {
		if s.failLinks == nil {
			s.links = append(s.links, p[0], p[1])
		}
	}
	out := make([]store.Appended, len(events))
	for i, e := range events {
		if seq, ok := s.ids[e.ID]; ok && e.ID != "" {
			out[i] = store.Appended{Seq: seq, Duplicate: true}
			continue
		}
		e.Seq = int64(len(s.log) + 1)
		s.log = append(s.log, e)
		s.ids[e.ID] = e.Seq
		out[i].Seq = e.Seq
	}
	return out, s.failLinks, nil
}

func (s *shelf) PutDead(_ context.Context, _ features.ShopID, letters []store.DeadLetter) error {
	if s.failBad != nil {
		return s.failBad
	}
	s.dead = append(s.dead, letters...)
	return nil
}

func (s *shelf) Stored(_ features.ShopID, events []features.Event) {
	for _, e := range events {
		s.told = append(s.told, e.Seq)
	}
}

func (s *shelf) Linked(_ features.ShopID, alias, user features.UserKey) {
	s.told = append(s.told, -int64(alias[0])*10-int64(user[0]))
}

func collector(t *testing.T, s *shelf) *Collector {
	t.Helper()
	c, err := New(Options{
		Log: s, Morgue: s, Listener: s, MaxAge: 30 * 24 * time.Hour,
		Clock: func() time.Time { return now }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(b byte) features.UserKey { return features.UserKey{b} }

func raw(int) []byte { return []byte("as it came") }

func TestClocks(t *testing.T) {
	s := &shelf{ids: map[string]int64{}}
	c := collector(t, s)
	events := []features.Event{
		{ID: "none", User: key(1)},
		{ID: "past", User: key(1), Time: now.Add(-time.Hour)},
		{ID: "ahead a little", User: key(1), Time: now.Add(5 * time.Minute)},
		{ID: "ahead", User: key(1), Time: now.Add(5*time.Minute + time.Millisecond)},
		{ID: "ancient", User: key(1), Time: now.Add(-31 * 24 * time.Hour)},
	}
	out, err := c.Collect(context.Background(), "default", "Collect", events, raw)
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Time{now, now.Add(-time.Hour), now.Add(5 * time.Minute), now}
	for i, w := range want {
		if !s.log[i].Time.Equal(w) || !s.log[i].Received.Equal(now) {
			t.Errorf("%s: got time %v received %v, want %v and %v", s.log[i].ID, s.log[i].Time, s.log[i].Received, w, now)
		}
		if out[i].Seq != int64(i+1) || out[i].Refused != nil {
			t.Errorf("%s: got %+v, want sequence %d", s.log[i].ID, out[i], i+1)
		}
	}
	if out[4].Refused == nil || out[4].Refused.Field != "time" || !strings.Contains(out[4].Refused.Error(), "within the last 30 days") {
		t.Fatalf("got %+v, want a refusal of the time that says the limit", out[4].Refused)
	}
	if len(s.dead) != 1 || s.dead[0].Rule != "too_old" || string(s.dead[0].Payload) != "as it came" || s.dead[0].User != key(1) || s.dead[0].Source != "Collect" {
		t.Fatalf("got %+v, want the ancient event kept as it came", s.dead)
	}
	if want := []int64{1, 2, 3, 4}; !slices.Equal(s.told, want) {
		t.Fatalf("listener: got %v, want %v", s.told, want)
	}
}

func TestRepeatIsHarmlessAndUntold(t *testing.T) {
	s := &shelf{ids: map[string]int64{}}
	c := collector(t, s)
	for range 2 {
		out, err := c.Collect(context.Background(), "default", "Collect", []features.Event{{ID: "a", User: key(1)}}, raw)
		if err != nil || out[0].Seq != 1 {
			t.Fatalf("got %+v, %v, want sequence 1", out, err)
		}
	}
	if !slices.Equal(s.told, []int64{1}) {
		t.Fatalf("listener: got %v, want one event", s.told)
	}
}

func TestSessionIsLinkedOnceAndBeforeItsEventIsTold(t *testing.T) {
	s := &shelf{ids: map[string]int64{}}
	c := collector(t, s)
	events := []features.Event{
		{User: key(1)}, {Session: key(2)}, {User: key(1), Session: key(2)}, {User: key(1), Session: key(2)}, {User: key(3), Session: key(2)},
	}
	if _, err := c.Collect(context.Background(), "default", "Collect", events, raw); err != nil {
		t.Fatal(err)
	}
	if want := []features.UserKey{key(2), key(1), key(2), key(3)}; !slices.Equal(s.links, want) {
		t.Fatalf("got links %v, want %v", s.links, want)
	}
	if want := []int64{-21, -23, 1, 2, 3, 4, 5}; !slices.Equal(s.told, want) {
		t.Fatalf("listener: got %v, want %v", s.told, want)
	}
}

// TestLinkIsTriedAgain has links that are not stored: the events are, nobody is
// told of the links, and the next event brings them again.
func TestLinkIsTriedAgain(t *testing.T) {
	s := &shelf{ids: map[string]int64{}, failLinks: errors.New("no links today")}
	c := collector(t, s)
	send := func() {
		out, err := c.Collect(context.Background(), "default", "Collect", []features.Event{{User: key(1), Session: key(2)}}, raw)
		if err != nil || out[0].Seq == 0 {
			t.Fatalf("got %v, %v, want the event stored", out, err)
		}
	}
	send()
	s.failLinks = nil
	send()
	send()
	if want := []features.UserKey{key(2), key(1)}; !slices.Equal(s.links, want) {
		t.Fatalf("got links %v, want %v", s.links, want)
	}
	if want := []int64{1, -21, 2, 3}; !slices.Equal(s.told, want) {
		t.Fatalf("listener: got %v, want %v", s.told, want)
	}
}

func TestNothingIsToldWhenNothingIsStored(t *testing.T) {
	s := &shelf{ids: map[string]int64{}, fail: errors.New("disk full")}
	c := collector(t, s)
	_, err := c.Collect(context.Background(), "default", "Collect", []features.Event{{User: key(1), Session: key(2)}}, raw)
	if !errors.Is(err, s.fail) || len(s.told) != 0 || len(s.links) != 0 {
		t.Fatalf("got %v, told %v, links %v, want the store's error and silence", err, s.told, s.links)
	}
}

func TestRefusalStandsWhenItCannotBeKept(t *testing.T) {
	s := &shelf{ids: map[string]int64{}, failBad: errors.New("disk full")}
	c := collector(t, s)
	out, err := c.Collect(context.Background(), "default", "Collect", []features.Event{{User: key(1), Time: now.AddDate(-1, 0, 0)}, {User: key(1)}}, raw)
	if err != nil || out[0].Refused == nil || out[1].Seq != 1 {
		t.Fatalf("got %+v, %v, want a refusal and an event", out, err)
	}
}
