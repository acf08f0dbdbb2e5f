package app

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// The commands together: a backup of a data directory is restored with its
// events and its releases to the byte, the restoring stands in the audit log, and
// neither command writes over what is there.
func TestBackupIsRestored(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	data, to, anew := filepath.Join(dir, "data"), filepath.Join(dir, "backup"), filepath.Join(dir, "anew")
	stocked(t, data)
	releases := map[string]string{
		"demo/serving/state.json":              `{"current":"v2"}`,
		"demo/releases/v1/manifest.json":       `{"version":"v1"}`,
		"demo/releases/v2/manifest.json":       `{"version":"v2"}`,
		"demo/releases/v2/factors.safetensors": "\x00\x01\x02",
	}
	for name, holds := range releases {
		path := filepath.Join(data, "releases", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(holds), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	if err := (&Backup{To: to}).Run(ctx, &Config{Data: data}, io.Discard); err != nil {
		t.Fatal(err)
	}
	restore := &Restore{From: to, Key: filepath.Join(data, "master.key")}
	var said strings.Builder
	if err := restore.Run(ctx, &Config{Data: anew}, &said); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(said.String(), "1 events") || !strings.Contains(said.String(), anew) {
		t.Errorf("got %q, want that one event is in %s", said.String(), anew)
	}

	found := map[string]string{}
	root := os.DirFS(filepath.Join(anew, "releases"))
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, path)
		found[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, holds := range releases {
		if found[name] != holds {
			t.Errorf("release file %s: got %q, want %q", name, found[name], holds)
		}
	}
	if len(found) != len(releases) {
		t.Errorf("got %d files of releases, want %d", len(found), len(releases))
	}

	if methods := audited(t, anew); !slices.Contains(methods, "restore") || !slices.Contains(methods, "backup") {
		t.Errorf("the audit log tells of %v, want backup and restore", methods)
	}

	for what, err := range map[string]error{
		"over another store":  restore.Run(ctx, &Config{Data: anew}, io.Discard),
		"over another backup": (&Backup{To: to}).Run(ctx, &Config{Data: data}, io.Discard),
	} {
		if err == nil || !strings.Contains(err.Error(), "exists") {
			t.Errorf("%s: got %v, want a refusal", what, err)
		}
	}
}

// audited is what was done with all shops, by the audit log of the store in dir.
func audited(t *testing.T, dir string) (methods []string) {
	t.Helper()
	ctx := context.Background()
	s, err := store.OpenReader(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	err = s.ScanAudit(ctx, store.AllShops, func(a *store.Audited) error {
		methods = append(methods, a.Method)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return methods
}

// stocked makes a store in dir that holds one event.
func stocked(t *testing.T, dir string) {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	event := features.Event{
		ID: "e1", User: features.UserKey{1}, Item: "i1", Type: features.View, Time: time.Unix(1_700_000_000, 0),
	}
	if _, err := s.Append(ctx, "demo", []features.Event{event}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
