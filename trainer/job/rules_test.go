package job_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/klauspost/compress/zstd"

	"github.com/attune-rec/attune/trainer/job"
)

// run parses args as the trainer does and runs the command they name.
func run(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var cli struct {
		JSON     bool            `name:"json"`
		Rules    job.RulesCmd    `cmd:""`
		Forecast job.ForecastCmd `cmd:""`
	}
	parser, err := kong.New(&cli, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = parsed.Run(job.NewEnv(t.Context(), &out, io.Discard, cli.JSON, slog.LevelError))
	return out.String(), err
}

// dataFile returns the path of a reference file, or skips the test.
func dataFile(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("ATTUNE_PUBLIC_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no reference data: %s is not below %s; set ATTUNE_PUBLIC_DATA to the data folder", name, root)
	}
	return path
}

func writeFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const smallBaskets = "bread butter\nbread butter milk\nbread milk\nbutter bread jam\n"

func TestRulesJSON(t *testing.T) {
	out, err := run(t, "rules", "--format", "baskets", "--min-support", ".5", "--min-confidence", ".75", "--json",
		writeFile(t, "b.txt", []byte(smallBaskets)))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Itemsets, Rules struct {
			Total  int
			BySize map[string]int `json:"by_size"`
		}
		Top []struct {
			Antecedent, Consequent []string
			Lift                   float64
			Conviction             *float64
		}
		Seconds float64
		RSS     int64 `json:"peak_rss_bytes"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	// bread 4, butter 3, milk 2; bread+butter 3, bread+milk 2.
	if got.Itemsets.Total != 5 || got.Itemsets.BySize["2"] != 2 || got.Rules.Total != 3 || got.Rules.BySize["2"] != 3 {
		t.Errorf("got %+v, want 5 itemsets and 3 rules", got)
	}
	if len(got.Top) != 3 || got.Top[2].Antecedent[0] != "bread" || got.Top[2].Conviction == nil || got.Top[0].Conviction != nil {
		t.Errorf("top rules: got %+v", got.Top)
	}
	if got.Seconds <= 0 || got.RSS <= 0 {
		t.Errorf("seconds and memory: got %v and %v, want both above 0", got.Seconds, got.RSS)
	}
}

func TestRulesPackedFilesAndText(t *testing.T) {
	var zipped, packed bytes.Buffer
	z := gzip.NewWriter(&zipped)
	p, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.WriteCloser{z, p} {
		if _, err := io.WriteString(w, strings.ReplaceAll(smallBaskets, " ", " ; ")); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{writeFile(t, "b.gz", zipped.Bytes()), writeFile(t, "b.zst", packed.Bytes())} {
		out, err := run(t, "rules", "--separator", ";", "--min-support", "1/2", path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"4 baskets of 4 items", "5 itemsets in 2 or more baskets, by size: 1: 3, 2: 2", "milk -> bread"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: got %q, want %q in it", path, out, want)
			}
		}
	}
}

func TestRulesBest(t *testing.T) {
	out, err := run(t, "rules", "--best", "1", "--min-confidence", ".9", writeFile(t, "b.txt", []byte(smallBaskets)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "1 rules") || !strings.Contains(out, "butter -> bread") {
		t.Errorf("got %q, want the one rule butter -> bread", out)
	}
}

func TestRulesRefuses(t *testing.T) {
	good := writeFile(t, "b.txt", []byte(smallBaskets))
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"empty item", []string{"--separator", ";", writeFile(t, "e.txt", []byte("a;b\na;;b\n"))}, "e.txt:2: item 2 is empty"},
		{"binary", []string{writeFile(t, "x.txt", []byte("a b\n\xff\xfe\n"))}, "x.txt:2: not UTF-8"},
		{"not packed", []string{writeFile(t, "b.xz", []byte(smallBaskets))}, "does its ending name how it is packed"},
		{"no basket", []string{writeFile(t, "n.txt", []byte("\n\n"))}, "no basket"},
		{"no file", []string{filepath.Join(t.TempDir(), "none")}, "no such file"},
		{"support", []string{"--min-support", "2", good}, "outside 0..1"},
		{"order", []string{"--sort", "size", good}, "not one of lift, confidence, support"},
		{"limit", []string{"--min-support", "0", "--max-itemsets", "3", good}, "try a minimum support of"},
		{"top", []string{"--top=-1", good}, "must not be negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := run(t, append([]string{"rules"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestRulesGroceries(t *testing.T) {
	out, err := run(t, "rules", "--separator", ";", "--min-support", ".001", "--min-confidence", ".5", "--json",
		dataFile(t, "groceries/groceries_baskets.csv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"total": 13492`, `"total": 5668`, `"4": 3211`, "18.99565"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %s in the answer", want)
		}
	}
}
