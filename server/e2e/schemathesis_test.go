package e2e

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
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

// A program that knows the description and nothing else calls every path, in
// all its phases: no answer is the server's fault, and all are as described.
func TestSchemathesis(t *testing.T) {
	program, examples := os.Getenv("ATTUNE_SCHEMATHESIS"), os.Getenv("ATTUNE_EXAMPLES")
	if program == "" {
		t.Skip("ATTUNE_SCHEMATHESIS is not set: .ci/schemathesis installs it and runs this")
	}
	for _, keyed := range []bool{false, true} {
		dir := stock(t)
		promote(t, dir, publish(t, dir, 1, items()))
		name, args := "without keys", []string{"--exclude-checks", "ignored_auth,missing_required_header"} // everybody may call
		if keyed {
			name, args = "with a key", []string{"--header", "Authorization: Bearer " + keyFor(t, dir, "admin")}
		}
		c := start(t, config(dir))
		report := filepath.Join(t.TempDir(), "report.json")
		settings, err := filepath.Abs("../../.ci/schemathesis.toml")
		must(t, err)
		cmd := exec.Command(program, append([]string{
			"--config-file", settings, "run", "http://" + c.HTTP() + "/openapi.json", "--phases", "examples,coverage,fuzzing,stateful",
			"--max-examples", examples, "--seed", "1", "--no-shrink", "--workers", "1", "--warnings", "off", "--report", "json", "--report-json-path", report,
		}, args...)...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		counted := regexp.MustCompile(`(\d+) generated`).FindSubmatch(out)
		if err != nil || counted == nil {
			t.Errorf("%s: %v\n%s", name, err, out)
			continue
		}
		for _, line := range strings.Split(string(out), "\n") {
			if strings.Contains(line, " generated") || strings.Contains(line, "Tested:") {
				t.Log(strings.TrimSpace(line))
			}
		}
		b, err := os.ReadFile(report)
		must(t, err)
		if !json.Valid(b) {
			t.Errorf("%s: the report is no JSON", name)
		}
		figure(t, "REST %s: %s calls made from the description at up to %s examples a path and phase: no 5xx, no answer against its schema", name, counted[1], examples)
		c.stop()
	}
}
