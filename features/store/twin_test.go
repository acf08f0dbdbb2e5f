package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"pgregory.net/rapid"
)

// twin is a log that anyone can see is right.
type twin struct {
	events []features.Event
	ids    map[string]int64
	linked map[features.UserKey]features.UserKey
}

func (w *twin) append(events []features.Event) (out []Appended) {
	for _, e := range events {
		if seq, ok := w.ids[e.ID]; ok && e.ID != "" {
			out = append(out, Appended{seq, true})
			continue
		}
		e.Seq, e.Shop = int64(len(w.events)+1), shop
		w.events = append(w.events, e)
		if e.ID != "" {
			w.ids[e.ID] = e.Seq
		}
		out = append(out, Appended{Seq: e.Seq})
	}
	return out
}

// of is the newest events of a subject and what is linked to it, of which a
// linked session has only what nobody known did in it.
func (w *twin) of(k features.UserKey, limit int, whole, wanted func(*features.Event) bool) (out []features.Event) {
	is := func(x features.UserKey) bool {
		for range 20 {
			if x == k {
				return true
			}
			next, ok := w.linked[x]
			if !ok {
				return false
			}
			x = next
		}
		return false
	}
	for _, e := range w.events {
		if wanted(&e) && (is(e.User) || is(e.Session) && e.User.IsZero() || whole(&e)) {
			out = append(out, e)
		}
	}
	return out[max(0, len(out)-limit):]
}

func (w *twin) history(k features.UserKey, limit int) []features.Event {
	return w.of(k, limit, func(e *features.Event) bool { return e.Session == k }, func(*features.Event) bool { return true })
}

func (w *twin) opinions(k features.UserKey, limit int) []features.Event {
	return w.of(k, limit, func(*features.Event) bool { return false }, func(e *features.Event) bool {
		return e.Type == features.Hide || e.Type == features.Dislike || e.Type == features.Like
	})
}

func (w *twin) circle(alias, user features.UserKey) bool {
	for {
		if user == alias {
			return true
		}
		next, ok := w.linked[user]
		if !ok {
			return false
		}
		user = next
	}
}

// TestTwin drives a store and its twin by the same steps, sealing, reopening
// and a reader beside it among them, and expects them to agree at every step.
func TestTwin(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "twin")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		o := Options{Dir: dir, SegmentRows: 40, SealAt: -1, Logger: slog.New(slog.DiscardHandler)}
		s, err := Open(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		r, err := OpenReader(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}()
		w := &twin{ids: map[string]int64{}, linked: map[features.UserKey]features.UserKey{}}
		person := rapid.Custom(func(t *rapid.T) features.UserKey {
			if rapid.Bool().Draw(t, "session") {
				return key(1000 + rapid.IntRange(0, 10).Draw(t, "key"))
			}
			return key(rapid.IntRange(0, 6).Draw(t, "key"))
		})
		same := func(what string, got, want []features.Event) {
			if len(got) != len(want) || (len(got) > 0 && !reflect.DeepEqual(got, want)) {
				t.Fatalf("%s: got %v, want %v", what, numbers(got), numbers(want))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var events []features.Event
				for range rapid.IntRange(1, 50).Draw(t, "n") {
					e := event(rapid.IntRange(0, 300).Draw(t, "event"))
					if rapid.IntRange(0, 4).Draw(t, "without id") == 0 {
						e.ID = ""
					}
					switch rapid.IntRange(0, 8).Draw(t, "kind") {
					case 0, 1, 2:
						e.User = features.UserKey{} // not signed in yet
					case 3:
						e.Session = features.UserKey{}
					case 4:
						e.User, e.Session = features.UserKey{}, features.UserKey{}
					}
					e.Type = [...]features.EventType{features.View, features.Purchase, features.Hide, features.Dislike, features.Like}[rapid.IntRange(0, 4).Draw(t, "type")]
					events = append(events, e)
				}
				got, err := s.Append(ctx, shop, events)
				if want := w.append(events); err != nil || !slices.Equal(got, want) {
					t.Fatalf("append: got %v, %v, want %v", got, err, want)
				}
			},
			"seal": func(t *rapid.T) {
				if _, err := s.Seal(ctx, shop, rapid.Int64Range(0, int64(len(w.events)+5)).Draw(t, "up to")); err != nil {
					t.Fatal(err)
				}
			},
			"link": func(t *rapid.T) {
				alias, user := person.Draw(t, "alias"), person.Draw(t, "user")
				err := s.Link(ctx, shop, alias, user)
				if w.circle(alias, user) {
					if err == nil {
						t.Fatalf("a circle from %s to %s was made", alias, user)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				w.linked[alias] = user
			},
			"unlink": func(t *rapid.T) {
				alias := person.Draw(t, "alias")
				_, had := w.linked[alias]
				if err := s.Unlink(ctx, shop, alias); (err == nil) != had {
					t.Fatalf("unlink: got %v, had a link: %v", err, had)
				}
				delete(w.linked, alias)
			},
			"reopen": func(t *rapid.T) {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = Open(ctx, o); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				k := person.Draw(t, "person")
				limit := rapid.IntRange(1, 30).Draw(t, "limit")
				from := rapid.Int64Range(0, int64(len(w.events)+1)).Draw(t, "from")
				for name, s := range map[string]*Store{"writer": s, "reader": r} {
					var all []features.Event
					if err := s.Scan(ctx, shop, from, 0, func(e *features.Event) error { all = append(all, *e); return nil }); err != nil {
						t.Fatal(err)
					}
					same(name+" scan", all, w.events[max(from-1, 0):])
					history, err := s.History(ctx, shop, k, limit)
					if err != nil {
						t.Fatal(err)
					}
					same(name+" history", history, w.history(k, limit))
					opinions, err := s.Opinions(ctx, shop, k, limit)
					if err != nil {
						t.Fatal(err)
					}
					same(name+" opinions", opinions, w.opinions(k, limit))
				}
			},
		})
	})
}

func numbers(events []features.Event) string {
	var s []int64
	for _, e := range events {
		s = append(s, e.Seq)
	}
	return fmt.Sprint(len(events), s)
}
