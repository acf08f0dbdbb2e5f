package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

type neuralCmd struct {
	Python  string `default:".cache/peers/bin/python3" help:"Python with torch."`
	Script  string `default:"loadtest/peers/neural.py" help:"The peer's jobs."`
	Rounds  int    `default:"9" help:"Rounds in which the sides take turns."`
	Threads []int  `default:"1,2" help:"Threads of both sides."`
	Only    string `help:"Only the rows whose title has this in it."`
	Write   string `help:"Markdown file whose table is replaced."`
}

// neuralRow is a training step that both sides can do.
type neuralRow struct {
	title, job string
	p, theirs  params // sizes; theirs are the peer's on top
	aim        float64
}

func neuralRows() []neuralRow {
	sizes := params{"batch": 128, "length": 50, "dim": 64}
	return []neuralRow{
		{"NeuMF, batch 1024, Adam", "neumf", params{"batch": 1024}, nil, 2},
		{"NeuMF, batch 1024, SparseAdam", "neumf", params{"batch": 1024}, params{"sparse": 1}, 2},
		{"NeuMF, batch 4096, Adam", "neumf", params{"batch": 4096}, nil, 1.3},
		{"NeuMF, batch 4096, SparseAdam", "neumf", params{"batch": 4096}, params{"sparse": 1}, 1.3},
		{"GRU, batch 128, length 50, d 64", "gru", sizes, nil, 1},
		{"LSTM, batch 128, length 50, d 64", "lstm", sizes, nil, 1},
		{"SASRec, batch 128, length 50, d 64, 2 blocks", "sasrec", sizes, nil, 1},
	}
}

func (c *neuralCmd) Run(ctx context.Context) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("| training step | threads | PyTorch ms | ours ms | ratio | 10-90 % of rounds | fastest: PyTorch ms | ours ms | ratio | aim |\n|---|---|---|---|---|---|---|---|---|---|\n")
	peer := ""
	for _, threads := range c.Threads {
		table, name, err := c.compare(ctx, self, threads)
		if err != nil {
			return err
		}
		b.WriteString(table)
		peer = name
	}
	table := strings.Replace(conditions("go run ./loadtest/peers neural", peer, c.Rounds), " One thread;", "", 1) + b.String()
	if c.Write != "" {
		return replaceTable(c.Write, table)
	}
	return nil
}

// compare is the lines of the table for so many threads.
func (c *neuralCmd) compare(ctx context.Context, self string, threads int) (table, peer string, err error) {
	theirs, err := startWorker(ctx, []string{"OMP_NUM_THREADS=" + strconv.Itoa(threads)}, c.Python, c.Script)
	if err != nil {
		return "", "", fmt.Errorf("%w (see the package comment for how to make the Python environment)", err)
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	ours, err := startWorker(ctx, []string{"GOMAXPROCS=" + strconv.Itoa(threads)}, self, "serve", "neural")
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	var b strings.Builder
	for _, row := range neuralRows() {
		if !strings.Contains(row.title, c.Only) {
			continue
		}
		line, err := row.line(ours, theirs, threads, c.Rounds)
		if err != nil {
			return "", "", err
		}
		fmt.Print(line)
		b.WriteString(line)
	}
	return b.String(), theirs.Name, nil
}

// line lets the sides take turns. Of a round the fastest step counts: it is the
// one that other work on the machine disturbed least. The fastest of all rounds
// says more where the machine is never left alone.
func (row neuralRow) line(ours, theirs *worker, threads, rounds int) (string, error) {
	const steps = 7
	mine, other := params{"threads": threads}, params{"threads": threads}
	for name, v := range row.p {
		mine[name], other[name] = v, v
	}
	for name, v := range row.theirs {
		other[name] = v
	}
	var a, b samples
	for range rounds {
		s, err := ours.Time(request{row.job, mine, steps})
		if err != nil {
			return "", err
		}
		a = append(a, slices.Min(s))
		if s, err = theirs.Time(request{row.job, other, steps}); err != nil {
			return "", err
		}
		b = append(b, slices.Min(s))
	}
	r := ratios(b, a)
	theirBest, ourBest := slices.Min(b), slices.Min(a)
	return fmt.Sprintf("| %s | %d | %.2f | %.2f | %.2f | %.2f-%.2f | %.2f | %.2f | %.2f | %.1f |\n", row.title, threads, 1e3*median(b), 1e3*median(a),
		median(r), quantile(r, .1), quantile(r, .9), 1e3*theirBest, 1e3*ourBest, theirBest/ourBest, row.aim), nil
}
