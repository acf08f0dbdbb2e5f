package retrain

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
)

// live is a shopper's state as serving keeps it: the newest events of the key
// and of those linked to it, what another user did in a shared session left
// out.
func live(t *testing.T, s *store.Store, key features.UserKey, items features.Catalog) *features.Shopper {
	t.Helper()
	ctx := context.Background()
	own, err := s.Aliases(ctx, features.DefaultShop, key)
	if err != nil {
		t.Fatal(err)
	}
	own = append(own, key)
	events, err := s.History(ctx, features.DefaultShop, key, 2*features.HistoryCap)
	if err != nil {
		t.Fatal(err)
	}
	var b history.Book
	for i := range events {
		if e := &events[i]; e.User.IsZero() || slices.Contains(own, e.User) {
			b.Fold(e)
		}
	}
	shopper := b.Shopper(items)
	shopper.Consent = features.AllPurposes
	return shopper
}

// The vector that serving folds in and the one that training folds in of the
// whole log are the same: for a shopper the models learnt from, for one they
// never saw, for a session, and for sessions that turned out to be somebody.
func TestFoldInOfTheLogIsThatOfServing(t *testing.T) {
	ctx := context.Background()
	s := shop(t, 60)
	items, err := itemsOf(ctx, s, features.DefaultShop)
	if err != nil {
		t.Fatal(err)
	}
	learnt, err := dataset.FromLog(ctx, s, features.DefaultShop, items)
	if err != nil {
		t.Fatal(err)
	}
	ials, err := kind.Of("ials")
	if err != nil {
		t.Fatal(err)
	}
	m, err := ials.Fit(ctx, models.FitInput{Train: learnt[0].Data, Seed: 1, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}

	known, newcomer, merged, other := features.UserKey{1, 4}, features.UserKey{2, 1}, features.UserKey{2, 2}, features.UserKey{2, 3}
	visit, stray, shared := features.UserKey{3, 1}, features.UserKey{3, 2}, features.UserKey{3, 3}
	at := time.Date(2011, 9, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	add := func(typ features.EventType, user, session features.UserKey, item int) {
		t.Helper()
		n++
		e := features.Event{
			Shop: features.DefaultShop, ID: fmt.Sprintf("more-%d", n), Type: typ, User: user, Session: session,
			Item: fmt.Sprintf("item-%03d", item), Market: "DE", Time: at.Add(time.Duration(n) * time.Minute), Quantity: 1,
		}
		if _, err := s.Append(ctx, features.DefaultShop, []features.Event{e}); err != nil {
			t.Fatal(err)
		}
		if !user.IsZero() && !session.IsZero() { // as the collector does
			if err := s.Link(ctx, features.DefaultShop, session, user); err != nil {
				t.Fatal(err)
			}
		}
	}
	nobody := features.UserKey{}
	add(features.View, nobody, visit, 3)
	add(features.CartAdd, nobody, visit, 5)
	add(features.View, newcomer, nobody, 7)
	add(features.CartRemove, newcomer, visit, 5) // takes back what was added unknown
	add(features.View, nobody, visit, 9)         // signed out again: still the same visit
	add(features.View, nobody, stray, 11)        // never anyone
	add(features.View, nobody, shared, 13)
	add(features.View, known, shared, 15)
	add(features.View, other, shared, 17) // another one on the same device
	add(features.Purchase, nobody, shared, 19)
	add(features.Purchase, merged, nobody, 21)
	if err := s.Link(ctx, features.DefaultShop, merged, other); err != nil {
		t.Fatal(err)
	}

	whole, err := dataset.FromLog(ctx, s, features.DefaultShop, items)
	if err != nil {
		t.Fatal(err)
	}
	log := whole[0].Data
	embed := m.(models.Embedder)
	for name, c := range map[string]struct {
		key   features.UserKey
		rows  int // of the history; 0: not checked
		lacks features.Row
	}{
		"known":                     {known, 0, 13},
		"unknown, once a session":   {newcomer, 3, 5},
		"a session":                 {stray, 1, features.NoRow},
		"two users and one session": {other, 4, 15},
	} {
		u := slices.Index(log.Users, c.key.String())
		if u < 0 {
			t.Fatalf("%s: the log has no such shopper", name)
		}
		trained := &features.Shopper{Recent: log.History(u), Consent: features.AllPurposes}
		if n := len(trained.Recent); n > features.HistoryCap {
			trained.Recent = trained.Recent[n-features.HistoryCap:]
		}
		serving := live(t, s, c.key, items)
		if c.rows > 0 && len(serving.Recent) != c.rows || slices.ContainsFunc(serving.Recent, func(it features.Interaction) bool { return it.Row == c.lacks }) {
			t.Errorf("%s: got history %+v, want %d interactions and none with row %d", name, serving.Recent, c.rows, c.lacks)
		}
		if !slices.Equal(trained.Recent, serving.Recent) {
			t.Errorf("%s: got history %+v of the log, want %+v as served", name, trained.Recent, serving.Recent)
		}
		vectors := make([][]float32, 2)
		for i, shopper := range []*features.Shopper{trained, serving} {
			vectors[i] = make([]float32, embed.Dim())
			r := &features.Request{Query: features.Query{Now: at.Add(time.Hour), Market: "DE"}, Shopper: shopper, Item: features.NoRow, Catalog: items, Scratch: new(features.Scratch)}
			if !embed.Embed(r, vectors[i]) {
				t.Fatalf("%s: there is no vector", name)
			}
		}
		for i := range vectors[0] {
			if d := math.Abs(float64(vectors[0][i] - vectors[1][i])); d > 1e-5 {
				t.Fatalf("%s: got %v of the log, want %v as served, at %d", name, vectors[0][i], vectors[1][i], i)
			}
		}
	}
	for _, gone := range []features.UserKey{visit, shared, merged} {
		if slices.Contains(log.Users, gone.String()) {
			t.Errorf("%s stands for itself, though it turned out to be another", gone)
		}
	}
}
