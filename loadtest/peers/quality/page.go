package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// result is what the page needs of a run.
type result struct {
	Dataset struct {
		Users, Items, Train, Test, Cases int
	} `json:"dataset"`
	Models []struct {
		Name    string
		Params  json.RawMessage
		Account []string
		Metrics map[string]struct{ Value, Low, High float64 }
		CPU     float64 `json:"fit_cpu_s"`
		Peak    int64   `json:"peak_rss_bytes"`
	} `json:"models"`
}

const head = `# Ranking quality on public splits

Written by ` + "`go run ./loadtest/peers/quality`" + ` from the results in quality/, one run a data set. Metrics are means over
cases with 95 % bootstrap intervals; ` + "`hybrid`" + ` is the default recipe, the same command everywhere: it chooses its
parts and their weights on what it holds out of the training file and never sees the test. The other models have their
defaults too, save those marked *tuned*, whose parameters were set for the data set. CPU seconds are those of fitting, the
choice included; peak is the process's resident memory while it fitted. The machine, 2 cores, was shared with other
work, so CPU seconds are upper bounds. Published figures are those of the data sets' papers and leaderboards.

| data set | model | metric | value [95 % interval] | metric | value [95 % interval] | fit CPU s | peak MB |
|---|---|---|---|---|---|---|---|
`

// write writes the page of the results there are.
func write(page, results string) error {
	var table, commands, choices strings.Builder
	for _, t := range tasks() {
		raw, err := os.ReadFile(filepath.Join(results, t.data+".json")) // #nosec G304 -- a folder of the caller's choice
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(&table, "| %s | | | not measured | | | | |\n", t.name)
			continue
		}
		if err != nil {
			return err
		}
		var r result
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("%s: %w", t.data, err)
		}
		rows(&table, &t, &r)
		fmt.Fprintf(&commands, "go run ./trainer %s %s\n", strings.Join(t.arguments("../shared/data"), " "), strings.Join(options(&t), " "))
		for _, m := range r.Models {
			if m.Name == "hybrid" {
				fmt.Fprintf(&choices, "\n%s:\n```\n%s\n```\n", t.name, strings.Join(m.Account, "\n"))
			}
		}
	}
	text := head + table.String() + "\n## Commands\n\n```\n" + commands.String() + "```\n\n## What the default recipe chose\n" + choices.String()
	if notes, err := os.ReadFile(filepath.Join(results, "notes.md")); err == nil { // #nosec G304
		text += "\n" + string(notes)
	}
	return os.WriteFile(page, []byte(text), 0o644) // #nosec G306 -- a page for everyone
}

func rows(b *strings.Builder, t *task, r *result) {
	fmt.Fprintf(b, "| **%s** | published: %s | | | | | | |\n", t.name, t.published)
	for _, m := range r.Models {
		name := m.Name
		if slices.ContainsFunc(t.tuned, func(s string) bool { return strings.HasPrefix(s, m.Name+"=") }) {
			name += " (tuned)"
		}
		if m.Name == "hybrid" {
			name = "**hybrid**"
		}
		fmt.Fprintf(b, "| | %s", name)
		for _, metric := range t.metrics {
			v := m.Metrics[metric]
			fmt.Fprintf(b, " | %s | %.4f [%.4f, %.4f]", metric, v.Value, v.Low, v.High)
		}
		fmt.Fprintf(b, " | %.1f | %d |\n", m.CPU, m.Peak>>20)
	}
}
