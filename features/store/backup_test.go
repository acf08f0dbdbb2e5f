package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/attune-rec/attune/features"
)

// A backup is made while events are taken, others are sealed and a person is
// erased. Restored, it has everything that was acknowledged before it began, and
// of what came later a beginning, in order; who was erased after it is erased by
// the newest list.
func TestBackupWhileRunning(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
	s, gone, _ := stocked(t, o)
	var stop atomic.Bool
	var told atomic.Int64
	var wg sync.WaitGroup
	stopAll := func() { stop.Store(true); wg.Wait() }
	defer stopAll()
	wg.Go(func() {
		for n := 0; !stop.Load(); n++ {
			e := event(n)
			e.ID = fmt.Sprint("meanwhile-", n)
			if _, err := s.Append(ctx, shop, []features.Event{e}); err != nil {
				t.Error(err)
				return
			}
			told.Add(1)
			if n%50 == 0 {
				if _, err := s.Seal(ctx, shop, 10); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for told.Load() < 20 {
		if t.Failed() {
			return
		}
	}
	before := told.Load()
	to := filepath.Join(t.TempDir(), "backup")
	made := must(Backup(ctx, Options{Dir: o.Dir}, to))(t)
	must(s.Erase(ctx, shop, gone))(t)
	stopAll()
	if made.Segments == 0 || made.Bytes == 0 || made.Events < 160+before {
		t.Errorf("got %+v, want sealed files and at least %d events", made, 160+before)
	}
	if _, err := Backup(ctx, Options{Dir: o.Dir}, to); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over another backup: got %v, want a refusal", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := lies(t, to, must(os.ReadFile(filepath.Join(o.Dir, "master.key")))(t)); n != 0 {
		t.Error("the master key lies in the backup")
	}
	key, anew := filepath.Join(o.Dir, "master.key"), Options{Dir: filepath.Join(t.TempDir(), "anew"), SegmentRows: 40, SealAt: -1}
	must(Restore(ctx, anew, Restoring{Backup: to, Key: key, Erasures: filepath.Join(o.Dir, erasuresFile)}))(t)
	if _, err := Restore(ctx, anew, Restoring{Backup: to, Key: key}); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("over another store: got %v, want a refusal", err)
	}
	back := open(t, anew)
	seen := map[string]bool{}
	for _, e := range scan(t, back, 0, 0) {
		seen[e.ID] = true
	}
	count := int64(0)
	for ; seen[fmt.Sprint("meanwhile-", count)]; count++ {
	}
	if count < before || int64(len(seen)) != 120+count {
		t.Errorf("got %d events, %d of those taken meanwhile without a gap, want at least %d and 120 others", len(seen), count, before)
	}
	found := search(t, back, append(marks("gone"), marks("control")...))
	for _, m := range marks("gone") {
		if found[m] != 0 {
			t.Errorf("%s is found %d times in the restored backup", m, found[m])
		}
	}
	for _, m := range marks("control") {
		if found[m] == 0 {
			t.Errorf("%s is not found: the search is blind", m)
		}
	}
}

// A sealed file that was damaged is not backed up as if it were whole.
func TestBackupRefusesDamage(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
	s, _, _ := stocked(t, o)
	file := filepath.Join(o.Dir, must(s.Segments(ctx, shop))(t)[0].File)
	b := must(os.ReadFile(file))(t)
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(ctx, Options{Dir: o.Dir}, to); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("a backup of a damaged store is there")
	}
}

// A damaged backup, or another master key, is not restored, and nothing is left.
func TestRestoreRefuses(t *testing.T) {
	ctx := context.Background()
	o := Options{Dir: t.TempDir(), SegmentRows: 40, SealAt: -1}
	s, _, _ := stocked(t, o)
	backup, key := filepath.Join(t.TempDir(), "backup"), filepath.Join(o.Dir, "master.key")
	must(Backup(ctx, Options{Dir: o.Dir}, backup))(t)
	other := open(t, Options{Dir: t.TempDir()})
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.CopyFS(damaged, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(damaged, must(s.Segments(ctx, shop))(t)[0].File)
	b := must(os.ReadFile(file))(t)
	b[len(b)/2] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]Restoring{
		"damaged":     {Backup: damaged, Key: key},
		"another key": {Backup: backup, Key: filepath.Join(other.opts.Dir, "master.key")},
		"no key":      {Backup: backup},
		"no backup":   {Backup: t.TempDir(), Key: key},
	} {
		dir := filepath.Join(t.TempDir(), "anew")
		if _, err := Restore(ctx, Options{Dir: dir}, from); err == nil {
			t.Errorf("%s: restored, want a refusal", name)
		}
		for _, left := range []string{dir, dir + ".tmp"} {
			if _, err := os.Stat(left); err == nil {
				t.Errorf("%s: %s is left", name, left)
			}
		}
	}
}
