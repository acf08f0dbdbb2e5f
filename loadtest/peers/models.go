package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/mf"
)

type modelsCmd struct {
	Python     string   `default:".cache/models/bin/python3" help:"Python with implicit."`
	Script     string   `default:"loadtest/peers/models.py" help:"The peer's jobs."`
	Parts      []string `default:"cg,cholesky,knn,ease,bpr" enum:"cg,cholesky,knn,ease,bpr" help:"What to compare."`
	Users      int      `default:"138000" help:"Users of the factor models' data."`
	Items      int      `default:"27000" help:"Items of the factor models' data."`
	Pairs      int      `default:"5000000" help:"Pairs of the factor models' data."`
	Factors    []int    `default:"64,128" help:"Lengths of vectors."`
	Iterations int      `default:"10" help:"Iterations of conjugate gradient; BPR takes half of them, Cholesky a fifth."`
	Rounds     int      `default:"3" help:"Rounds in which the sides take turns; Cholesky, where both sides solve exactly, and BPR take one."`
	Gowalla    string   `default:"../shared/data/gowalla" help:"Folder of the data for neighbourhoods; where there is none, they are skipped."`
	Neighbours int      `default:"100" help:"Neighbours of an item."`
	Catalogue  int      `default:"20000" help:"Items of the shallow autoencoder."`
	Write      string   `help:"Markdown file whose tables of these parts are replaced."`
}

// factorUnseen and factorLambda are the objective's weights.
const factorUnseen, factorLambda = .02, 3

func (c *modelsCmd) Run(ctx context.Context) (err error) {
	folder, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	r := &modelsRun{modelsCmd: c, folder: folder}
	if r.self, err = os.Executable(); err != nil {
		return err
	}
	steps := map[string]func(context.Context) error{
		"cg": func(ctx context.Context) error { return r.factors(ctx, mf.SolverCG, c.Iterations, c.Rounds, 2) },
		"cholesky": func(ctx context.Context) error {
			return r.factors(ctx, mf.SolverCholesky, max(c.Iterations/5, 1), 1, 3.5)
		},
		"knn": r.neighbourhoods, "ease": r.autoencoder, "bpr": r.pairwise,
	}
	for _, part := range c.Parts {
		r.lines.Reset()
		if err := steps[part](ctx); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if r.lines.Len() == 0 {
			continue // skipped
		}
		if err := show(c.Write, part, r.caption(part)+r.lines.String()); err != nil {
			return err
		}
	}
	return nil
}

// caption says how a part's table came about.
func (r *modelsRun) caption(part string) string {
	how := fmt.Sprintf("`go run ./loadtest/peers models --parts %s --rounds %d --iterations %d`, %s, commit %s, %s, %s, load at the end %s.",
		part, r.Rounds, r.Iterations, time.Now().UTC().Format(time.DateOnly), commit(), machine(), isaTitle(linalg.ISA()), load())
	if part == "ease" {
		return how + " Both cores.\n\n| without a peer | wall s | CPU s | peak MB | of it before training | asked |\n|---|---|---|---|---|---|\n"
	}
	return how + " Peer: " + r.peer + ". Both cores; CPU seconds (user and system, all threads); medians over iterations and over rounds in turn.\n\n" +
		"| training | peer's CPU s | ours CPU s | ratio | all rounds | aim | peer's peak MB | ours peak MB | agreement |\n|---|---|---|---|---|---|---|---|---|\n"
}

// modelsRun is a run of the command.
type modelsRun struct {
	*modelsCmd
	folder, self, peer string
	pairs              linalg.CSR // of the factor models; made when first asked for
	lines              strings.Builder
}

// train starts a process, gives it one question and ends it.
func (r *modelsRun) train(ctx context.Context, question any, program string, args ...string) (a fitted, err error) {
	w, err := startWorker(ctx, nil, program, args...)
	if err != nil {
		return a, fmt.Errorf("%w (see the package comment for how to make the Python environment)", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if program != r.self {
		r.peer = w.Name
	}
	if err = w.ask(question, &a); err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", w.Name, err)
	}
	return a, err
}

func (r *modelsRun) ours(ctx context.Context, j fitJob) (fitted, error) {
	return r.train(ctx, j, r.self, "fit")
}

func (r *modelsRun) theirs(ctx context.Context, p map[string]any) (fitted, error) {
	p["threads"] = runtime.NumCPU()
	return r.train(ctx, p, r.Python, r.Script)
}

// turns is the CPU seconds of each round, and the largest memory.
type turns struct {
	ours, theirs         samples
	ourPeak, theirPeak   float64
	agreement            string
	ourValue, theirValue float64
}

func (t *turns) add(ours, theirs float64, a, b fitted) {
	t.ours, t.theirs = append(t.ours, ours), append(t.theirs, theirs)
	t.ourPeak, t.theirPeak = max(t.ourPeak, a.PeakMB), max(t.theirPeak, b.PeakMB)
}

func (r *modelsRun) line(title string, t *turns, aim string) {
	q := ratios(t.theirs, t.ours)
	line := fmt.Sprintf("| %s | %.2f | %.2f | %.2f | %.2f-%.2f | %s | %.0f | %.0f | %s |\n", title,
		median(t.theirs), median(t.ours), median(q), slices.Min(q), slices.Max(q), aim, t.theirPeak, t.ourPeak, t.agreement)
	fmt.Print(line)
	r.lines.WriteString(line)
}

// crowd is the data of the factor models, on disk for both sides.
func (r *modelsRun) crowd() error {
	if r.pairs.Rows > 0 {
		return nil
	}
	r.pairs = filmSite(r.Users, r.Items, r.Pairs, 1)
	return writePairs(r.folder, r.pairs)
}

// paramsOf is JSON of what is given.
func paramsOf(p map[string]any) json.RawMessage {
	b, err := json.Marshal(p)
	if err != nil {
		return nil // numbers and strings only: it cannot fail
	}
	return b
}

// factors compares implicit least squares. Both sides start at the same items'
// vectors and minimise the same objective; see equivalent.
func (r *modelsRun) factors(ctx context.Context, solver string, iterations, rounds int, aim float64) error {
	if err := r.crowd(); err != nil {
		return err
	}
	for _, dim := range r.Factors {
		if err := r.squares(ctx, solver, dim, iterations, rounds, aim); err != nil {
			return err
		}
	}
	return nil
}

func (r *modelsRun) squares(ctx context.Context, solver string, dim, iterations, rounds int, aim float64) error {
	users, items, seen := float64(r.pairs.Rows), float64(r.pairs.Cols), float64(r.pairs.NNZ())
	// Without an exponent every vector is regularised alike; λ is then given so
	// that the sum over all vectors stays.
	mean := (2*seen + 2*factorUnseen*users*items) / (users + items)
	p := map[string]any{
		"factors": dim, "solver": solver, "epochs": iterations, "unobserved": factorUnseen, "exponent": 0,
		"regularisation": factorLambda / mean, "content": mf.ContentOff,
	}
	params := paramsOf(p)
	p["epochs"], p["solver"] = 1, mf.SolverCholesky
	warm := paramsOf(p)
	first, err := mf.IALS().Fit(ctx, models.FitInput{Train: purchases(r.pairs), Seed: 1, Params: warm})
	if err != nil {
		return err
	}
	confidence, lambda, stretch := equivalent(factorUnseen, factorLambda)
	start := slices.Clone(first.(models.Embedder).Vectors())
	linalg.Scale(float32(1/stretch), start)
	starts, mine, other := filepath.Join(r.folder, "start.f32"), filepath.Join(r.folder, "ours.f32"), filepath.Join(r.folder, "theirs.f32")
	if err := writeFloats(starts, start); err != nil {
		return err
	}
	var t turns
	worst := math.Inf(-1)
	for range rounds {
		a, err := r.ours(ctx, fitJob{Kind: mf.KindIALS, Folder: r.folder, Params: params, Warm: warm, Out: mine})
		if err != nil {
			return err
		}
		b, err := r.theirs(ctx, map[string]any{
			"job": "ials", "folder": r.folder, "factors": dim, "solver": solver, "iterations": iterations,
			"confidence": confidence, "regularisation": lambda, "start": starts, "out": other,
		})
		if err != nil {
			return err
		}
		t.add(median(a.CPU), median(b.CPU), a, b)
		if t.ourValue, err = r.value(mine, dim, 1); err != nil {
			return err
		}
		if t.theirValue, err = r.value(other, dim, stretch); err != nil {
			return err
		}
		worst = max(worst, t.ourValue/t.theirValue-1)
	}
	t.agreement = fmt.Sprintf("objective %.6f, ours %.6f (%+.1e)", t.theirValue, t.ourValue, worst)
	r.line(fmt.Sprintf("iALS, %s, k = %d, an iteration", solver, dim), &t, fmt.Sprintf("%.1f", aim))
	return nil
}

// equivalent is implicit's confidence of a pair that was seen and its
// regularisation, where ours weighs an unseen pair a and a seen one 1 more:
//
//	1·(1−s)² + a·s² = (1+a)·(t−s)² + a constant, with t = 1/(1+a).
//
// With s = t·s' and the whole divided by t²·a that is (1+a)/a·(1−s')² seen, s'²
// unseen and λ/(t·a)·(|x'|²+|y'|²), where a vector of ours is √t of theirs.
func equivalent(unseen, lambda float64) (confidence, regularisation, stretch float64) {
	t := 1 / (1 + unseen)
	return (1 + unseen) / unseen, lambda / (t * unseen), math.Sqrt(t)
}

// value is the objective at the items' vectors of a file.
func (r *modelsRun) value(path string, dim int, stretch float64) (float64, error) {
	x, err := readFloats(path)
	if err != nil {
		return 0, err
	}
	if len(x) != r.pairs.Cols*dim {
		return 0, fmt.Errorf("%s has %d numbers, want %d vectors of %d", filepath.Base(path), len(x), r.pairs.Cols, dim)
	}
	linalg.Scale(float32(stretch), x)
	return objective(r.pairs, linalg.MatrixOf(r.pairs.Cols, dim, x), factorUnseen, factorLambda)
}

// pairwise compares an epoch of BPR.
func (r *modelsRun) pairwise(ctx context.Context) error {
	if err := r.crowd(); err != nil {
		return err
	}
	for _, dim := range r.Factors {
		var t turns
		epochs := max(r.Iterations/2, 1)
		a, err := r.ours(ctx, fitJob{Kind: mf.KindBPR, Folder: r.folder, Params: paramsOf(map[string]any{"factors": dim, "epochs": epochs, "draws": 1})})
		if err != nil {
			return err
		}
		b, err := r.theirs(ctx, map[string]any{
			"job": "bpr", "folder": r.folder, "factors": dim, "iterations": epochs, "out": filepath.Join(r.folder, "theirs.f32"),
		})
		if err != nil {
			return err
		}
		t.add(median(a.CPU), median(b.CPU), a, b)
		t.agreement = "a step a pair each"
		r.line(fmt.Sprintf("BPR, k = %d, an epoch", dim), &t, "-")
	}
	return nil
}

// neighbourhoods compares item-based models on gowalla.
func (r *modelsRun) neighbourhoods(ctx context.Context) (err error) {
	path := filepath.Join(r.Gowalla, "train.txt.xz")
	if _, err := os.Stat(path); err != nil {
		fmt.Fprintf(os.Stderr, "skipped neighbourhoods: %v: give --gowalla\n", err)
		return nil
	}
	folder := filepath.Join(r.folder, "gowalla")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	l := &dataset.Loader{Format: dataset.Adjacency}
	rows, err := l.Load(path)
	if err != nil {
		return err
	}
	if err := writePairs(folder, models.Matrix(l.Dataset(rows), nil)); err != nil {
		return err
	}
	mine, other := filepath.Join(folder, "ours.i32"), filepath.Join(folder, "theirs.i32")
	for _, n := range []struct {
		title  string
		params map[string]any
		theirs map[string]any
	}{
		{"item CF, cosine (implicit)", map[string]any{"user": 0, "from": .5, "to": .5}, map[string]any{"job": "cosine"}},
		{"RP3beta, α 1, β 0.4 (SciPy)", map[string]any{"preset": "rp3beta", "alpha": 1, "beta": .4}, map[string]any{"job": "rp3beta", "alpha": 1, "beta": .4}},
	} {
		n.params["neighbours"] = r.Neighbours
		n.theirs["folder"], n.theirs["neighbours"], n.theirs["out"] = folder, r.Neighbours, other
		var t turns
		for range r.Rounds {
			a, err := r.ours(ctx, fitJob{Kind: "path-knn", Folder: folder, Params: paramsOf(n.params), Out: mine})
			if err != nil {
				return err
			}
			b, err := r.theirs(ctx, n.theirs)
			if err != nil {
				return err
			}
			t.add(a.Spent, b.CPU[0], a, b)
		}
		if t.agreement, err = shared(mine, other); err != nil {
			return err
		}
		r.line(fmt.Sprintf("%s, gowalla, %d neighbours", n.title, r.Neighbours), &t, "3.0")
	}
	return nil
}

// shared tells how many of the pairs of neighbours both files have.
func shared(ours, theirs string) (string, error) {
	var sets [2]map[[2]int32]bool
	for i, path := range []string{ours, theirs} {
		b, err := os.ReadFile(path) // #nosec G304 -- a file of our own making
		if err != nil {
			return "", err
		}
		pairs := make([][2]int32, len(b)/8)
		if _, err := binary.Decode(b, binary.LittleEndian, pairs); err != nil {
			return "", err
		}
		sets[i] = make(map[[2]int32]bool, len(pairs))
		for _, p := range pairs {
			sets[i][p] = true
		}
	}
	both := 0
	for p := range sets[0] {
		if sets[1][p] {
			both++
		}
	}
	return fmt.Sprintf("%.1f %% of %d neighbours", 100*float64(both)/float64(len(sets[1])), len(sets[1])), nil
}

// autoencoder trains the shallow autoencoder, alone.
func (r *modelsRun) autoencoder(ctx context.Context) error {
	folder := filepath.Join(r.folder, "catalogue")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := writePairs(folder, filmSite(r.Users, r.Catalogue, r.Pairs, 2)); err != nil {
		return err
	}
	a, err := r.ours(ctx, fitJob{Kind: "ease", Folder: folder, Params: paramsOf(map[string]any{"neighbours": 500})})
	if err != nil {
		return err
	}
	line := fmt.Sprintf("| EASE, %d items, %d users, %d pairs | %.1f | %.1f | %.0f | %.0f | 60 s, 4096 MB |\n", r.Catalogue, r.Users, r.Pairs, a.Total, a.Spent, a.PeakMB, a.BaseMB)
	fmt.Print(line)
	r.lines.WriteString(line)
	return nil
}
