package multitask

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// retailrocket reads the data set's behaviours and its held-out purchases.
func retailrocket(t *testing.T) (train, test *dataset.Dataset) {
	dir := os.Getenv("ATTUNE_PUBLIC_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	dir = filepath.Join(dir, "retailrocket-mb")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data: %v (set ATTUNE_PUBLIC_DATA to where data sets lie)", err)
	}
	var a, b dataset.Builder
	type event struct {
		user, item string
		seconds    int64
		kind       features.EventType
	}
	read := func(name string, kind features.EventType) (all []event) {
		f, err := os.Open(filepath.Join(dir, name+".csv.xz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := xz.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			fields := strings.Split(lines.Text(), ",")
			if len(fields) != 3 || fields[0] == "user" {
				continue
			}
			seconds, err := strconv.ParseFloat(fields[2], 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, event{fields[0], fields[1], int64(seconds), kind})
		}
		return all
	}
	log := append(append(read("view", features.View), read("cart", features.CartAdd)...), read("buy", features.Purchase)...)
	held := read("test", features.Purchase)
	for _, e := range append(append([]event{}, log...), held...) { // both with the same users and items
		for _, x := range []*dataset.Builder{&a, &b} {
			x.User(e.user)
			x.Item(e.item)
		}
	}
	for _, e := range log {
		a.Add(e.user, e.item, "", features.Interaction{Type: e.kind, TimeMS: e.seconds * 1000, Quantity: 1})
	}
	for _, e := range held {
		b.Add(e.user, e.item, "", features.Interaction{Type: e.kind, Quantity: 1})
	}
	return a.Build(), b.Build()
}

// goalsTable is the Markdown file whose table of goals the test replaces; it
// then runs at length.
var goalsTable = flag.String("goals", "", "measure what goals teach each other at length, and write it into this Markdown file")

// thin keeps every nth shopper's histories.
func thin(d *dataset.Dataset, n int) *dataset.Dataset {
	return d.Keep(func(u int, _ int64) bool { return u%n == 0 })
}

// Three goals teach more of purchases than purchases alone, by the same network
// with its default settings, which sees the same histories, with the other
// goals' weights at 0. At length, a shopper's figure is the mean over three
// seeds, so that the intervals are of shoppers, not of draws of the weights; else
// it is half the shoppers, one seed and a third of the epochs.
func TestGoalsHelpEachOther(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on real data")
	}
	train, test := retailrocket(t)
	seeds, short := 1, `, "epochs": 8`
	if *goalsTable != "" {
		seeds, short = 3, ""
	} else {
		train, test = thin(train, 2), thin(test, 2)
	}
	start := time.Now()
	metrics, err := eval.ParseMetrics([]string{"ndcg@10", "hr@10", "auc"})
	if err != nil {
		t.Fatal(err)
	}
	task, options := eval.Task{History: train, Test: test}, eval.Options{Metrics: metrics, Workers: 1}
	cases, err := eval.Plan(task, options)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"alone", "together"}
	params := []string{
		`{"click_weight": 0, "cart_weight": 0, "chain": false` + short + `}`,
		`{"chain": true` + short + `}`,
	}
	results := make([]*eval.Result, seeds*len(params))
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			in := models.FitInput{Train: train, Params: json.RawMessage(params[i%2]), Seed: uint64(i/2 + 1), Workers: 1}
			m, err := Kind().Fit(context.Background(), in)
			if err == nil {
				results[i], err = eval.Run(context.Background(), m, task, cases, options)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	report := &eval.Report{}
	for k, name := range names {
		mean := results[k]
		for i := range metrics {
			mean.Whole[i] = 0
			for c := range mean.Values[i] {
				sum := 0.
				for s := range seeds {
					sum += results[s*len(params)+k].Values[i][c]
				}
				mean.Values[i][c] = sum / float64(seeds)
				mean.Whole[i] += mean.Values[i][c] / float64(len(mean.Values[i]))
			}
		}
		entry := eval.Entry{Name: name, Kind: KindName}
		entry.Fill(mean, nil, 1, 2)
		report.Models = append(report.Models, entry)
	}
	if err := report.Compare("together", 1, 2); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	t.Log(fmt.Sprint("\n", b.String()))
	for _, c := range report.Comparisons {
		switch {
		case *goalsTable == "" && c.Metric != "auc": // too few to tell
		case c.Metric != "hr@10" && !(c.Low > 0):
			t.Errorf("%s: got a gain of %.4f [%.4f, %.4f], want it above 0", c.Metric, c.Difference, c.Low, c.High)
		}
	}
	if *goalsTable != "" && !t.Failed() {
		writeGoals(t, report, metrics, time.Since(start))
	}
}

// writeGoals replaces the table between the marks of goalsTable.
func writeGoals(t *testing.T, report *eval.Report, metrics []eval.Metric, took time.Duration) {
	const begin, end = "<!-- goals: begin -->\n", "<!-- goals: end -->"
	old, err := os.ReadFile(*goalsTable)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(old), begin)
	_, tail, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s: want the lines %q and %q around the table", *goalsTable, begin, end)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, three seeds at once, %.0f minutes.\n\n| | purchases alone | three goals | difference |\n|---|---|---|---|\n", time.Now().UTC().Format(time.DateOnly), took.Minutes())
	for _, m := range metrics {
		fmt.Fprintf(&b, "| %s |", m)
		for _, e := range report.Models {
			v := e.Metrics[m.String()]
			fmt.Fprintf(&b, " %.4f [%.4f, %.4f] |", v.Value, *v.Low, *v.High)
		}
		for _, c := range report.Comparisons {
			if c.Metric == m.String() {
				fmt.Fprintf(&b, " %+.4f [%+.4f, %+.4f] |", c.Difference, c.Low, c.High)
			}
		}
		b.WriteString("\n")
	}
	if err := os.WriteFile(*goalsTable, []byte(head+begin+b.String()+end+tail), 0o644); err != nil { // #nosec G306 -- a document
		t.Fatal(err)
	}
}
