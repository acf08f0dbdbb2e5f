package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/attune-rec/attune/features"
)

// blobs are the encrypted columns of a person, and the data key, as they lie in
// the database.
func blobs(t *testing.T, s *Store, user features.UserKey) (columns [][]byte, key []byte) {
	t.Helper()
	var id, personal, payload []byte
	for _, q := range []struct {
		query string
		to    []any
	}{
		{`SELECT external_id, personal FROM users WHERE shop = ? AND user_key = ?`, []any{&id, &personal}},
		{`SELECT payload FROM dead_letters WHERE shop = ? AND user_key = ?`, []any{&payload}},
		{`SELECT wrapped FROM data_keys WHERE shop = ? AND user_key = ?`, []any{&key}},
	} {
		if err := s.read.QueryRowContext(context.Background(), q.query, string(shop), user[:]).Scan(q.to...); err != nil {
			t.Fatal(err)
		}
	}
	return [][]byte{id, personal, payload}, key
}

// lies counts bytes in all files of a directory: pages of the database that are
// free, and the write-ahead log, included.
func lies(t *testing.T, dir string, what []byte) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		n += bytes.Count(b, what)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Of a person who was erased neither the data key nor what it encrypted is left
// in any file, so that no thief of disk and master key can open it either.
func TestErasureLeavesNoCiphertext(t *testing.T) {
	s, gone, stays := stocked(t, Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1})
	columns, key := blobs(t, s, gone)
	all := append(columns, key)
	for i, b := range all {
		if lies(t, s.opts.Dir, b) == 0 {
			t.Fatalf("column %d is not found before the erasure: the search is blind", i)
		}
	}
	must(s.Erase(context.Background(), shop, gone))(t)
	for i, b := range all {
		if n := lies(t, s.opts.Dir, b); n != 0 {
			t.Errorf("column %d of the person gone is found %d times, want none", i, n)
		}
	}
	columns, key = blobs(t, s, stays)
	for i, b := range append(columns, key) {
		if lies(t, s.opts.Dir, b) == 0 {
			t.Errorf("column %d of the other is not found: the search is blind", i)
		}
	}
}

// After a rotation all is read as before, the old key opens nothing, and what it
// wrapped is in no file.
func TestRotateMasterKey(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
	s, gone, stays := stocked(t, o)
	must(s.Erase(ctx, shop, gone))(t)
	before := must(s.GetUser(ctx, shop, stays))(t)
	text := scan(t, s, 0, 0)[0].Text
	_, wrapped := blobs(t, s, stays)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Dir, "master.key")
	old := must(os.ReadFile(path))(t)
	n := must(RotateMasterKey(ctx, o))(t)
	var keys int
	s = open(t, o)
	if err := s.read.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM shops) + (SELECT count(*) FROM data_keys WHERE length(wrapped) > 0)`).Scan(&keys); err != nil {
		t.Fatal(err)
	}
	if n != keys || n < 2 {
		t.Errorf("got %d keys wrapped anew, want all %d", n, keys)
	}
	if got := must(s.GetUser(ctx, shop, stays))(t); got.ID != before.ID || got.Personal.Region != before.Personal.Region {
		t.Errorf("got %+v, want %+v", got, before)
	}
	if got := scan(t, s, 0, 0)[0].Text; got != text {
		t.Errorf("got the text %q, want %q", got, text)
	}
	if got := must(s.Pseudonyms(ctx, shop))(t).User(marks("control")[0]); got != stays {
		t.Errorf("got the pseudonym %s, want %s", got, stays)
	}
	expectGone(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if now := must(os.ReadFile(path))(t); bytes.Equal(now, old) {
		t.Error("the master key is the old one")
	}
	if n := lies(t, o.Dir, wrapped); n != 0 {
		t.Errorf("what the old key wrapped is found %d times, want none", n)
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, o)
	if u, err := s.GetUser(ctx, shop, stays); err == nil {
		t.Errorf("the old key opens %+v", u)
	}
}

// A rotation that is stopped at any of its points leaves a store that opens.
func TestRotationThatStops(t *testing.T) {
	ctx, stop := context.Background(), errors.New("stopped")
	for _, at := range []string{"next key written", "wrapped anew"} {
		t.Run(at, func(t *testing.T) {
			o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
			s, _, stays := stocked(t, o)
			want := must(s.GetUser(ctx, shop, stays))(t)
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
			if _, err := RotateMasterKey(ctx, broken); !errors.Is(err, stop) {
				t.Fatalf("got %v, want it to stop", err)
			}
			s = open(t, o)
			if got := must(s.GetUser(ctx, shop, stays))(t); got.ID != want.ID {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if _, err := os.Stat(s.keyFile() + nextKey); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the other key is still there: %v", err)
			}
		})
	}
}
