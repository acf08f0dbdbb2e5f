package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/collect"
	"github.com/attune-rec/attune/server/shopper"
)

// morgue is a store that may refuse letters.
type morgue struct {
	*store.Store
	full error
}

func (m *morgue) PutDead(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error {
	if m.full != nil {
		return m.full
	}
	return m.Store.PutDead(ctx, shop, letters)
}

const rowShop = features.ShopID("kiosk")

func rowDoor(t *testing.T) (*Rows, *morgue) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	s, err := store.Open(context.Background(), store.Options{Dir: t.TempDir(), Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	m := &morgue{Store: s}
	c, err := collect.New(collect.Options{Log: s, Morgue: m, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	v, err := protovalidate.New()
	if err != nil {
		t.Fatal(err)
	}
	return &Rows{
		Events:  &Events{Collector: c, Names: shopper.NewNames(s), Validate: v, Dead: s, Tokens: NewTokens([]byte("0123456789abcdef"))},
		Catalog: &Catalog{Store: s, Validate: v}, Users: &Users{Store: s, Validate: v},
		Morgue: m, Validate: v, Audit: s.Audit, Actor: "queue",
	}, m
}

func rowsOf(values ...string) []Row {
	all := make([]Row, len(values))
	for i, v := range values {
		all[i] = Row{Place: fmt.Sprintf("Queue clicks/0@%d", i), ID: fmt.Sprintf("queue-%d", i), Time: time.Now().Add(-time.Hour), Value: []byte(v)}
	}
	return all
}

const aView = `{"id":"a","type":"EVENT_TYPE_VIEW","user":"u","item":"i"}`

// Rows of events are taken as calls take them; what is refused is kept, with its
// place and the reason, whom it tells of, and once however often it comes.
func TestRowsOfEvents(t *testing.T) {
	r, m := rowDoor(t)
	ctx := context.Background()
	rows := rowsOf(
		aView, aView, `{"type":2,"user":"u","item":"j"}`,
		`{"events":[{"id":"b","type":"EVENT_TYPE_VIEW","user":"v","item":"i"},{"type":"EVENT_TYPE_VIEW","user":"v"},{"itme":1,"user":"v"}]}`,
		`{"type":"EVENT_TYPE_SEARCH","user":"u","text":"\"events\"","attributes":{"events":"[]"}}`,
		`{"broken`, `{"id":"c","type":"EVENT_TYPE_VIEW","user":"w","item":"i","extra":1}`,
		`{"id":"d","type":"EVENT_TYPE_VIEW","user":"w","item":"i","time":"2001-01-01T00:00:00Z"}`,
		`{"events":[]}`, `{"events":[`+aView+`],"shop":"default"}`, `"`+strings.Repeat("x", maxRaw)+`"`, ``,
	)
	rows = append(rows, Row{Place: "Queue clicks/0@12", ID: "queue-12"}) // a tombstone
	for round := range 2 {
		taken, err := r.Take(ctx, rowShop, EventRows, rows)
		if err != nil {
			t.Fatal(err)
		}
		want := Taken{Accepted: 4, Duplicates: 1, Rejected: 10}
		if round == 1 {
			want = Taken{Duplicates: 5, Rejected: 10}
		}
		if taken != want {
			t.Errorf("round %d: got %+v, want %+v", round, taken, want)
		}
	}
	var ids []string
	if err := m.Scan(ctx, rowShop, 1, 0, func(e *features.Event) error {
		ids = append(ids, e.ID)
		if ago := time.Since(e.Time); ago < time.Hour {
			t.Errorf("event %s: got a time %v ago, want the record's", e.ID, ago)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(ids, " "), "a queue-2 b queue-4"; got != want {
		t.Errorf("got events %s, want %s", got, want)
	}
	letters, err := m.ListDead(ctx, rowShop, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	names, err := m.Pseudonyms(ctx, rowShop)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ rule, reason, user string }{
		"3#1": {"invalid", "item must be given", "v"}, "3#2": {"unreadable", `unknown field "itme"`, "v"}, "5": {"unreadable", "", ""},
		"6": {"unreadable", `unknown field "extra"`, "w"}, "7": {"too_old", "expected a time within", "w"}, "8": {"unreadable", "expected 1 to 10000", ""},
		"9": {"unreadable", `unknown field "shop" beside "events"`, ""}, "10": {"unreadable", "expected at most", ""}, "11": {"unreadable", "", ""}, "12": {"unreadable", "", ""},
	}
	for _, l := range letters {
		at, ok := strings.CutPrefix(l.Source, "CollectQueue clicks/0@")
		w, known := want[at]
		if !ok || !known || l.Rule != w.rule || !strings.Contains(l.Reason, w.reason) {
			t.Errorf("got letter %q, %s: %s; want %+v", l.Source, l.Rule, l.Reason, w)
		}
		if whom := names.User(w.user); l.User != whom {
			t.Errorf("%s: got it to tell of %s, want of %q", l.Source, l.User, w.user)
		}
		delete(want, at)
	}
	if len(want) > 0 || len(letters) != 10 {
		t.Errorf("got %d letters, want 10; without one: %v", len(letters), want)
	}
	out, err := r.Events.ReplayDeadLetters(ctx, &attunev1.ReplayDeadLettersRequest{Shop: string(rowShop), Source: "CollectQueue"})
	if err != nil || out.GetRejected() == 0 || out.GetRows() != 0 {
		t.Errorf("replayed: got %v, %v, want letters of rows to be tried as those of calls are", out, err)
	}
}

// When what is refused cannot be kept, the rows are not taken.
func TestRowsWaitForTheMorgue(t *testing.T) {
	r, m := rowDoor(t)
	m.full = store.ErrFull
	for what, value := range map[What]string{EventRows: `{"broken`, ItemRows: `{"broken`, UserRows: `{"id":""}`} {
		if _, err := r.Take(context.Background(), rowShop, what, rowsOf(value)); !errors.Is(err, store.ErrFull) || !Passing(err) {
			t.Errorf("%s: got %v, want that the store is full, which passes", what, err)
		}
	}
	old := rowsOf(`{"id":"d","type":"EVENT_TYPE_VIEW","user":"w","item":"i","time":"2001-01-01T00:00:00Z"}`)
	if _, err := r.Take(context.Background(), rowShop, EventRows, old); !errors.Is(err, store.ErrFull) {
		t.Errorf("too old: got %v, want that the store is full", err)
	}
	m.full = nil
	if err := r.Bury(context.Background(), rowShop, EventRows, rowsOf(aView)[0], errors.New("it would not")); err != nil {
		t.Fatal(err)
	}
	letters, err := m.ListDead(context.Background(), rowShop, 0, 10)
	if err != nil || len(letters) != 1 || letters[0].Rule != "failed" || string(letters[0].Payload) != aView {
		t.Errorf("got %+v, %v, want the row buried with its reason", letters, err)
	}
}

// Items and users are put, changed in part and deleted in the order of the rows.
func TestRowsOfItemsAndUsers(t *testing.T) {
	r, m := rowDoor(t)
	ctx := context.Background()
	rows := rowsOf(
		`{"id":"i","title":"one","brand":"b"}`, `{"items":[{"id":"j","title":"two"},{"id":""},{"id":"k","stock":{"":-1}}]}`,
		`{"item":{"id":"i","title":"three"},"update_mask":"title"}`, `{"item":{"id":"none","title":"x"},"updateMask":"title"}`,
		`{"item":{"id":"i"},"update_mask":"colour"}`, `{"item":{"id":"l","title":"whole"}}`, `{"item":{"id":"l"},"beside":1}`,
	)
	rows = append(rows,
		Row{Place: "Queue goods/0@7", ID: "queue-7", Key: []byte("j")}, Row{Place: "Queue goods/0@8", ID: "queue-8", Key: []byte("never there")},
		Row{Place: "Queue goods/0@9", ID: "queue-9"})
	for range 2 { // read again, they come to the same
		taken, err := r.Take(ctx, rowShop, ItemRows, rows)
		if want := (Taken{Accepted: 4, Deleted: 1, Rejected: 6}); err != nil || taken != want {
			t.Errorf("items: got %+v, %v, want %+v", taken, err, want)
		}
		it, err := m.GetItem(ctx, rowShop, "i")
		if err != nil || it.Title != "three" || it.Brand != "b" {
			t.Errorf("got %+v, %v, want the title changed and the brand as it was", it, err)
		}
		if _, err := m.GetItem(ctx, rowShop, "j"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, want the item deleted", err)
		}
	}
	users := rowsOf(`{"id":"u","market":"DE","consent":{"personalisation":true}}`, `{"user":{"id":"u","market":"FR"},"update_mask":"market"}`,
		`{"users":[{"id":"v"},{"id":"w","nickname":"x"}]}`)
	users = append(users, Row{Place: "Queue people/0@3", ID: "queue-u3", Key: []byte("v")})
	taken, err := r.Take(ctx, rowShop, UserRows, users)
	if want := (Taken{Accepted: 3, Deleted: 1, Rejected: 1}); err != nil || taken != want {
		t.Errorf("users: got %+v, %v, want %+v", taken, err, want)
	}
	names, err := m.Pseudonyms(ctx, rowShop)
	if err != nil {
		t.Fatal(err)
	}
	u, err := m.GetUser(ctx, rowShop, names.User("u"))
	if err != nil || u.Market != "FR" || u.Consent == nil || *u.Consent != features.Personalisation {
		t.Errorf("got %+v, %v, want the market changed and the consent as it was", u, err)
	}
	letters, err := m.ListDead(ctx, rowShop, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	whom := map[string]features.UserKey{}
	for _, l := range letters {
		whom[l.Source] = l.User
		if l.Reason == "" {
			t.Errorf("%s: got no reason", l.Source)
		}
	}
	if len(letters) != 7 || whom["UpsertUserQueue clicks/0@2#1"] != names.User("w") {
		t.Errorf("got %d letters that tell of %v, want 7, and the user's to tell of the user", len(letters), whom)
	}
	out, err := r.Events.ReplayDeadLetters(ctx, &attunev1.ReplayDeadLettersRequest{Shop: string(rowShop)})
	if err != nil || out.GetRows() != 7 {
		t.Errorf("replayed: got %v, %v, want 7 rows to be sent again by their sender", out, err)
	}
	log, err := m.ListAudit(ctx, rowShop, store.AuditQuery{Limit: 10})
	if err != nil || len(log) != 3 || log[1].Actor != "queue" || !strings.Contains(log[1].Detail, "goods/0@9") {
		t.Errorf("got %+v, %v, want an entry for each call of the queue with its places", log, err)
	}
}
