package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

func TestUsers(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Clock: func() time.Time { return noon }})
	none := features.Purposes(0)
	p := must(s.Pseudonyms(ctx, shop))(t)
	u := User{ID: "alice@example.org", Consent: &none, Market: "DE", Languages: []string{"de", "en"}, Personal: Personal{AgeBand: "30-39", Friends: []string{"bob"}}}
	if err := s.PutUsers(ctx, shop, []User{u, {ID: "bob"}}); err != nil {
		t.Fatal(err)
	}
	u.Key, u.Created, u.Updated = p.User(u.ID), noon, noon
	if got := must(s.GetUser(ctx, shop, u.Key))(t); !reflect.DeepEqual(got, u) {
		t.Errorf("got %+v, want %+v", got, u)
	}
	if _, err := s.GetUser(ctx, "other", u.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("from another shop: got %v, want ErrNotFound", err)
	}
	for k, want := range map[features.UserKey]features.Purposes{u.Key: none, p.User("bob"): features.AllPurposes, key(9): features.AllPurposes} {
		if got := must(s.Consent(ctx, shop, k))(t); got != want {
			t.Errorf("consent of %s: got %v, want %v", k, got, want)
		}
	}
	if got := must(s.ListUsers(ctx, shop, features.UserKey{}, 10))(t); len(got) != 2 {
		t.Errorf("list: got %d users, want 2", len(got))
	}
	must(s.Append(ctx, shop, []features.Event{{Type: features.Comment, User: u.Key, Text: "a secret word"}}))(t)
	if err := s.DeleteUser(ctx, shop, u.Key); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, s, 0, 0); got[0].Text != "" {
		t.Errorf("text of a deleted user: got %q, want none", got[0].Text)
	}
	if err := s.DeleteUser(ctx, shop, u.Key); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted twice: got %v, want ErrNotFound", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, file := range must(filepath.Glob(filepath.Join(dir, "*")))(t) {
		b := must(os.ReadFile(file))(t)
		for _, word := range []string{"a secret word", "alice@example.org", "30-39"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s holds %q in clear", filepath.Base(file), word)
			}
		}
	}
}

func TestCatalogue(t *testing.T) {
	ctx := context.Background()
	now := noon
	s := open(t, Options{Clock: func() time.Time { return now }})
	price := func(micros int64) map[string]features.Money {
		return map[string]features.Money{"DE": {Micros: micros, Currency: "EUR"}}
	}
	put := func(items ...features.Item) {
		t.Helper()
		if err := s.PutItems(ctx, shop, items); err != nil {
			t.Fatal(err)
		}
	}
	put(features.Item{ID: "a", Prices: price(1)}, features.Item{ID: "b", Title: "B"}, features.Item{ID: "c"})
	now = noon.Add(time.Hour)
	put(features.Item{ID: "a", Prices: price(2)}, features.Item{ID: "b", Title: "B"})
	if err := s.DeleteItem(ctx, shop, "c"); err != nil {
		t.Fatal(err)
	}
	a := must(s.GetItem(ctx, shop, "a"))(t)
	if !a.Created.Equal(noon) || !a.Updated.Equal(now) || a.PriceIn("DE").Micros != 2 {
		t.Errorf("got %+v", a)
	}
	if _, err := s.GetItem(ctx, shop, "c"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted item: got %v, want ErrNotFound", err)
	}
	var got []string
	next, err := s.Changes(ctx, shop, 0, func(c Change) error {
		got = append(got, c.Item.ID+map[bool]string{true: " deleted"}[c.Deleted])
		return nil
	})
	if want := []string{"b", "a", "c deleted"}; err != nil || !reflect.DeepEqual(got, want) || next != 6 {
		t.Errorf("changes: got %v, next %d, %v, want %v, next 6: an item put as it was is no change", got, next, err, want)
	}
	if h := must(s.ItemHistory(ctx, shop, "a"))(t); len(h) != 2 || h[0].Amount.Micros != 1 || h[1].Amount.Micros != 2 {
		t.Errorf("history of prices: got %v", h)
	}
	if list := must(s.ListItems(ctx, shop, "a", 10))(t); len(list) != 1 || list[0].ID != "b" {
		t.Errorf("list after a: got %v, want b", list)
	}
}

func TestJournalAndMorgue(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{})
	var want []Served
	for n := range servedAtOnce + 10 {
		want = append(want, Served{Recommendation: string(rune('a'+n%26)) + time.Duration(n).String(), Time: noon.Add(time.Duration(n) * time.Second), User: key(1),
			Surface: "home", Market: "DE", Release: "v1", Items: []ServedItem{{"x", "ials", 1, 0.5}}})
	}
	for range 2 { // sent again, a record changes nothing
		if err := s.PutServed(ctx, shop, want); err != nil {
			t.Fatal(err)
		}
	}
	var got []Served
	if err := s.ScanServed(ctx, shop, noon, time.Time{}, func(r *Served) error { got = append(got, *r); return nil }); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("served: got %d records, %v, want %d", len(got), err, len(want))
	}
	letters := []DeadLetter{{Source: "f:1", Rule: "r", Reason: "why", User: key(2), Payload: []byte("p")}, {Key: "k", Payload: []byte("q")}}
	for range 2 {
		if err := s.PutDead(ctx, shop, letters); err != nil {
			t.Fatal(err)
		}
	}
	dead := must(s.ListDead(ctx, shop, 0, 10))(t)
	if len(dead) != 3 || string(dead[0].Payload) != "p" || dead[0].User != key(2) {
		t.Fatalf("dead letters: got %+v, want three: the one with a key once", dead)
	}
	if err := s.MarkReplayed(ctx, shop, dead[0].ID); err != nil {
		t.Error(err)
	}
	if dead := must(s.ListDead(ctx, shop, 0, 1))(t); dead[0].Replayed.IsZero() {
		t.Error("a letter marked as replayed is not")
	}
	if err := s.MarkReplayed(ctx, shop, 99); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown letter: got %v, want ErrNotFound", err)
	}
}

// TestMigrationKeepsTheLog takes a store with events back to its first schema
// and opens it again.
func TestMigrationKeepsTheLog(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 100, SealAt: -1}
	s := open(t, o)
	for n := range 300 {
		must(s.Append(ctx, shop, []features.Event{event(n)}))(t)
	}
	must(s.Seal(ctx, shop, 150))(t)
	want := scan(t, s, 0, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db := must(sql.Open("sqlite", filepath.Join(o.Dir, filepath.Base(s.path()))))(t)
	p := must(provider(db))(t)
	must(p.DownTo(ctx, 1))(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	if got := scan(t, s, 0, 0); len(got) != 300 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %s, want %s", numbers(got), numbers(want))
	}
	must(s.Append(ctx, shop, []features.Event{event(300)}))(t)
	if got := must(s.End(ctx, shop))(t); got != 302 {
		t.Errorf("got the end %d, want 302", got)
	}
}
