package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/attune-rec/attune/features"
)

func TestAppendScanHistory(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	var want []features.Event
	for n := range 600 {
		want = append(want, event(n))
	}
	got := must(s.Append(ctx, shop, want))(t)
	for i := range want {
		want[i].Seq, want[i].Shop = int64(i+1), shop
		if got[i] != (Appended{Seq: int64(i + 1)}) {
			t.Fatalf("event %d: got %+v, want seq %d", i, got[i], i+1)
		}
	}
	check := func(s *Store) {
		t.Helper()
		if got := scan(t, s, 0, 0); !reflect.DeepEqual(got, want) {
			t.Fatalf("scan: got %d events, want %d as appended", len(got), len(want))
		}
		if got := scan(t, s, 300, 303); !reflect.DeepEqual(got, want[299:302]) {
			t.Fatalf("scan of a range: got %v, want %v", got, want[299:302])
		}
		var mine []features.Event
		for _, e := range want {
			if e.User == key(3) {
				mine = append(mine, e)
			}
		}
		got := must(s.History(ctx, shop, key(3), 20))(t)
		if want := mine[len(mine)-20:]; !reflect.DeepEqual(got, want) {
			t.Fatalf("history: got %v, want %v", got, want)
		}
		if got := must(s.End(ctx, shop))(t); got != 601 {
			t.Fatalf("end: got %d, want 601", got)
		}
	}
	check(s)
	again := must(s.Append(ctx, shop, want[10:20]))(t)
	if want := (Appended{Seq: 11, Duplicate: true}); again[0] != want {
		t.Fatalf("sent again: got %+v, want %+v", again[0], want)
	}
	r := must(OpenReader(ctx, Options{Dir: dir}))(t)
	check(r)
	if _, err := r.Append(ctx, shop, want[:1]); !errors.Is(err, ErrReadOnly) {
		t.Errorf("append to a reader: got %v, want ErrReadOnly", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir})
	check(s)
	if again := must(s.Append(ctx, shop, want[10:11]))(t); !again[0].Duplicate {
		t.Errorf("sent again after a restart: got %+v, want a duplicate", again[0])
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir})
	s, err := Open(context.Background(), Options{Dir: dir})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("second writer: got %v, %v, want ErrInUse", s, err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if err := s.writer.do(ctx, func(tx *transaction) error {
		_, err := tx.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(context.Context, Options) (*Store, error){"writer": Open, "reader": OpenReader} {
		if _, err := open(ctx, Options{Dir: dir}); !errors.Is(err, ErrSchema) {
			t.Errorf("%s: got %v, want ErrSchema", name, err)
		}
	}
}

func TestMasterKey(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	must(s.Append(ctx, shop, []features.Event{event(1)}))(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "master.key")
	info := must(os.Stat(path))(t)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("master key has mode %v, want 0600", info.Mode().Perm())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, Options{Dir: dir}); err == nil {
		t.Error("a store with wrapped keys opened without its master key")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a new master key was made for old data")
	}
}
