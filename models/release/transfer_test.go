package release

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestExportedReleaseCanBeAdded(t *testing.T) {
	ctx := context.Background()
	src := NewFolder(t.TempDir())
	m := published(t, src, toyDraft(4, 2))
	dir := t.TempDir()
	got, err := Export(ctx, src, m.Shop, m.Version, func(path string, b []byte) error {
		to := filepath.Join(dir, filepath.FromSlash(path))
		return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o644))
	})
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Fatalf("got %+v, %v, want %+v", got, err, m)
	}
	for name, st := range stores(t) {
		got, err := Add(ctx, st, dir)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%s: got %+v, %v, want %+v", name, got, err, m)
		}
		opened(t, st, m)
		if _, err := Add(ctx, st, dir); !errors.Is(err, ErrExists) {
			t.Fatalf("%s: got error %v the second time, want ErrExists", name, err)
		}
		opened(t, st, m)
	}
	if err := os.Truncate(filepath.Join(dir, "recipes.json"), 3); err != nil {
		t.Fatal(err)
	}
	st := NewFolder(t.TempDir())
	if _, err := Add(ctx, st, dir); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got error %v, want ErrCorrupt", err)
	}
	if _, err := Add(ctx, st, t.TempDir()); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got error %v for an empty directory, want ErrNotFound", err)
	}
	if vs, err := st.Versions(ctx, m.Shop); err != nil || len(vs) != 0 {
		t.Fatalf("got %v, %v, want nothing", vs, err)
	}
}
