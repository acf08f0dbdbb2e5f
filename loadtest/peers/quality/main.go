// Command quality measures how well models rank on public data sets and writes
// docs/measurements/quality.md: every figure in it comes from a run of `trainer
// evaluate --json` whose result is kept beside it.
//
//	go run ./loadtest/peers/quality -data ../shared/data          # what has no result yet
//	go run ./loadtest/peers/quality -again gowalla                # one data set anew
//	go run ./loadtest/peers/quality -render                       # the table only
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "quality:", err)
		os.Exit(1)
	}
}

func run() error {
	data := flag.String("data", filepath.Join("..", "shared", "data"), "folder of the public data sets")
	results := flag.String("results", filepath.Join("docs", "measurements", "quality"), "folder of the runs' JSON")
	page := flag.String("page", filepath.Join("docs", "measurements", "quality.md"), "page to write")
	again := flag.String("again", "", "folder of the data set whose runs are made again, or all")
	render := flag.Bool("render", false, "write the page from the results there are")
	flag.Parse()
	if !*render {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		if err := measure(ctx, *data, *results, *again); err != nil {
			return err
		}
	}
	return write(*page, *results)
}

// measure makes the runs that have no result.
func measure(ctx context.Context, data, results, again string) error {
	if err := os.MkdirAll(results, 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "quality")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "trainer")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./trainer") // #nosec G204 -- a path of our own making
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the trainer: %w; run this at the repository's root", err)
	}
	for _, t := range tasks() {
		if _, err := os.Stat(filepath.Join(data, t.data)); errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(os.Stderr, "skipped %s: there is no %s: give -data\n", t.name, filepath.Join(data, t.data))
			continue
		}
		to := filepath.Join(results, t.data+".json")
		if _, err := os.Stat(to); err == nil && again != t.data && again != "all" {
			continue
		}
		out, err := evaluate(ctx, program, data, &t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if err := os.WriteFile(to, out, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// evaluate runs the default recipe and the single models on a task.
func evaluate(ctx context.Context, program, data string, t *task) ([]byte, error) {
	args := append(t.arguments(data), options(t)...)
	fmt.Fprintln(os.Stderr, "trainer", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- the table's own arguments
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// options are the arguments that do not name files.
func options(t *task) []string {
	all := append(append(append([]string{}, t.models...), t.tuned...), "hybrid")
	args := []string{"--model", strings.Join(all, ",")}
	for _, p := range t.params {
		args = append(args, "--params", p)
	}
	return append(args, "--metric", strings.Join(t.metrics, ","), "--seed", "1", "--no-segments", "--json")
}
