package store

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/attune-rec/attune/features"
)

// sealedEvents is what the log has encrypted, as it lies there.
func sealedEvents(t *testing.T, s *Store) (all [][]byte) {
	t.Helper()
	err := s.scanStored(context.Background(), shop, 0, 0, func(e *stored) error {
		for _, b := range [][]byte{e.text, e.attributes} {
			if len(b) > 0 {
				all = append(all, bytes.Clone(b))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("the log has nothing encrypted: the test is blind")
	}
	return all
}

// told is what can be read of everyone: events, what persons told, refused rows.
type told struct {
	texts   []string
	user    User
	letters []string
}

func tell(t *testing.T, s *Store, user features.UserKey) (out told) {
	t.Helper()
	for _, e := range scan(t, s, 0, 0) {
		out.texts = append(out.texts, e.Text+" "+e.Attributes["note"])
	}
	out.user = must(s.GetUser(context.Background(), shop, user))(t)
	for _, d := range must(s.ListDead(context.Background(), shop, 0, 1000))(t) {
		out.letters = append(out.letters, string(d.Payload))
	}
	return out
}

// expectTold compares what can be read with what could.
func expectTold(t *testing.T, s *Store, user features.UserKey, want told) {
	t.Helper()
	got := tell(t, s, user)
	if len(got.texts) != len(want.texts) || len(got.letters) != len(want.letters) {
		t.Fatalf("got %d events and %d refused rows, want %d and %d", len(got.texts), len(got.letters), len(want.texts), len(want.letters))
	}
	for i := range want.texts {
		if got.texts[i] != want.texts[i] {
			t.Errorf("event %d: got %q, want %q", i+1, got.texts[i], want.texts[i])
		}
	}
	for i := range want.letters {
		if got.letters[i] != want.letters[i] {
			t.Errorf("refused row %d: got %q, want %q", i+1, got.letters[i], want.letters[i])
		}
	}
	if got.user.ID != want.user.ID || got.user.Personal.Region != want.user.Personal.Region || want.user.ID == "" {
		t.Errorf("got user %+v, want %+v", got.user, want.user)
	}
}

// After a renewal all is read as before, nothing that the old keys encrypted is
// in any file, they open nothing, and who was erased stays so.
func TestRenewDataKeys(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
	s, gone, stays := stocked(t, o)
	must(s.Erase(ctx, shop, gone))(t)
	want := tell(t, s, stays)
	columns, wrapped := blobs(t, s, stays)
	before := append(append(columns, wrapped), sealedEvents(t, s)...)
	old := must(s.keys.get(ctx, shop, stays, false))(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	n := must(RenewDataKeys(ctx, o))(t)
	s = open(t, o)
	var keys int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM data_keys WHERE length(wrapped) > 0`).Scan(&keys); err != nil {
		t.Fatal(err)
	}
	if n != keys || n < 2 {
		t.Errorf("got %d keys renewed, want all %d", n, keys)
	}
	expectTold(t, s, stays, want)
	expectGone(t, s, 0)
	if u, err := s.GetUser(ctx, shop, gone); err == nil {
		t.Errorf("the erased person is back: %+v", u)
	}
	columns, _ = blobs(t, s, stays)
	for i, what := range []string{"external_id", "personal", "payload"} {
		if _, err := old.open(columns[i][1:13], columns[i][13:], associated(shop, stays, what)); err == nil {
			t.Errorf("the old key opens %s", what)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, b := range before {
		if n := lies(t, o.Dir, b); n != 0 {
			t.Errorf("blob %d of before is found %d times, want none", i, n)
		}
	}
}

// A renewal that is stopped at any of its points leaves a store that reads all,
// takes more, and can be renewed to the end.
func TestRenewalThatStops(t *testing.T) {
	ctx, stop := context.Background(), errors.New("stopped")
	for _, at := range []string{"new keys stand", "segment rewritten", "encrypted anew"} {
		t.Run(at, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
			s, _, stays := stocked(t, o)
			want := tell(t, s, stays)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			broken := o
			broken.seam = func(point string) error {
				if point == at {
					return stop
				}
				return nil
			}
			if _, err := RenewDataKeys(ctx, broken); !errors.Is(err, stop) {
				t.Fatalf("got %v, want it to stop", err)
			}
			s = open(t, o)
			expectTold(t, s, stays, want)
			user := want.user
			user.Personal.Region = "elsewhere"
			if err := s.PutUsers(ctx, shop, []User{user}); err != nil {
				t.Fatal(err)
			}
			want.user = user
			before := sealedEvents(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			must(RenewDataKeys(ctx, o))(t)
			s = open(t, o)
			expectTold(t, s, stays, want)
			c := must(s.keys.get(ctx, shop, stays, false))(t)
			if c.older != nil {
				t.Error("the old key still stands behind the new one")
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			for i, b := range before {
				if n := lies(t, o.Dir, b); n != 0 {
					t.Errorf("blob %d of before is found %d times, want none", i, n)
				}
			}
		})
	}
}
