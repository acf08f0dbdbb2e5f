package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServe(t *testing.T) {
	in := strings.NewReader(`{"job":"dotrows","params":{"d":8,"rows":4},"batches":3}
{"job":"gemm","params":{"m":4,"n":4},"batches":1}
{"job":"nothing","params":{},"batches":1}
not json
{"job":"cholesky","params":{"k":9},"batches":2}
{"job":"syrk","params":{"k":9,"rows":3},"batches":2}
`)
	var out bytes.Buffer
	if err := serve(in, &out, kernelJobs()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var h hello
	if err := json.Unmarshal([]byte(lines[0]), &h); err != nil || h.Name == "" {
		t.Errorf("got first line %q, want a name", lines[0])
	}
	for i, want := range []reply{{Seconds: make([]float64, 3)}, {Error: "want k"}, {Error: "unknown job"}, {Error: "invalid character"},
		{Seconds: make([]float64, 2)}, {Seconds: make([]float64, 2)}} {
		var got reply
		if err := json.Unmarshal([]byte(lines[i+1]), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Seconds) != len(want.Seconds) || !strings.Contains(got.Error, want.Error) || (got.Error == "") != (want.Error == "") {
			t.Errorf("request %d: got %+v, want %+v", i, got, want)
		}
		for _, s := range got.Seconds {
			if s <= 0 {
				t.Errorf("request %d: got %g seconds, want above 0", i, s)
			}
		}
	}
}

// Every job that the table names must exist on our side, with its sizes.
func TestKernelRowsHaveJobs(t *testing.T) {
	set := kernelJobs()
	for _, row := range kernelRows() {
		if _, err := set.build(request{Job: row.job, Params: row.p}, map[string]job{}); err != nil {
			t.Errorf("%s: %v", row.title, err)
		}
	}
}

// The same for training steps; a step of each runs.
func TestNeuralRowsHaveJobs(t *testing.T) {
	set := neuralJobs()
	for _, row := range neuralRows() {
		p := params{"threads": 2}
		for name, v := range row.p {
			p[name] = v
		}
		p["batch"] = 8
		j, err := set.build(request{Job: row.job, Params: p}, map[string]job{})
		if err != nil {
			t.Errorf("%s: %v", row.title, err)
			continue
		}
		j.run()
	}
}

func TestReplaceTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(path, []byte("before\n<!-- table: begin -->\nold\n<!-- table: end -->\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := replaceTable(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n<!-- table: begin -->\nnew\n<!-- table: end -->\nafter\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := replaceTable(path, "new\n"); err == nil {
		t.Error("got no error for a file without marks")
	}
}

func TestMarkdown(t *testing.T) {
	lines := []ratioLine{{title: "dot", peer: "sdot", theirs: 10, aim: 1.5,
		sides: []side{{"avx512", 30, samples{2, 3, 4}}, {"generic", 5, samples{0.5, 0.5, 0.5}}}}}
	got := markdown(lines)
	for _, want := range []string{"AVX-512 GFLOP/s", "plain Go GFLOP/s", "| dot | sdot | 10 | 30 | 3.00 | 5 | 0.50 | 2.00-4.00 | 1.5 |"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	s := []float64{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.5: 3, 1: 5} {
		if got := quantile(s, q); got != want {
			t.Errorf("quantile %g: got %g, want %g", q, got, want)
		}
	}
}
