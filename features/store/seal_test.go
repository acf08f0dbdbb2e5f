package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

// TestSealingThatFails ends a sealing at each of its points, as a crash would,
// and expects every event once, before and after a restart, and no file left.
func TestSealingThatFails(t *testing.T) {
	ctx := context.Background()
	for _, at := range []string{"written", "recorded"} {
		t.Run(at, func(t *testing.T) {
			broken := true
			stop := errors.New("stopped")
			o := Options{Dir: t.TempDir(), SegmentRows: 100, SealAt: -1, seam: func(point string) error {
				if broken && point == at {
					return stop
				}
				return nil
			}}
			s := open(t, o)
			var want []features.Event
			for n := range 350 {
				want = append(want, event(n))
				must(s.Append(ctx, shop, want[n:]))(t)
				want[n].Seq, want[n].Shop = int64(n+1), shop
			}
			check := func(s *Store) {
				t.Helper()
				if got := scan(t, s, 0, 0); !reflect.DeepEqual(got, want) {
					t.Fatalf("got %s, want %s", numbers(got), numbers(want))
				}
				if again := must(s.Append(ctx, shop, want[3:4]))(t); again[0] != (Appended{4, true}) {
					t.Fatalf("sent again: got %+v, want a duplicate of 4", again[0])
				}
			}
			if _, err := s.Seal(ctx, shop, 0); !errors.Is(err, stop) {
				t.Fatalf("seal: got %v, want it to stop", err)
			}
			check(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, o)
			if left := must(filepath.Glob(filepath.Join(o.Dir, "segments", "*", "*")))(t); len(left) > 0 {
				t.Errorf("after a restart these files are left: %v", left)
			}
			check(s)
			broken = false
			if n := must(s.Seal(ctx, shop, 0))(t); n != 350 {
				t.Errorf("sealed %d events, want 350", n)
			}
			check(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for _, idx := range must(filepath.Glob(filepath.Join(o.Dir, "segments", "*", "*.idx")))(t) {
				if err := os.Remove(idx); err != nil {
					t.Fatal(err)
				}
			}
			s = open(t, o)
			check(s)
			if got := must(s.History(ctx, shop, key(3), 1000))(t); len(got) != 50 {
				t.Errorf("history with indexes made anew: got %d events, want 50", len(got))
			}
		})
	}
}

// TestPagesOfASegmentGoLater ends a sealing between the segment and the deletion
// of its pages: nothing reads them any more, and whatever comes next deletes
// them.
func TestPagesOfASegmentGoLater(t *testing.T) {
	ctx := context.Background()
	for _, next := range []string{"restart", "seal", "erase", "expire"} {
		t.Run(next, func(t *testing.T) {
			broken := false
			stop := errors.New("stopped")
			o := Options{Dir: t.TempDir(), SegmentRows: 100, SealAt: -1, seam: func(point string) error {
				if broken && point == "deleting" {
					return stop
				}
				return nil
			}}
			s := open(t, o)
			for n := range 350 {
				must(s.Append(ctx, shop, []features.Event{event(n)}))(t)
			}
			left := func() (n int) {
				t.Helper()
				if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM pages WHERE first_seq <= 100`).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			broken = true
			if _, err := s.Seal(ctx, shop, 0); !errors.Is(err, stop) {
				t.Fatalf("seal: got %v, want it to stop", err)
			}
			if left() == 0 || len(must(s.Segments(ctx, shop))(t)) != 1 {
				t.Fatal("want one segment, and its pages")
			}
			if got := scan(t, s, 0, 0); len(got) != 350 || got[349].Seq != 350 {
				t.Errorf("got %s, want 1 to 350", numbers(got))
			}
			if again := must(s.Append(ctx, shop, []features.Event{event(3)}))(t); again[0] != (Appended{4, true}) {
				t.Errorf("sent again: got %+v, want a duplicate of 4", again[0])
			}
			broken = false
			switch next {
			case "restart":
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, o)
			case "seal":
				must(s.Seal(ctx, shop, 0))(t)
			case "erase":
				must(s.Erase(ctx, shop, key(3)))(t)
			case "expire":
				must(s.Expire(ctx, shop, Retention{Events: map[features.EventType]time.Duration{features.View: time.Hour}}))(t)
			}
			if n := left(); n > 0 {
				t.Errorf("%d pages of the segment are left", n)
			}
		})
	}
}

func TestSealingInTheBackground(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{SegmentRows: 1000, SealAt: 2000})
	n := 0
	for n < 10_000 {
		var events []features.Event
		for range 250 {
			events = append(events, event(n))
			n++
		}
		must(s.Append(ctx, shop, events))(t)
		if got := scan(t, s, 0, 0); len(got) != n || got[n-1].Seq != int64(n) || got[0].Seq != 1 {
			t.Fatalf("after %d events: got %d", n, len(got))
		}
	}
}
