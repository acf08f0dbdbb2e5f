package release

import (
	"bufio"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestKilledPublisher kills a program that publishes one release after another
// at random moments. All that is visible must open; all it said was published
// must be there.
func TestKilledPublisher(t *testing.T) {
	if root := os.Getenv("ATTUNE_TEST_PUBLISH"); root != "" {
		for st := NewFolder(root); ; {
			m, err := Publish(context.Background(), st, toyDraft(50, 1))
			if err != nil {
				t.Fatal(err)
			}
			os.Stdout.WriteString("\npublished " + m.Version + "\n")
		}
	}
	kills := 50
	if testing.Short() {
		kills = 10
	}
	if n, err := strconv.Atoi(os.Getenv("ATTUNE_PUBLISH_KILLS")); err == nil {
		kills = n
	}
	rng := rand.New(rand.NewPCG(7, 7))
	root := t.TempDir()
	st := NewFolder(root)
	said, leftovers := map[string]bool{}, 0
	for range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledPublisher$")
		cmd.Env = append(os.Environ(), "ATTUNE_TEST_PUBLISH="+root)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		note := func() bool {
			ok := lines.Scan()
			if v, is := strings.CutPrefix(lines.Text(), "published "); ok && is {
				said[v] = true
			}
			return ok
		}
		for before := len(said); len(said) == before && note(); { // it has begun
		}
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for note() {
		}
		if cmd.Wait() == nil {
			t.Fatal("the publisher ended by itself")
		}
		left, err := filepath.Glob(filepath.Join(st.releases("mugs"), newPrefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		leftovers += len(left)
		for _, l := range left {
			if err := os.RemoveAll(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	vs, err := st.Versions(context.Background(), "mugs")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vs {
		r, err := Open(context.Background(), st, "mugs", v, toyKinds)
		if err != nil {
			t.Fatalf("visible after a kill: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		delete(said, v)
	}
	if len(said) > 0 {
		t.Errorf("%d releases were said to be published and are gone: %v", len(said), said)
	}
	if leftovers == 0 {
		t.Errorf("no kill hit a publication: the test shows nothing")
	}
	t.Logf("FIGURE kill -9 of a publisher: %d kills, %d of them within a publication, %d releases visible, all whole", kills, leftovers, len(vs))
}
