package store

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/attune-rec/attune/features"
)

// Keys are made and revoked beside the program that owns the directory, which
// sees it at once.
func TestKeysBesideAnOwner(t *testing.T) {
	ctx := context.Background()
	s := open(t, Options{})
	seen := s.Keys()
	if got := must(seen.Any(ctx))(t); got {
		t.Fatal("a new store has keys")
	}
	k := must(OpenKeys(ctx, Options{Dir: s.opts.Dir}))(t)
	defer func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}()
	want := APIKey{ID: "a", Hash: make([]byte, 32), Name: "n", Shops: []features.ShopID{"one", "two"}, Roles: []string{"admin", "ingest"}, Rate: 2.5,
		MaxBytes: 9, Created: noon, Expires: noon.AddDate(1, 0, 0)}
	if err := k.Put(ctx, want); err != nil {
		t.Fatal(err)
	}
	if got := must(seen.Get(ctx, "a"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := k.Revoke(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if got := must(seen.List(ctx))(t); len(got) != 1 || got[0].Revoked.IsZero() {
		t.Errorf("got %+v, want one revoked key", got)
	}
	if err := k.Revoke(ctx, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if err := k.Put(ctx, want); err == nil {
		t.Error("the same id was taken twice")
	}
}

func TestKeysOfANewDirectory(t *testing.T) {
	k := must(OpenKeys(context.Background(), Options{Dir: t.TempDir()}))(t)
	if all := must(k.List(context.Background()))(t); len(all) != 0 {
		t.Errorf("got %v, want none", all)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}
