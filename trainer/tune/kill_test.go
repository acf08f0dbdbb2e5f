package tune

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/models"
)

// TestKilledSearchGoesOn kills a program that searches, several trials at a
// time, again and again. The search ends as one that was never killed, and
// tries nothing twice that it said was done.
func TestKilledSearchGoesOn(t *testing.T) {
	fits := 0
	s := search(t, &fits)
	s.State = os.Getenv("ATTUNE_TEST_TUNE")
	if s.State != "" {
		s.Parallel = 3
		s.Kind.Fit = func(_ context.Context, in models.FitInput) (models.Model, error) {
			time.Sleep(30 * time.Millisecond) // so that a kill finds some in work
			own := 0
			return guess(&own).Fit(context.Background(), in)
		}
		s.Progress = func(done, total int, _ float64) { fmt.Printf("\ndone %d of %d\n", done, total) }
		if _, err := Run(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		return
	}
	s.State = filepath.Join(t.TempDir(), "state.json")
	said := 0
	for kill := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledSearchGoesOn$")
		cmd.Env = append(os.Environ(), "ATTUNE_TEST_TUNE="+s.State)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killed := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text, ok := strings.CutPrefix(lines.Text(), "done ")
			if !ok {
				continue
			}
			n, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				t.Fatal(err)
			}
			said = max(said, n)
			if !killed && n >= 4*(kill+1) {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				killed = true
			}
		}
		if cmd.Wait() == nil || !killed {
			t.Fatalf("kill %d: the search ended by itself", kill+1)
		}
	}
	got, err := Run(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if got.Resumed < said || said < 16 {
		t.Errorf("got %d trials taken over, want at least the %d that were said to be done, 16 or more", got.Resumed, said)
	}
	if fits > len(got.Trials)-said {
		t.Errorf("got %d trials fitted anew, want at most the %d that were left", fits, len(got.Trials)-said)
	}
	whole, err := Run(context.Background(), search(t, new(int)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Value != whole.Value || got.Best["x"] != whole.Best["x"] || len(got.Trials) != len(whole.Trials) {
		t.Errorf("got %v with %v in %d trials, want %v with %v in %d as in one go", got.Best, got.Value, len(got.Trials), whole.Best, whole.Value, len(whole.Trials))
	}
}
