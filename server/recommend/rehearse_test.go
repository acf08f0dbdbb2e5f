package recommend

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// asks has a recommender answer many questions of one user and of nobody.
func asks(t *testing.T, rec *Recommender, user features.UserKey) {
	t.Helper()
	var ans Answer
	for i := range 400 {
		q := &Query{Shop: "default", Limit: 2, Exclude: []string{fmt.Sprintf("item-%d", i%2)}, Text: "a secret"}
		if i%2 == 0 {
			q.User = user
		}
		if err := rec.Recommend(context.Background(), q, &ans); err != nil {
			t.Fatal(err)
		}
	}
}

// A release that is about to be served answers what its shop was asked lately,
// and nobody learns of it.
func TestRehearseAsksTheSameUnseen(t *testing.T) {
	s, next := newStand("v1", 10), newStand("v2", 10)
	told := 0
	rec, err := New(Options{Releases: s, Shoppers: s, Journal: s, Clock: func() time.Time { return now }, Observe: func(Outcome) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	if n := rec.Rehearse(context.Background(), "default", next, nil); n != 0 {
		t.Errorf("got %d answers before anything was asked", n)
	}
	user := features.UserKey{1}
	asks(t, rec, user)
	served, observed := len(s.served), told
	n := rec.Rehearse(context.Background(), "default", next, nil)
	if n == 0 || n > rehearsed {
		t.Errorf("got %d answers, want 1 to %d", n, rehearsed)
	}
	if r := &next.last; r.Limit != 2 || r.Surface != "home" || len(r.Exclude) != 1 || r.Text != "" {
		t.Errorf("got the request %+v, want one that was asked, without its words", r)
	}
	if len(s.served) != served || len(next.served) != 0 || told != observed || next.held != 0 {
		t.Errorf("got %d more records, %d told, %d held, want a rehearsal unseen", len(s.served)-served+len(next.served), told-observed, next.held)
	}
	if n := rec.Rehearse(context.Background(), "other", next, nil); n != 0 {
		t.Errorf("another shop: got %d answers, want none", n)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if n := rec.Rehearse(ended, "default", next, nil); n != 0 {
		t.Errorf("after the end: got %d answers, want none", n)
	}
	rec.Forget("default", user)
	if left := rec.Rehearse(context.Background(), "default", next, nil); left == 0 || left >= n {
		t.Errorf("got %d answers without one who is forgotten, want fewer than %d", left, n)
	}
}

// Of many questions the newest are kept, also when some were forgotten.
func TestRehearsalsAreBounded(t *testing.T) {
	s := newStand("v1", 10)
	rec := recommender(t, s)
	for range 30 {
		asks(t, rec, features.UserKey{2})
		rec.Forget("default", features.UserKey{3})
	}
	v, _ := rec.asked.Load(features.ShopID("default"))
	if got := len(v.(*asked).all); got != rehearsed {
		t.Errorf("got %d questions, want %d of %d", got, rehearsed, 30*400)
	}
	if n := rec.Rehearse(context.Background(), "default", newStand("v2", 10), nil); n != rehearsed {
		t.Errorf("got %d answers, want %d", n, rehearsed)
	}
}

// A release that breaks at a question is found out elsewhere, not here.
func TestRehearseHarmsNobody(t *testing.T) {
	s := newStand("v1", 10)
	rec := recommender(t, s)
	asks(t, rec, features.UserKey{4})
	if n := rec.Rehearse(context.Background(), "default", &breaking{stand: newStand("v2", 3)}, nil); n != 0 {
		t.Errorf("got %d answers of a release that panics, want none", n)
	}
}
