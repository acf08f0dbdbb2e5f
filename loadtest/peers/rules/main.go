// Command rules measures frequent-itemset mining side by side with mlxtend and
// with Borgelt's C implementation (pyfim), on one file in one run, and prints
// the Markdown of docs/measurements/rules.md:
//
//	python3 -m venv .venv && .venv/bin/pip install mlxtend==0.25.0 pyfim==6.28
//	go run ./loadtest/peers/rules --python .venv/bin/python T10I4D100K.dat.xz > docs/measurements/rules.md
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/models/rules"
)

type flags struct {
	File    string      `arg:"" help:"Baskets of integer items, one a line; .xz is unpacked."`
	Support rules.Ratio `default:"0.001" help:"Minimum support."`
	Repeats int         `default:"7" help:"Runs of each; mlxtend runs once."`
	Python  string      `default:"python3" help:"A Python with mlxtend and pyfim."`
	Peers   string      `default:"loadtest/peers/rules_peer.py" help:"The script that runs the peers."`
}

type result struct {
	Version  string    `json:"version"`
	Itemsets int       `json:"itemsets"`
	Seconds  []float64 `json:"seconds"`
}

func main() {
	var f flags
	kong.Parse(&f)
	if err := f.run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (f *flags) run(ctx context.Context, out io.Writer) error {
	baskets, err := read(f.File)
	if err != nil {
		return err
	}
	one, err := f.own(ctx, baskets, 1)
	if err != nil {
		return err
	}
	all, err := f.own(ctx, baskets, 0)
	if err != nil {
		return err
	}
	peers, err := f.peers(ctx, f.Support.Count(baskets.Len()))
	if err != nil {
		return err
	}
	after := load()
	pyfim, mlxtend := peers["pyfim"], peers["mlxtend"]
	for name, r := range map[string]result{"pyfim": pyfim, "mlxtend": mlxtend, "one worker": one} {
		if r.Itemsets != all.Itemsets {
			return fmt.Errorf("%s finds %d itemsets, this project %d: times are of different work", name, r.Itemsets, all.Itemsets)
		}
	}
	fmt.Fprintf(out, "# Frequent itemsets, side by side\n\n")
	fmt.Fprintf(out, "%d baskets, %d item occurrences (T10I4D100K, a synthetic set of the FIMI repository), minimum support %v: %d itemsets, the same number from all.\n",
		baskets.Len(), baskets.Occurrences(), f.Support, all.Itemsets)
	fmt.Fprintf(out, "Least of %d runs each (mlxtend: one run); reading the file, and the one-hot table of mlxtend, are not timed.\n\n", f.Repeats)
	fmt.Fprintf(out, "| | version | least s | median s | times this project |\n|---|---|---|---|---|\n")
	row := func(name, version string, r result) {
		fmt.Fprintf(out, "| %s | %s | %.4f | %.4f | %.2f |\n", name, version, slices.Min(r.Seconds), median(r.Seconds), slices.Min(r.Seconds)/slices.Min(all.Seconds))
	}
	row(fmt.Sprintf("models/rules, %d workers", runtime.GOMAXPROCS(0)), runtime.Version(), all)
	row("models/rules, 1 worker", runtime.Version(), one)
	row("Borgelt's fpgrowth (C)", "pyfim "+pyfim.Version, pyfim)
	row("mlxtend fpgrowth", "mlxtend "+mlxtend.Version, mlxtend)
	fmt.Fprintf(out, "\nMeasured %s on %s, %d processors, load average after the run %s. Produced by:\n\n```\n%s\n```\n",
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.NumCPU(), after, command)
	return nil
}

const command = `python3 -m venv .venv && .venv/bin/pip install mlxtend==0.25.0 pyfim==6.28
go run ./loadtest/peers/rules --python .venv/bin/python T10I4D100K.dat.xz > docs/measurements/rules.md`

func read(path string) (*rules.Baskets, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var in io.Reader = bufio.NewReader(file)
	if strings.HasSuffix(path, ".xz") {
		if in, err = xz.NewReader(in); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
	}
	baskets, _, err := rules.ReadBaskets(in, "")
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return baskets, nil
}

// own times this project's mining.
func (f *flags) own(ctx context.Context, b *rules.Baskets, workers int) (r result, err error) {
	for range f.Repeats {
		start := time.Now()
		sets, err := rules.Mine(ctx, b, rules.Options{MinSupport: f.Support, Workers: workers})
		if err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, time.Since(start).Seconds())
		r.Itemsets = sets.Len()
	}
	return r, nil
}

// peers runs the script on the same file.
func (f *flags) peers(ctx context.Context, count int) (map[string]result, error) {
	cmd := exec.CommandContext(ctx, f.Python, f.Peers, f.File, strconv.Itoa(count), strconv.Itoa(f.Repeats))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the peers with %s: %w: are mlxtend and pyfim installed there?", f.Python, err)
	}
	var out map[string]result
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("answer of the peers: %w", err)
	}
	for _, name := range []string{"pyfim", "mlxtend"} {
		if len(out[name].Seconds) == 0 {
			return nil, fmt.Errorf("answer of the peers: no times of %s", name)
		}
	}
	return out, nil
}

func median(seconds []float64) float64 {
	return slices.Sorted(slices.Values(seconds))[len(seconds)/2]
}

// processor names the processor, where the system tells.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

// load is the load average of the last minute, where the system tells.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
