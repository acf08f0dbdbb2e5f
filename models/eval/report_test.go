package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// sample is a report of two made-up models on a made-up world, with the costs
// set by hand.
func sample(t *testing.T) *Report {
	t.Helper()
	task, n := world(rand.New(rand.NewPCG(5, 5)))
	metrics, err := ParseMetrics([]string{"recall@5", "ndcg@5", "coverage@5"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Metrics: metrics}
	cases, err := Plan(task, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Dataset: Summarise(task, cases)}
	r.Dataset.Name, r.Dataset.Split, r.Dataset.Seed, r.Dataset.Train = "world.csv", "given", 1, len(task.History.Log)
	r.Dataset.Remarks = []string{"3 rows left out: 2 without a user, 1 without an item"}
	o.KeepSeen = true
	all, err := Plan(task, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"noise", "constant"} {
		e := Entry{Name: name, Kind: name, Params: json.RawMessage(`{}`), FitCPU: 1.5, FitWall: .75, PeakRSS: 64 << 20}
		var res, kept *Result
		o.KeepSeen = false
		if name == "noise" {
			res, err = Run(context.Background(), n, task, cases, o)
		} else {
			res, err = Run(context.Background(), constant{}, task, cases, o)
		}
		if err != nil {
			t.Fatal(err)
		}
		o.KeepSeen = true
		if kept, err = Run(context.Background(), constant{}, task, all, o); err != nil {
			t.Fatal(err)
		}
		e.Fill(res, kept, 1, 2)
		e.Segments, e.EvalWall = Segments(task, cases, res), .5
		r.Models = append(r.Models, e)
	}
	if err := r.Compare("constant", 1, 2); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReportGolden(t *testing.T) {
	r := sample(t)
	var text, page, doc bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	enc := json.NewEncoder(&doc)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"report.txt": text.Bytes(), "report.html": page.Bytes(), "report.json": doc.Bytes()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	if err := r.Compare("nobody", 1, 1); err == nil {
		t.Error("comparing with an unknown model: got no error")
	}
}
