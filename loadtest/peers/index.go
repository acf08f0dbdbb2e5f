package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/vector"
)

type indexCmd struct {
	Python  string  `default:".cache/peers/bin/python3" help:"Python with faiss-cpu and hnswlib."`
	Script  string  `default:"loadtest/peers/index.py" help:"The peer's jobs."`
	Sizes   []int   `default:"100000,500000" help:"Rows."`
	Rounds  int     `default:"7" help:"Rounds in which the sides take turns."`
	Queries int     `default:"200" help:"Queries a round, and of which recall is measured."`
	Spread  float64 `default:"0.3" help:"How much the lengths of rows differ (log-normal)."`
	Write   string  `help:"Markdown file whose tables of these sizes are replaced."`
	trainedFlags
}

const (
	indexDim = 64
	indexTop = 100
	// groupRows is how many rows a cluster has.
	groupRows = 500
)

// indexRun is one size: our indexes and the peer, over the same vectors.
type indexRun struct {
	*indexCmd
	peer        *worker
	folder      string
	n, groups   int
	rows, qs    []float32
	of          []int32 // the cluster of each row, where there are filters
	exact       *vector.Exact
	graph       *vector.HNSW
	truth       []map[features.Row]bool
	out, filter strings.Builder
}

func (c *indexCmd) Run(ctx context.Context) (err error) {
	peer, err := startWorker(ctx, nil, c.Python, c.Script)
	if err != nil {
		return fmt.Errorf("%w (see the package comment for how to make the Python environment)", err)
	}
	defer func() { err = errors.Join(err, peer.Close()) }()
	for _, n := range c.Sizes {
		r := &indexRun{indexCmd: c, peer: peer, n: n, groups: max(n/groupRows, 1)}
		r.rows = clusters(n, r.groups, indexDim, c.Spread, 2)
		r.qs = clusters(c.Queries, r.groups, indexDim, 0, 3)
		if err := r.table(ctx, fmt.Sprintf("index --trained= --sizes %d", n), fmt.Sprintf("index-%d", n)); err != nil {
			return err
		}
	}
	rows, qs, err := c.vectors(ctx, c.Queries)
	if err != nil || rows == nil {
		return err
	}
	r := &indexRun{indexCmd: c, peer: peer, n: len(rows) / indexDim, rows: rows, qs: qs}
	return r.table(ctx, "index --sizes=", "index-trained")
}

// table measures and shows.
func (r *indexRun) table(ctx context.Context, command, name string) error {
	if err := r.all(ctx); err != nil {
		return err
	}
	table := fmt.Sprintf("`go run ./loadtest/peers %s`, %s, commit %s, %s, %s. Peer: %s. One thread, builds on %d; %d rounds of %d queries in turn, medians.\n\n",
		command, time.Now().UTC().Format(time.DateOnly), commit(), machine(), isaTitle(linalg.ISA()), r.peer.Name, runtime.NumCPU(), r.Rounds, r.Queries) +
		"| work | peer | ours | ratio | 10-90 % of rounds | aim |\n|---|---|---|---|---|---|\n" + r.out.String()
	return show(r.Write, name+forced(), table)
}

func (r *indexRun) all(ctx context.Context) (err error) {
	if r.folder, err = os.MkdirTemp("", "peers"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.folder)) }()
	for name, v := range map[string][]float32{"rows.f32": r.rows, "queries.f32": r.qs} {
		b := make([]byte, 0, 4*len(v))
		if b, err = binary.Append(b, binary.LittleEndian, v); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(r.folder, name), b, 0o600); err != nil {
			return err
		}
	}
	if r.exact, err = vector.NewExact(r.rows, indexDim, runtime.NumCPU()); err != nil {
		return err
	}
	hits := make([][]models.Hit, r.Queries)
	if err := r.exact.SearchMany(ctx, r.qs, indexTop, models.Where{}, hits); err != nil {
		return err
	}
	for _, hs := range hits {
		rows := map[features.Row]bool{}
		for _, h := range hs {
			rows[h.Row] = true
		}
		r.truth = append(r.truth, rows)
	}
	if err := r.scans(ctx); err != nil {
		return err
	}
	return r.graphs(ctx)
}

// found is what the peer answers.
type found struct {
	Seconds float64 `json:"seconds"`
	Recall  float64 `json:"recall"`
	Error   string  `json:"error"`
}

func (r *indexRun) ask(job string, p map[string]any) (found, error) {
	p["job"], p["folder"], p["dim"] = job, r.folder, indexDim
	var f found
	err := r.peer.ask(p, &f)
	if err == nil && f.Error != "" {
		err = errors.New(f.Error)
	}
	if err != nil {
		return f, fmt.Errorf("%s, job %s: %w", r.peer.Name, job, err)
	}
	return f, nil
}

// ours searches all queries one by one: seconds a query, and recall.
func (r *indexRun) ours(ctx context.Context, x models.Index, queries int) (found, error) {
	var dst []models.Hit
	met := 0
	began := time.Now()
	var spent time.Duration
	for i := range queries {
		var err error
		if dst, err = x.Search(ctx, r.qs[i*indexDim:][:indexDim], indexTop, models.Where{}, dst[:0]); err != nil {
			return found{}, err
		}
		spent += time.Since(began)
		for _, h := range dst {
			if r.truth[i][h.Row] {
				met++
			}
		}
		began = time.Now()
	}
	return found{Seconds: spent.Seconds() / float64(queries), Recall: float64(met) / float64(queries*indexTop)}, nil
}

func (r *indexRun) line(title string, theirs, ours samples, theirRecall, ourRecall, aim float64, unit func(float64) string) {
	q := ratios(theirs, ours)
	fmt.Fprintf(&r.out, "| %s | %s%s | %s%s | %.2f | %.2f-%.2f | %.1f |\n", title, unit(median(theirs)), at(theirRecall), unit(median(ours)), at(ourRecall),
		median(q), quantile(q, .1), quantile(q, .9), aim)
	fmt.Fprintf(os.Stderr, "%s: %.2f\n", title, median(q))
}

func at(recall float64) string {
	if recall == 0 {
		return ""
	}
	return fmt.Sprintf(" @ %.3f", recall)
}

func perSecond(s float64) string { return fmt.Sprintf("%.0f/s", 1/s) }
func inSeconds(s float64) string { return fmt.Sprintf("%.1f s", s) }

func (r *indexRun) scans(ctx context.Context) error {
	var theirs, ours samples
	recall := 1.0
	few := min(r.Queries, 30)
	for range r.Rounds {
		f, err := r.ask("flat", map[string]any{"queries": few})
		if err != nil {
			return err
		}
		o, err := r.ours(ctx, r.exact, few)
		if err != nil {
			return err
		}
		theirs, ours, recall = append(theirs, f.Seconds), append(ours, o.Seconds), min(recall, o.Recall)
	}
	aim := 2.5
	if r.n > 200_000 {
		aim = 5
	}
	r.line(fmt.Sprintf("exact, %d rows", r.n), theirs, ours, 1, recall, aim, perSecond)
	return nil
}

var widths = []int{100, 125, 150, 200, 250, 300, 400, 500, 650, 800, 1000, 1300, 1600, 2000, 2500, 3200, 4000, 5000, 7000, 10000}

func (r *indexRun) graphs(ctx context.Context) (err error) {
	theirs, err := r.ask("build", map[string]any{"threads": runtime.NumCPU()})
	if err != nil {
		return err
	}
	began := time.Now()
	if r.graph, err = vector.BuildHNSW(ctx, r.rows, indexDim, vector.HNSWOptions{Workers: runtime.NumCPU(), Width: 100}); err != nil {
		return err
	}
	r.line(fmt.Sprintf("build a graph, %d rows", r.n), samples{theirs.Seconds}, samples{time.Since(began).Seconds()}, 0, 0, 1, inSeconds)
	for _, aim := range []float64{.95, .98} {
		if err := r.walks(ctx, aim); err != nil {
			return err
		}
	}
	return nil
}

// walks compares at the smallest widths with which either side finds enough; a
// peer that never does is measured at its widest.
func (r *indexRun) walks(ctx context.Context, aim float64) error {
	ask := map[string]any{"queries": r.Queries, "passes": 1}
	width := 0
	for _, width = range widths {
		ask["width"] = width
		f, err := r.ask("search", ask)
		if err != nil {
			return err
		}
		if f.Recall >= aim {
			break
		}
	}
	var mine *vector.HNSW
	for _, w := range widths {
		mine = r.graph.WithWidth(w)
		if o, err := r.ours(ctx, mine, r.Queries); err != nil || o.Recall >= aim {
			if err != nil {
				return err
			}
			break
		}
	}
	r.graph = mine
	var theirs, ours samples
	var f, o found
	for range r.Rounds {
		var err error
		ask["width"] = width
		if f, err = r.ask("search", ask); err != nil {
			return err
		}
		if o, err = r.ours(ctx, mine, r.Queries); err != nil {
			return err
		}
		theirs, ours = append(theirs, f.Seconds), append(ours, o.Seconds)
	}
	r.line(fmt.Sprintf("graph, %d rows, recall ≥ %.2f (widths %d and %d)", r.n, aim, width, mine.Width()), theirs, ours, f.Recall, o.Recall, 1, perSecond)
	return nil
}
