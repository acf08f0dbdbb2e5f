package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/attune-rec/attune/features/flagfile"
	"github.com/attune-rec/attune/models/release"

	"github.com/attune-rec/attune/features/raced"
)

// call runs the program as the command line would, and returns what it wrote to
// the two outputs.
func call(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	var p struct {
		Config    kong.ConfigFlag
		JSON      bool
		Fit       Fit       `cmd:""`
		Evaluate  Evaluate  `cmd:""`
		Validate  Validate  `cmd:""`
		Tune      Tune      `cmd:""`
		OffPolicy OffPolicy `cmd:"" name:"offpolicy"`
		Promote   Promote   `cmd:""`
		Publish   Publish   `cmd:""`

		Demand    Demand    `cmd:""`
		Customers Customers `cmd:""`
		Segments  Segments  `cmd:""`
		Signals   Signals   `cmd:""`
		Rules     RulesCmd  `cmd:""`
	}
	var o, e bytes.Buffer
	parser, err := kong.New(&p, kong.Name("trainer"), kong.Writers(&o, &e), kong.Configuration(flagfile.Read), kong.Exit(func(int) { t.Error("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := parser.Parse(args)
	if err != nil {
		return "", "", err
	}
	err = cmd.Run(NewEnv(context.Background(), &o, &e, p.JSON, slog.LevelWarn))
	return o.String(), e.String(), err
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// halves is users of two tastes.
func halves() string {
	var b strings.Builder
	for u := range 40 {
		for i := range 8 {
			if (u+i)%7 != 0 {
				fmt.Fprintf(&b, "u%d,i%d,%d,%d\n", u, 2*i+u%2, 3+(u+i)%3, 1_600_000_000+u*1000+(i*3+u*5)%8*100)
			}
		}
	}
	return b.String()
}

func TestEvaluateJSON(t *testing.T) {
	data := file(t, "halves.csv", halves())
	page := filepath.Join(t.TempDir(), "report.html")
	out, errs, err := call(t, "evaluate", "--train", data, "--format", "pairs", "--split", "leave-one-out", "--model", "popular,wide=popular",
		"--params", "wide.half_life_days=0", "--metric", "recall@5,ndcg@5,hr@3,auc,coverage@5", "--seed", "3", "--json", "--keep-seen", "--html", page)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Dataset map[string]any
		Models  []struct {
			Name     string
			Kind     string
			Params   map[string]any
			Metrics  map[string]map[string]float64
			KeepSeen map[string]map[string]float64 `json:"metrics_keep_seen"`
			FitCPU   *float64                      `json:"fit_cpu_s"`
			FitWall  *float64                      `json:"fit_wall_s"`
			PeakRSS  float64                       `json:"peak_rss_bytes"`
		}
		Comparisons []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("got %v in %s", err, out)
	}
	if got.Dataset["users"] != 40. || got.Dataset["test"] != 40. || got.Dataset["validate"] != 40. || got.Dataset["cases"] != 40. {
		t.Errorf("got dataset %v", got.Dataset)
	}
	if len(got.Models) != 2 || got.Models[1].Name != "wide" || got.Models[1].Kind != "popular" || got.Models[1].Params["half_life_days"] != 0. {
		t.Fatalf("got models %+v", got.Models)
	}
	for _, m := range got.Models {
		for _, name := range []string{"recall@5", "ndcg@5", "hr@3", "auc"} {
			v := m.Metrics[name]
			if !(v["low"] <= v["value"] && v["value"] <= v["high"]) || v["value"] <= 0 {
				t.Errorf("%s: got %s of %v", m.Name, name, v)
			}
		}
		if _, ok := m.Metrics["coverage@5"]["low"]; ok || m.Metrics["coverage@5"]["value"] <= 0 || len(m.KeepSeen) != 5 {
			t.Errorf("%s: got coverage %v and %d metrics with seen items", m.Name, m.Metrics["coverage@5"], len(m.KeepSeen))
		}
		if m.FitCPU == nil || m.FitWall == nil || m.PeakRSS <= 0 {
			t.Errorf("%s: got no costs", m.Name)
		}
	}
	if len(got.Comparisons) != 8 || got.Comparisons[0]["a"] != "wide" || got.Comparisons[0]["b"] != "popular" {
		t.Errorf("got comparisons %v", got.Comparisons)
	}
	if !strings.Contains(errs, "read data: done") || !strings.Contains(errs, "evaluate wide: 40/40") {
		t.Errorf("got progress %q", errs)
	}
	html, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(html), "<svg") {
		t.Errorf("got page %q, %v", html, err)
	}
}

func TestConfigFile(t *testing.T) {
	data := file(t, "halves.csv", halves())
	config := file(t, "flags.yaml", "train: "+data+"\nevaluate:\n  model: [popular]\n  metric: [hr@3, mrr]\n")
	out, _, err := call(t, "evaluate", "--config", config)
	if err != nil || !strings.Contains(out, "hr@3") || !strings.Contains(out, "mrr") {
		t.Errorf("got %q, %v", out, err)
	}
	for text, want := range map[string]string{
		"metrics: hr@3\n":               `"metrics" is neither a command nor a flag`,
		"evaluate:\n  modell: ials\n":   `command evaluate has no flag "modell"`,
		"evaluate: [\n":                 "bad.yaml: yaml: ",
		"evaluate:\n  metric: rmse@1\n": `unknown metric "rmse@1"`,
	} {
		if _, _, err := call(t, "evaluate", "--config", file(t, "bad.yaml", text), "--train", data, "--model", "popular"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// Flags win over variables, and those over the file.
func TestVariablesWinOverTheFile(t *testing.T) {
	config := file(t, "flags.yaml", "shop: file\nreleases: from-file\n")
	t.Setenv("ATTUNE_SHOP", "variable")
	var p struct {
		Config kong.ConfigFlag
		List   List `cmd:""`
	}
	parser, err := kong.New(&p, kong.Name("trainer"), kong.DefaultEnvars("ATTUNE"), kong.Configuration(flagfile.Read), kong.Exit(func(int) { t.Error("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"list", "--config", config}); err != nil || p.List.Shop != "variable" || p.List.Store != "from-file" {
		t.Errorf("got shop %q and releases %q, %v, want those of the variable and of the file", p.List.Shop, p.List.Store, err)
	}
	if _, err := parser.Parse([]string{"list", "--config", config, "--shop", "flag"}); err != nil || p.List.Shop != "flag" {
		t.Errorf("got shop %q, %v, want that of the flag", p.List.Shop, err)
	}
	if _, err := parser.Parse([]string{"list", "--config", config + ".gone"}); err == nil || !strings.Contains(err.Error(), "flags.yaml.gone") {
		t.Errorf("got %v, want the missing file named", err)
	}
}

func TestEvaluateRefusesBeforeWork(t *testing.T) {
	data := file(t, "halves.csv", halves())
	for want, args := range map[string][]string{
		`unknown kind of model "nothing": expected one of `: {"--model", "nothing"},
		`has "popular" twice`:                               {"--model", "popular,popular"},
		`unknown metric "x@1"`:                              {"--model", "popular", "--metric", "x@1"},
		`expected MODEL.PARAM=VALUE`:                        {"--model", "popular", "--params", "half_life_days=3"},
		`no model is called "ials"`:                         {"--model", "popular", "--params", "ials.factors=3"},
		`unknown event type "bought"`:                       {"--model", "popular", "--weight", "bought=3"},
		`--hold-out is "random"`:                            {"--model", "popular", "--hold-out", "random"},
		`--columns is for --format events`:                  {"--model", "popular", "--columns", "user=a"},
		`no_such_parameter`:                                 {"--model", "popular", "--params", "popular.no_such_parameter=3"},
		`cannot compare with "x"`:                           {"--model", "popular", "--compare", "x"},
		`parts one file, and there is a test file as well`:  {"--model", "popular", "--test", data, "--split", "leave-one-out"},
		`nothing to judge on`:                               {"--model", "popular", "--split", "given"},
		`--workers is -1`:                                   {"--model", "popular", "--workers=-1"},
	} {
		if _, _, err := call(t, append([]string{"evaluate", "--train", data}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", args, err, want)
		}
	}
}

func TestFitKeepsARelease(t *testing.T) {
	dir := t.TempDir()
	out, _, err := call(t, "fit", "--train", file(t, "halves.csv", halves()), "--model", "popular", "--releases", dir, "--shop", "mugs", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got fitSummary
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Rows != strings.Count(halves(), "\n") || len(got.Models) != 1 {
		t.Errorf("got %+v", got)
	}
	st, err := release.OpenStore(context.Background(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	versions, err := st.Versions(context.Background(), "mugs")
	if err != nil || len(versions) != 1 || versions[0] != got.Version {
		t.Errorf("got versions %v, %v, want %s", versions, err, got.Version)
	}
}

func TestValidate(t *testing.T) {
	good, bad := file(t, "good.csv", "a,x,5\na,y,3\nb,x,1\n"), file(t, "bad.csv", "a,x,5\na,y,z\nb\n")
	out, _, err := call(t, "validate", good)
	if err != nil || !strings.Contains(out, "good.csv: ok") || !strings.Contains(out, "no times") {
		t.Errorf("got %q, %v", out, err)
	}
	out, _, err = call(t, "validate", good, bad, "--show", "1")
	if !errors.Is(err, ErrInvalid) || !strings.Contains(out, "bad.csv: 2 problems") ||
		!strings.Contains(out, `bad.csv:2: got rating "z": expected a number`) || !strings.Contains(out, "and 1 more") {
		t.Errorf("got %q, %v", out, err)
	}
	if out, _, _ = call(t, "validate", bad, "--json"); !json.Valid([]byte(out)) {
		t.Errorf("got %q, want JSON", out)
	}
}

// The figures of the public split that everybody compares with: hit rate and
// NDCG of popularity among 99 sampled items. The first pair ranks a positive
// above its equals, the second below them.
func TestPublishedPopularity(t *testing.T) {
	if raced.On {
		t.Skip("figures of one goroutine: fitting is watched where the log is fitted")
	}
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, "ncf-ml-1m")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no %s: set ATTUNE_PUBLIC_DATA to the folder of public data sets", dir)
	}
	for ties, want := range map[string][2]float64{"first": {.4538, .2545}, "last": {.4531, .2541}} {
		out, _, err := call(t, "evaluate", "--train", filepath.Join(dir, "ml-1m.train.tsv.xz"), "--test", filepath.Join(dir, "ml-1m.test.rating.xz"),
			"--negatives", filepath.Join(dir, "ml-1m.test.negative.xz"), "--model", "popular", "--metric", "hr@10,ndcg@10", "--ties", ties, "--json")
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Models []struct {
				Metrics map[string]struct{ Value float64 }
			}
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		m := got.Models[0].Metrics
		round := func(v float64) float64 { return math.Round(v*1e4) / 1e4 }
		if hr, ndcg := round(m["hr@10"].Value), round(m["ndcg@10"].Value); hr != want[0] || ndcg != want[1] {
			t.Errorf("ties %s: got %v and %v, want %v", ties, hr, ndcg, want)
		}
	}
}

// A network leaves its state in the folder, and the same command goes on from
// it; another one is refused.
func TestCheckpoints(t *testing.T) {
	data, dir := file(t, "halves.csv", halves()), t.TempDir()
	args := []string{
		"evaluate", "--train", data, "--format", "pairs", "--split", "leave-one-out", "--model", "gru", "--metric", "hr@10",
		"--params", "gru.dim=8", "--params", "gru.epochs=2", "--checkpoints", dir, "--workers", "1",
	}
	if _, _, err := call(t, args...); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "gru.safetensors")); err != nil {
		t.Fatal(err)
	}
	_, errs, err := call(t, args...)
	if err != nil || strings.Contains(errs, "epoch") {
		t.Errorf("begun again: got %q, %v, want nothing left to learn", errs, err)
	}
	if _, _, err := call(t, append(args, "--seed", "2")...); err == nil || !strings.Contains(err.Error(), "of another fit") {
		t.Errorf("another seed: got %v, want it refused", err)
	}
}
