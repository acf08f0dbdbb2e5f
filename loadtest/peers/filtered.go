package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/vector"
)

// filtersCmd measures filters alone, without a peer.
type filtersCmd struct {
	Sizes   []int   `default:"100000,500000" help:"Rows."`
	Rounds  int     `default:"7" help:"Rounds in which searches with and without a filter take turns."`
	Queries int     `default:"200" help:"Queries a round."`
	Width   int     `default:"100" help:"Width of the graph's walk."`
	Spread  float64 `default:"0.3" help:"How much the lengths of rows differ (log-normal)."`
	Group   int     `default:"500" help:"Rows of a cluster."`
	Mapped  bool    `help:"Search the exact index in a mapped file, as a release's is."`
	Graph   bool    `default:"true" negatable:"" help:"Search the graph too."`
	Write   string  `help:"Markdown file whose tables of these sizes are replaced."`
	trainedFlags
}

func (c *filtersCmd) Run(ctx context.Context) error {
	for _, n := range c.Sizes {
		groups := max(n/c.Group, 1)
		r := c.run(clusters(n, groups, indexDim, c.Spread, 2), clusters(c.Queries, groups, indexDim, 0, 3))
		r.of, r.groups = clusterOf(n, groups), groups
		if err := c.table(ctx, r, fmt.Sprintf("filters --trained= --sizes %d", n), fmt.Sprintf("filters-%d", n)); err != nil {
			return err
		}
	}
	rows, qs, err := c.vectors(ctx, c.Queries)
	if err != nil || rows == nil {
		return err
	}
	r := c.run(rows, qs)
	r.groups = max(r.n/c.Group, 1)
	r.of = nearest(rows, r.groups)
	return c.table(ctx, r, "filters --sizes=", "filters-trained")
}

func (c *filtersCmd) run(rows, qs []float32) *indexRun {
	return &indexRun{indexCmd: &indexCmd{Rounds: c.Rounds, Queries: c.Queries}, n: len(rows) / indexDim, rows: rows, qs: qs}
}

// table measures and shows.
func (c *filtersCmd) table(ctx context.Context, r *indexRun, command, name string) (err error) {
	if r.exact, err = vector.NewExact(r.rows, indexDim, runtime.NumCPU()); err != nil {
		return err
	}
	if c.Mapped {
		opened, done, err := inFile(r.exact)
		if err != nil {
			return err
		}
		defer func() { _ = done() }()
		r.exact, command, name = opened, command+" --mapped", name+"-mapped"
	}
	if c.Graph {
		began := time.Now()
		if r.graph, err = vector.BuildHNSW(ctx, r.rows, indexDim, vector.HNSWOptions{Workers: runtime.NumCPU(), Width: c.Width}); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%d rows: graph of width %d built in %.1f s\n", r.n, r.graph.Width(), time.Since(began).Seconds())
	} else {
		command += " --no-graph"
	}
	if err := r.filters(ctx); err != nil {
		return err
	}
	table := fmt.Sprintf("`go run ./loadtest/peers %s`, %s, commit %s, %s, %s. One thread; %d rounds of %d queries in turn, the fastest of each query.\n\n",
		command, time.Now().UTC().Format(time.DateOnly), commit(), machine(), isaTitle(linalg.ISA()), c.Rounds, c.Queries) + filterHead + r.filter.String()
	return show(c.Write, name+forced(), table)
}

const filterHead = "| filter | index | recall@100 | least of a query | queries/s | without the filter | time, of unfiltered | 90 % of queries below |\n|---|---|---|---|---|---|---|---|\n"

// filters measures what passes at random, and what lies in the clusters farthest
// from the query. Searches with and without a filter take turns in rounds of all
// queries, so that neither finds its rows in the cache for having just asked.
func (r *indexRun) filters(ctx context.Context) error {
	centres := groupCentres(r.rows, r.of, r.groups)
	random := rowsOf(r.n)
	for _, share := range []float64{.5, .1, .01, .001} {
		for _, kind := range []string{"at random", "farthest clusters"} {
			allow := make([]*features.Bitmap, r.Queries)
			want := make([][]models.Hit, r.Queries)
			for i := range allow {
				q := r.qs[i*indexDim:][:indexDim]
				if allow[i] = random(share); kind != "at random" {
					allow[i] = farthest(q, centres, r.of, share)
				}
				want[i] = r.scan(q, allow[i])
			}
			for _, x := range []struct {
				name  string
				index models.Index
			}{{"graph", r.graph}, {"exact", r.exact}} {
				if x.name == "graph" && r.graph == nil {
					continue
				}
				if err := r.filter1(ctx, fmt.Sprintf("%g %%, %s", 100*share, kind), x.name, x.index, allow, want); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// scan is the truth: the numbers of all rows that pass.
func (r *indexRun) scan(q []float32, allow *features.Bitmap) []models.Hit {
	var top linalg.TopK
	top.Reset(indexTop)
	scores := make([]float32, r.n)
	linalg.DotRows(q, r.rows, scores)
	for row, score := range scores {
		if allow.Has(features.Row(row)) {
			top.Push(int32(row), score)
		}
	}
	var hits []models.Hit
	for _, c := range top.Sorted(nil) {
		hits = append(hits, models.Hit{Row: features.Row(c.Index), Score: c.Score})
	}
	return hits
}

// filter1 measures one filter on one index. Of a query the fastest of the rounds counts: it is
// the one that other work on the machine disturbed least.
func (r *indexRun) filter1(ctx context.Context, filter, name string, x models.Index, allow []*features.Bitmap, want [][]models.Hit) error {
	got := make([][]models.Hit, r.Queries)
	open, shut := make(samples, r.Queries), make(samples, r.Queries)
	pass := func(filtered bool, fastest samples) error {
		for i := range got {
			var w models.Where
			if filtered {
				w.Allow = allow[i]
			}
			began := time.Now()
			var err error
			if got[i], err = x.Search(ctx, r.qs[i*indexDim:][:indexDim], indexTop, w, got[i][:0]); err != nil {
				return err
			}
			if s := time.Since(began).Seconds(); fastest[i] == 0 || s < fastest[i] {
				fastest[i] = s
			}
		}
		return nil
	}
	for range r.Rounds {
		if err := pass(false, open); err != nil {
			return err
		}
		if err := pass(true, shut); err != nil {
			return err
		}
	}
	met, all, least := 0, 0, 1.
	for i, hits := range want {
		found := 0
		for _, h := range hits {
			if slices.ContainsFunc(got[i], func(g models.Hit) bool { return g.Row == h.Row }) {
				found++
			}
		}
		met, all = met+found, all+len(hits)
		least = min(least, float64(found)/float64(max(len(hits), 1)))
	}
	with, without := mean(shut), mean(open)
	fmt.Fprintf(&r.filter, "| %s | %s | %.3f | %.2f | %.0f | %.0f | %.2f | %.2f |\n", filter, name,
		float64(met)/float64(max(all, 1)), least, 1/with, 1/without, with/without, quantile(ratios(shut, open), .9))
	return nil
}

func mean(s samples) float64 {
	var sum float64
	for _, v := range s {
		sum += v
	}
	return sum / float64(max(len(s), 1))
}
