package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/attune-rec/attune/models/linalg"
)

type kernelsCmd struct {
	Python string   `default:".cache/peers/bin/python3" help:"Python with numpy and scipy."`
	Script string   `default:"loadtest/peers/kernels.py" help:"The peer's jobs."`
	Cores  []string `default:"default,SkylakeX" help:"What OpenBLAS takes the machine for (OPENBLAS_CORETYPE); the faster one counts."`
	Rounds int      `default:"15" help:"Rounds in which the sides take turns."`
	ISA    []string `default:"avx512,avx2,generic" help:"Instruction sets of ours to measure; the first one is compared with the aims."`
	Write  string   `help:"Markdown file whose table is replaced: that of all instruction sets, or of the only one."`
}

// kernelRow is a line of the table: one job of ours, and what the peer has for it.
type kernelRow struct {
	title  string
	job    string
	theirs []string // the fastest of these counts
	p      params
	flops  float64
	aim    float64 // the ratio that counts as enough
}

func kernelRows() []kernelRow {
	var rows []kernelRow
	for _, d := range []int{64, 128} {
		rows = append(rows, kernelRow{fmt.Sprintf("dot, 64 rows, d=%d", d), "dotrows", []string{"sdot", "sgemv"},
			params{"d": d, "rows": 64}, float64(2 * 64 * d), 1.5})
	}
	for _, n := range []int{64, 512} {
		aim := 0.9
		if n == 512 {
			aim = 1
		}
		rows = append(rows, kernelRow{fmt.Sprintf("gemm 512x512x%d", n), "gemm", []string{"sgemm"},
			params{"m": 512, "n": 512, "k": n}, 2 * 512 * 512 * float64(n), aim})
	}
	for _, k := range []int{64, 128, 256} {
		rows = append(rows, kernelRow{fmt.Sprintf("syrk, 36 gathered rows, k=%d", k), "syrk", []string{"ssyrk"},
			params{"rows": 36, "k": k}, 36 * float64(k*k), 1.5})
	}
	for _, k := range []int{64, 128, 256} {
		rows = append(rows, kernelRow{fmt.Sprintf("cholesky k=%d", k), "cholesky", []string{"spotrf"},
			params{"k": k}, float64(k*k*k) / 3, 1.5})
	}
	return rows
}

func (c *kernelsCmd) Run(ctx context.Context) (err error) {
	var peers []*worker
	for _, core := range c.Cores {
		env := []string{"OPENBLAS_NUM_THREADS=1"}
		if core != "default" {
			env = append(env, "OPENBLAS_CORETYPE="+core)
		}
		w, err := startWorker(ctx, env, c.Python, c.Script)
		if err != nil {
			return fmt.Errorf("%w (see the package comment for how to make the Python environment)", err)
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		peers = append(peers, w)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var ours []*worker
	for _, isa := range c.ISA {
		w, err := startWorker(ctx, []string{linalg.Env + "=" + isa, "GOMAXPROCS=1"}, self, "serve", "kernels")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		if w.Name != isa {
			fmt.Fprintf(os.Stderr, "skipping %s: this machine has %s at best\n", isa, w.Name)
			continue
		}
		ours = append(ours, w)
	}
	var lines []ratioLine
	for _, row := range kernelRows() {
		line, err := row.compare(ours, peers, c.Rounds)
		if err != nil {
			return err
		}
		fmt.Println(line)
		lines = append(lines, line)
	}
	command, name := "go run ./loadtest/peers kernels", "table"
	if len(c.ISA) == 1 {
		command, name = command+" --isa "+c.ISA[0]+" --cores "+strings.Join(c.Cores, ","), "only-"+c.ISA[0]
	}
	return show(c.Write, name, conditions(command, names(peers), c.Rounds)+markdown(lines))
}

// contender is a job of a peer's worker, with its rounds.
type contender struct {
	worker *worker
	job    string
	rounds samples
}

// compare lets the sides take turns and sums the rounds up against the fastest contender. Of a round
// the fastest batch counts: it is the one that other work on the machine disturbed least.
func (row kernelRow) compare(ours, peers []*worker, rounds int) (ratioLine, error) {
	const batches = 7
	var theirs []*contender
	for _, w := range peers {
		for _, job := range row.theirs {
			theirs = append(theirs, &contender{worker: w, job: job})
		}
	}
	var mine []*contender
	for _, w := range ours {
		mine = append(mine, &contender{worker: w, job: row.job})
	}
	for range rounds {
		for _, x := range append(mine[:len(mine):len(mine)], theirs...) {
			s, err := x.worker.Time(request{x.job, row.p, batches})
			if err != nil {
				return ratioLine{}, err
			}
			x.rounds = append(x.rounds, slices.Min(s))
		}
	}
	best := slices.MinFunc(theirs, func(a, b *contender) int { return cmp.Compare(median(a.rounds), median(b.rounds)) })
	line := ratioLine{title: row.title, peer: best.job, theirs: row.flops / median(best.rounds) / 1e9, aim: row.aim}
	for _, x := range mine {
		line.sides = append(line.sides, side{x.worker.Name, row.flops / median(x.rounds) / 1e9, ratios(best.rounds, x.rounds)})
	}
	return line, nil
}

func names(ws []*worker) string {
	var all []string
	for _, w := range ws {
		all = append(all, w.Name)
	}
	return strings.Join(all, ", ")
}

// kernelJobs are our jobs; their data is small enough for the caches, as the peer's is.
func kernelJobs() jobSet {
	return jobSet{linalg.ISA(), map[string]jobMaker{
		"dotrows": func(p params) (job, error) {
			d, n, err := p.two("d", "rows")
			if err != nil {
				return job{}, err
			}
			q, rows, out := random(d), random(n*d), make([]float32, n)
			return job{run: func() {
				for range 16 {
					linalg.DotRows(q, rows, out)
				}
			}, ops: 16}, nil
		},
		"gemm": func(p params) (job, error) {
			m, n, err := p.two("m", "n")
			k := p["k"]
			if err != nil || k <= 0 {
				return job{}, errors.Join(err, errors.New("want k"))
			}
			a, b, c := linalg.MatrixOf(m, k, random(m*k)), linalg.MatrixOf(k, n, random(k*n)), linalg.NewMatrix(m, n)
			return job{run: func() { linalg.Gemm(false, false, 1, a, b, 0, c) }, ops: 1}, nil
		},
		"syrk": func(p params) (job, error) {
			k, n, err := p.two("k", "rows")
			if err != nil {
				return job{}, err
			}
			const of = 200
			mat, rows, c := linalg.MatrixOf(of, k, random(of*k)), make([]int32, n), linalg.NewMatrix(k, k)
			for i := range rows {
				rows[i] = int32(i * 61 % of)
			}
			scratch := make([]float32, 2*n*k)
			return job{run: func() {
				for range 8 {
					linalg.SyrkGatherTo(linalg.Matrix{}, mat, rows, nil, c, scratch)
				}
			}, ops: 8}, nil
		},
		"cholesky": choleskyJob,
	}}
}

// choleskyJob factors a few copies of a matrix a run and restores them between runs.
func choleskyJob(p params) (job, error) {
	k := p["k"]
	if k <= 0 {
		return job{}, errors.New("want k")
	}
	const copies = 8
	x, a := linalg.MatrixOf(2*k, k, random(2*k*k)), linalg.NewMatrix(k, k)
	linalg.Syrk(1, x, 0, a)
	a.MirrorUpper()
	a.AddDiagonal(1)
	work := make([]linalg.Matrix, copies)
	for i := range work {
		work[i] = a.Clone()
	}
	var failed error
	j := job{ops: copies}
	j.reset = func() {
		for i := range work {
			work[i].CopyFrom(a)
		}
	}
	j.run = func() {
		for i := range work {
			failed = errors.Join(failed, linalg.Cholesky(work[i]))
		}
	}
	j.run()
	return j, failed
}

// two returns two sizes, which must be positive.
func (p params) two(a, b string) (int, int, error) {
	if p[a] <= 0 || p[b] <= 0 {
		return 0, 0, fmt.Errorf("want positive %s and %s", a, b)
	}
	return p[a], p[b], nil
}

func random(n int) []float32 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func isaTitle(name string) string {
	return strings.NewReplacer("avx512", "AVX-512", "avx2", "AVX2", "generic", "plain Go").Replace(name)
}
