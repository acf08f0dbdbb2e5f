package job

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// Evaluate trains models and judges them on held-out data, or replays the log
// of a shop through the pipeline that serves.
type Evaluate struct {
	Data        `embed:""`
	Models      `embed:""`
	Releases    `embed:""`
	Shelf       `embed:""`
	FairBy      `embed:""`
	Pipeline    bool     `help:"Judge the answers of a surface: replay the last days of the log of --data through its pipeline."`
	Surface     string   `help:"The surface whose answers are judged, with --pipeline." default:"home"`
	Release     string   `help:"The release that answers, with --pipeline; one is trained on the log before those days when none is given." placeholder:"VERSION"`
	Metric      []string `help:"Metrics: recall, ndcg, hr, precision, map, mrr, novelty, diversity, serendipity, calibration, coverage, gini with @K; auc and mrr without." default:"recall@20,ndcg@20,hr@10,ndcg@10"`
	KeepSeen    bool     `help:"A second table in which items of the shopper's history are ranked as well."`
	NewOnly     bool     `help:"Rank only the items that nobody had in training: how well new items are told apart."`
	NewShoppers []int    `help:"Judge on shoppers of whom training knew nothing, after so many of their events each: 0,1,2,5." placeholder:"EVENTS"`
	LimitUsers  int      `help:"Judge on a seeded sample of so many cases; 0 takes all." default:"0"`
	History     int      `help:"Interactions of a shopper that a request shows, the newest; 0 as many as are served, -1 all." default:"0"`
	Compare     string   `help:"Show the paired difference of this model to each other one; the last of --model when there are several, \"none\" for no comparison." placeholder:"MODEL"`
	Segments    bool     `help:"Also by length of history, market and new items." default:"true" negatable:""`
	HTML        string   `help:"Write the report as a page to this file as well." placeholder:"FILE"`
	Ties        string   `help:"Where a positive comes among sampled candidates of equal score: last, row, first or drawn; drawn also ranks the items of a catalogue in a drawn order within equal scores, and not by row. Last is the default, drawn with --new-only, where most scores of what knows nothing are equal." enum:",last,row,first,drawn" default:""`
	On          string   `help:"Judge on: ${enum}." enum:"test,validate" default:"test"`
	Reasons     int      `name:"test-reasons" help:"With --pipeline: put so many reasons to the test by ranking again without what they rest on." default:"0"`
}

// Validate implements kong's check of flags that depend on one another.
func (e *Evaluate) Validate() error {
	if e.Pipeline || e.Dir != "" {
		return e.validatePipeline()
	}
	if err := e.given(&e.Models); err != nil {
		return err
	}
	if err := e.unused(); err != nil {
		return err
	}
	if len(e.Fairness) > 0 {
		return errors.New("--fairness compares the answers of a surface: give --pipeline and --data DIR")
	}
	if err := e.Data.Validate(); err != nil {
		return err
	}
	if err := e.Models.Validate(); err != nil {
		return err
	}
	if _, err := eval.ParseMetrics(e.Metric); err != nil {
		return err
	}
	for _, n := range e.NewShoppers {
		if n < 0 {
			return fmt.Errorf("--new-shoppers has %d: expected 0 or more", n)
		}
	}
	if e.LimitUsers < 0 {
		return fmt.Errorf("--limit-users is %d: expected 0 or more", e.LimitUsers)
	}
	return nil
}

// Run implements the command.
func (e *Evaluate) Run(env *Env) error {
	if e.Pipeline {
		return e.runPipeline(env)
	}
	judge := e.evaluate
	if len(e.NewShoppers) > 0 {
		judge = e.newShoppers
	}
	report, err := judge(env)
	if err != nil {
		return err
	}
	if e.HTML != "" {
		if err := writeFile(e.HTML, report.WriteHTML); err != nil {
			return err
		}
	}
	if env.JSON {
		return env.WriteJSON(report)
	}
	return report.WriteText(env.Out)
}

func (e *Evaluate) evaluate(env *Env) (*eval.Report, error) {
	p, err := e.plan()
	if err != nil {
		return nil, err
	}
	split, err := e.load(env)
	if err != nil {
		return nil, err
	}
	task, err := e.task(split)
	if err != nil {
		return nil, err
	}
	metrics, err := eval.ParseMetrics(e.Metric)
	if err != nil {
		return nil, err
	}
	options := eval.Options{Metrics: metrics, History: e.History, Workers: e.Workers, MaxCases: e.LimitUsers, Seed: e.Seed, Ties: e.ties()}
	cases, err := eval.Plan(task, options)
	if err != nil {
		return nil, err
	}
	report := &eval.Report{Dataset: e.summary(task, cases, split)}
	training := newTraining(env, split, &e.Models, p, e.Seed)
	for _, s := range p.specs {
		f, err := training.fit(s)
		if err != nil {
			return nil, err
		}
		entry, err := e.judge(env, f, task, cases, options)
		if err != nil {
			return nil, err
		}
		report.Models = append(report.Models, *entry)
	}
	base := e.Compare
	if base == "" && len(p.specs) > 1 {
		base = p.specs[len(p.specs)-1].name
	}
	if base != "" && base != "none" {
		if err := report.Compare(base, e.Seed, e.Workers); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// ties is the rule of equal scores. The order of rows is that of the files, in
// which items that many have tend to come early: new items ranked by it would
// be ranked by what is to be found.
func (e *Evaluate) ties() eval.Ties {
	if e.Ties == "" && e.NewOnly {
		return eval.TiesDrawn
	}
	return eval.Ties(e.Ties)
}

// task is what is judged on: requests on the test see validation as history.
func (e *Evaluate) task(s *dataset.Split) (eval.Task, error) {
	if e.On == "validate" {
		if s.Validate == nil {
			return eval.Task{}, fmt.Errorf("nothing to judge on: give --validate, --hold-out or --split leave-one-out")
		}
		return eval.Task{History: s.Train, Test: s.Validate}, nil
	}
	if s.Test == nil {
		return eval.Task{}, fmt.Errorf("nothing to judge on: give --test, --negatives or another --split")
	}
	t := eval.Task{History: s.Train, Test: s.Test, Negatives: s.Negatives}
	if s.Validate != nil {
		t.History = dataset.Join(s.Train, s.Validate)
	}
	return t, nil
}

func (e *Evaluate) summary(t eval.Task, c *eval.Cases, s *dataset.Split) eval.Summary {
	sum := eval.Summarise(t, c)
	sum.Name, sum.Split, sum.Seed, sum.Remarks = filepath.Base(e.Train), string(e.method()), e.Seed, s.Remarks
	sum.Train = len(s.Train.Log)
	if e.NewOnly {
		sum.Remarks = append(slices.Clone(sum.Remarks), "only items that nobody had in training are ranked; of equal scores: "+string(e.ties()))
	}
	if s.Validate != nil {
		sum.Validate = len(s.Validate.Log)
	}
	return sum
}

func (e *Evaluate) judge(env *Env, f *fitted, t eval.Task, c *eval.Cases, o eval.Options) (*eval.Entry, error) {
	bar := env.Progress("evaluate " + f.name)
	defer bar.Done()
	o.Progress = func(done, total int) { bar.Step(done, total, "") }
	var model models.Scorer = f.model
	if e.NewOnly {
		model = newOnly(f.model, t.History)
	}
	res, err := eval.Run(env.Ctx, model, t, c, o)
	if err != nil {
		return nil, fmt.Errorf("evaluate %s: %w", f.name, err)
	}
	var kept *eval.Result
	if e.KeepSeen && t.Negatives == nil {
		o.KeepSeen = true
		all, err := eval.Plan(t, o)
		if err != nil {
			return nil, err
		}
		if kept, err = eval.Run(env.Ctx, model, t, all, o); err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", f.name, err)
		}
	}
	entry := &eval.Entry{
		Name: f.name, Kind: f.kind.Name, Params: f.raw, Parts: f.parts,
		Account: f.account, FitCPU: f.cpu.Seconds(), FitWall: f.wall.Seconds(), PeakRSS: f.peakRSS,
	}
	entry.Fill(res, kept, e.Seed, e.Workers)
	if e.Segments {
		entry.Segments = eval.Segments(t, c, res)
	}
	return entry, nil
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
