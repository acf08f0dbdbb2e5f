package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/auth"
)

// keyFor makes a key with a role for every shop in a data directory.
func keyFor(t *testing.T, dir, role string) string {
	t.Helper()
	keys, err := store.OpenKeys(context.Background(), store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer func() { must(t, keys.Close()) }()
	text, id, hash, err := auth.NewKey()
	must(t, err)
	must(t, keys.Put(context.Background(), store.APIKey{ID: id, Hash: hash, Name: role, Roles: []string{role}, Shops: []features.ShopID{store.AllShops}}))
	return text
}

// slice is a part of a run of Schemathesis: one operation in the phases that
// look at it alone, or, without one, sequences of calls over all of them.
type slice struct {
	name string
	args []string
}

// How many sequences of calls a slice makes at the most.
const sequences = 50

// A run with fewer examples is not cut: it is shorter than the starts of the
// program for each slice.
const longRun = 100

// slicesOf cuts a run with so many examples into slices.
func slicesOf(operations []string, examples int) (all []slice) {
	if examples < longRun {
		return []slice{{"all", []string{"--phases", "examples,coverage,fuzzing,stateful", "--seed", "1", "--max-examples", strconv.Itoa(examples)}}}
	}
	for _, id := range operations {
		all = append(all, slice{id, []string{"--include-operation-id", id, "--phases", "examples,coverage,fuzzing", "--seed", "1", "--max-examples", strconv.Itoa(examples)}})
	}
	for seed, left := 1, examples; left > 0; seed, left = seed+1, left-sequences {
		all = append(all, slice{fmt.Sprintf("sequences-%d", seed), []string{"--phases", "stateful", "--seed", strconv.Itoa(seed), "--max-examples", strconv.Itoa(min(left, sequences))}})
	}
	return all
}

// operations are the ids of all operations in a description.
func operations(t *testing.T, url string) (ids []string) {
	t.Helper()
	resp, err := http.Get(url)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	var described struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		}
	}
	must(t, json.Unmarshal(b, &described))
	for path, methods := range described.Paths {
		for method, o := range methods {
			if o.OperationID == "" {
				t.Fatalf("%s %s has no operationId", method, path)
			}
			ids = append(ids, o.OperationID)
		}
	}
	slices.Sort(ids)
	return ids
}

// itself is a hash of the program that runs, so that what another one showed
// is not counted.
func itself(t *testing.T) string {
	t.Helper()
	f, err := os.Open(os.Args[0])
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// A program that knows the description and nothing else calls every path, in
// all its phases: no answer is the server's fault, and all are as described.
// With a folder to keep them in, slices that passed are not run again by the
// same code: a long run may be stopped at any time.
func TestSchemathesis(t *testing.T) {
	program, kept := os.Getenv("ATTUNE_SCHEMATHESIS"), os.Getenv("ATTUNE_SCHEMATHESIS_KEEP")
	if program == "" {
		t.Skip("ATTUNE_SCHEMATHESIS is not set: .ci/schemathesis installs it and runs this")
	}
	examples := times(t, "ATTUNE_EXAMPLES", 5, 5)
	if kept == "" {
		kept = t.TempDir()
	}
	settings, err := filepath.Abs("../../.ci/schemathesis.toml")
	must(t, err)
	var shown [2]string
	var both sync.WaitGroup // each waits for the program more than its server works
	for i, keyed := range []bool{false, true} {
		dir := stock(t)
		promote(t, dir, publish(t, dir, 1, items()))
		name, args := "without keys", []string{"--exclude-checks", "ignored_auth,missing_required_header"} // everybody may call
		if keyed {
			name, args = "with a key", []string{"--header", "Authorization: Bearer " + keyFor(t, dir, "admin")}
		}
		folder := filepath.Join(kept, itself(t), fmt.Sprint(strings.ReplaceAll(name, " ", "-"), "-", examples))
		must(t, os.MkdirAll(folder, 0o755))
		c := start(t, config(dir))
		url := "http://" + c.HTTP() + "/openapi.json"
		all := operations(t, url)
		both.Go(func() {
			calls, ok := 0, true
			for _, s := range slicesOf(all, examples) {
				n, err := s.run(t, folder, slices.Concat([]string{program, "--config-file", settings, "run", url}, s.args, args))
				if err != nil {
					t.Errorf("%s: %s: %v", name, s.name, err)
					ok = false
				}
				calls += n
			}
			if ok {
				shown[i] = fmt.Sprintf("REST %s: %d calls made from the description, at up to %d examples in each phase for each of %d operations, and %d sequences: no 5xx, no answer against its schema", name, calls, examples, len(all), examples)
			}
		})
	}
	both.Wait()
	for _, s := range shown {
		if s != "" {
			figure(t, "%s", s)
		}
	}
}

// run has the program make the calls of the slice, where they are not kept in a
// folder, and returns how many there were.
func (s *slice) run(t *testing.T, folder string, command []string) (calls int, err error) {
	file := filepath.Join(folder, s.name)
	if b, err := os.ReadFile(file); err == nil {
		return strconv.Atoi(string(b))
	}
	if calls, err = schemathesis(t, command); err != nil {
		return 0, err
	}
	t.Logf("%s: %d calls", s.name, calls)
	return calls, os.WriteFile(file, []byte(strconv.Itoa(calls)), 0o600)
}

// schemathesis runs the program and returns how many calls it made. What it
// found is the error.
func schemathesis(t *testing.T, command []string) (calls int, err error) {
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.Command(command[0], append(command[1:], "--no-shrink", "--workers", "1", "--warnings", "off", "--report", "json", "--report-json-path", report)...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	counted := regexp.MustCompile(`(\d+) generated`).FindSubmatch(out)
	if counted == nil {
		return 0, fmt.Errorf("it does not say how many calls it made:\n%s", out)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		return 0, err
	}
	if !json.Valid(b) {
		return 0, fmt.Errorf("its report is no JSON")
	}
	return strconv.Atoi(string(counted[1]))
}
