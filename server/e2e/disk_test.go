//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/app"
)

const diskDir = "ATTUNE_E2E_DISK" // set: this process has a small disk of its own, to be mounted there

// A disk that is really full, under a server that runs: what cannot be kept is
// not acknowledged and the caller is told why, answers go on, nothing can be
// published, and with room again all goes on as before.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(diskDir); dir != "" {
		must(t, syscall.Mount("attune", dir, "tmpfs", 0, "size=48m"))
		t.Setenv("TMPDIR", dir)
		onFullDisk(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), diskDir+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		if os.Getenv("CI") != "" {
			t.Fatalf("a disk of its own needs user namespaces, which this machine refuses: %v", err)
		}
		t.Skipf("a disk of its own needs user namespaces, which this machine refuses: %v", err)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestFullDisk")) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// ballast fills the disk to the last byte.
func ballast(t *testing.T, dir string) (path string) {
	t.Helper()
	f, err := os.CreateTemp(dir, "ballast-")
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	return f.Name()
}

func onFullDisk(t *testing.T, disk string) {
	ctx := context.Background()
	dir := stock(t)
	old := publish(t, dir, 1, items())
	promote(t, dir, old)
	c := start(t, config(dir))
	l := &ledger{told: map[string]bool{}}
	send := func() error {
		b := l.batch(50)
		resp, err := c.events.CollectBatch(ctx, &attunev1.CollectBatchRequest{Events: b})
		l.sent(b, resp, err)
		return err
	}
	must(t, send())
	heavy := ballast(t, disk)
	var refused error
	for i := 0; refused == nil; i++ {
		if refused = send(); i > 100_000 {
			t.Fatal("a full disk takes events for ever: it is not full")
		}
	}
	if status.Code(refused) != codes.Unavailable || !strings.Contains(refused.Error(), "make room") || reasonOf(refused) != "STORE_FULL" {
		t.Errorf("events on a full disk: got %v, want UNAVAILABLE for STORE_FULL that says to make room", refused)
	}
	for range 20 {
		if got := c.ask(t, &attunev1.RecommendRequest{User: somebody(4)}).GetRelease(); got != old {
			t.Errorf("got release %s, want %s", got, old)
		}
	}
	_, err := c.catalog.GetItem(ctx, &attunev1.GetItemRequest{Id: thing(3)})
	must(t, err)
	sold := items()
	for i := range sold {
		sold[i].Description = strings.Repeat(fmt.Sprintf("%d ", i), 1000)
	}
	if _, err := release.Publish(ctx, releases(dir), release.Draft{Shop: shop, Items: sold, Metrics: release.Metrics{"ndcg@10": {Value: 1}}}); err == nil {
		t.Error("published on a full disk")
	}
	vs, err := releases(dir).Versions(ctx, shop)
	must(t, err)
	if len(vs) != 1 {
		t.Errorf("got releases %v, want the old one only", vs)
	}
	if _, err := app.Build(ctx, config(filepath.Join(disk, "another")), quiet(), "test"); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("another server on a full disk: got %v, want an error that says to make room", err)
	}

	must(t, os.Remove(heavy))
	for len(l.open) > 0 {
		must(t, send())
	}
	must(t, send())
	c.stop()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	times := map[string]int{}
	must(t, st.Scan(ctx, shop, 1, 0, func(e *features.Event) error { times[e.ID]++; return nil }))
	for id := range l.told {
		if times[id] != 1 {
			t.Errorf("event %s was acknowledged and is stored %d times", id, times[id])
		}
	}
	figure(t, "a disk of 48 MiB filled under a running server: %d events acknowledged, 0 lost, 0 doubled; answers went on, publishing and a second server were refused with what to do; with room again all went on", len(l.told))
}
