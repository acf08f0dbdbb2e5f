package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features/store"
)

// Releases that are broken in every way are refused when they are promoted by a
// call, which says why; and when somebody promotes them who did not look: the
// old one serves on, a metric counts it and the audit log says which and why.
func TestBrokenReleasesAreRefused(t *testing.T) {
	dir := stock(t)
	good := publish(t, dir, 1, marked("a"))
	promote(t, dir, good)
	breaks := []struct {
		name  string
		spoil func(t *testing.T, dir string)
	}{
		{"flipped byte", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "models", "ials.safetensors"), func(b []byte) []byte { b[len(b)-3] ^= 1; return b })
		}},
		{"truncated file", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "items.parquet"), func(b []byte) []byte { return b[:len(b)/2] })
		}},
		{"missing file", func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "recipes.json")))
		}},
		{"format of the future", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "manifest.json"), func(b []byte) []byte {
				return regexp.MustCompile(`"format": *\d+`).ReplaceAll(b, []byte(`"format": 9999`))
			})
			sum(t, dir)
		}},
		{"NaN factors under right sums", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "models", "ials.safetensors"), func(b []byte) []byte { copy(b[len(b)-4:], []byte{0, 0, 0xc0, 0x7f}); return b })
			resum(t, dir, "models/ials.safetensors")
		}},
		{"empty manifest", func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "manifest.json"), func([]byte) []byte { return nil })
		}},
	}
	versions := make([]string, len(breaks))
	for i, b := range breaks {
		versions[i] = publish(t, dir, uint64(2+i), marked("b"))
		b.spoil(t, filepath.Join(dir, "releases", string(shop), "releases", versions[i]))
	}
	c := start(t, config(dir))
	refusedLine := regexp.QuoteMeta(fmt.Sprintf(`attune_release_events_total{shop=%q,what="refused"}`, shop))
	for i, b := range breaks {
		_, err := c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: versions[i]})
		if status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: promoted by a call: got %v, want FAILED_PRECONDITION", b.name, err)
		}
		was, _ := c.series(t, refusedLine)
		forcePromote(t, dir, versions[i], int64(2+i))
		eventually(t, b.name+": the metric counts it", func() bool { now, _ := c.series(t, refusedLine); return now != was })
		eventually(t, b.name+": the audit log has it", func() bool { return audited(t, dir, "refuse release", versions[i]) != "" })
		if got := c.ask(t, &attunev1.RecommendRequest{User: somebody(4)}).GetRelease(); got != good {
			t.Errorf("%s: got an answer of release %s, want %s", b.name, got, good)
		}
	}
	figure(t, "broken releases promoted on a running server: %d kinds refused, by call and by state; the old one served on, counted and audited each time", len(breaks))
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, change(b), 0o600))
}

// resum makes the manifest's sums fit a file, as a buggy publisher would.
func resum(t *testing.T, dir, file string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, file))
	must(t, err)
	digest := sha256.Sum256(b)
	edit(t, filepath.Join(dir, "manifest.json"), func(m []byte) []byte {
		var all map[string]any
		must(t, json.Unmarshal(m, &all))
		for _, f := range all["files"].([]any) {
			if f := f.(map[string]any); f["path"] == file {
				f["sha256"] = hex.EncodeToString(digest[:])
			}
		}
		out, err := json.MarshalIndent(all, "", "  ")
		must(t, err)
		return out
	})
	sum(t, dir)
}

// sum writes the manifest's own sum anew, in the form that was there.
func sum(t *testing.T, dir string) {
	t.Helper()
	m, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	must(t, err)
	digest := sha256.Sum256(m)
	all, err := filepath.Glob(filepath.Join(dir, "manifest*sha256*"))
	must(t, err)
	if len(all) != 1 {
		t.Fatalf("got %v, want the one sum of the manifest", all)
	}
	edit(t, all[0], func(b []byte) []byte {
		return regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAll(b, []byte(hex.EncodeToString(digest[:])))
	})
}

// forcePromote writes the next serving state by hand: the release package would
// not promote what does not open.
func forcePromote(t *testing.T, dir, version string, n int64) {
	t.Helper()
	path := filepath.Join(dir, "releases", string(shop), "serving")
	b, err := os.ReadFile(filepath.Join(path, fmt.Sprintf("%d.json", n-1)))
	must(t, err)
	var state map[string]any
	must(t, json.Unmarshal(b, &state))
	state["number"], state["stable"] = n, version
	b, err = json.Marshal(state)
	must(t, err)
	temp := filepath.Join(path, ".new-forced")
	must(t, os.WriteFile(temp, b, 0o600))
	must(t, os.Rename(temp, filepath.Join(path, fmt.Sprintf("%d.json", n))))
}

// audited is what the audit log says of a subject, and checks its chain.
func audited(t *testing.T, dir, method, subject string) (detail string) {
	t.Helper()
	st, err := store.OpenReader(context.Background(), store.Options{Dir: dir, Logger: quiet()})
	must(t, err)
	defer func() { must(t, st.Close()) }()
	must(t, st.ScanAudit(context.Background(), shop, func(a *store.Audited) error {
		if strings.Contains(a.Method, method) && a.Subject == subject {
			detail = a.Detail
		}
		return nil
	}))
	return detail
}
