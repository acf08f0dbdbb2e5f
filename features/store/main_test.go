package store

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"go.uber.org/goleak"
)

// TestMain lets property tests run a few cases, since each opens stores on
// disk; -rapid.checks asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const shop = features.DefaultShop

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// open opens a store for a test, in dir or a directory of its own.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Logger = slog.New(slog.DiscardHandler)
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func key(n int) features.UserKey {
	return features.UserKey{0: 1, 14: byte(n >> 8), 15: byte(n)}
}

// event is a purchase with every field set, different for every n.
func event(n int) features.Event {
	return features.Event{
		ID: fmt.Sprintf("event-%d", n), Type: features.Purchase, User: key(n % 7), Session: key(1000 + n%11),
		Item: fmt.Sprintf("item-%d", n%13), Time: noon.Add(time.Duration(n) * time.Second), Received: noon.Add(time.Duration(n+1) * time.Second),
		Surface: features.SurfaceHome, Channel: "web", Device: "phone", Market: [...]string{"DE", "FR", ""}[n%3], Locale: "de-DE",
		Quantity: int32(n%5) - 1, Price: features.Money{Micros: int64(n) * 1000, Currency: "EUR"}, Value: float64(n) / 3,
		Order: fmt.Sprintf("order-%d", n/4), Target: "t", Recommendation: "r", Position: int32(n % 20),
		Text: [...]string{"", "very good"}[n%2], Attributes: [...]map[string]string{nil, {"colour": "red"}}[n%2],
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func scan(t testing.TB, s *Store, from, to int64) (all []features.Event) {
	t.Helper()
	err := s.Scan(context.Background(), shop, from, to, func(e *features.Event) error {
		all = append(all, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
