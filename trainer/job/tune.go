package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/trainer/tune"
)

// Tune searches a model's parameters on validation data.
type Tune struct {
	Data     `embed:""`
	Model    string             `help:"Kind to tune." placeholder:"KIND" required:""`
	Params   []string           `help:"A parameter that is not varied: ials.factors=128; several by repeating the flag." sep:"none" placeholder:"KIND.PARAM=VALUE"`
	Weight   map[string]float64 `help:"Weight of an event type: view=0.2,purchase=1." mapsep:"," placeholder:"TYPE=WEIGHT"`
	Metric   string             `help:"Metric to search by." default:"ndcg@20"`
	Trials   int                `help:"Settings tried in the first round, the defaults among them." default:"27"`
	Keep     int                `help:"One in so many settings goes on to the next round, on so many times the users." default:"3"`
	Parallel int                `help:"Trials at a time." default:"1"`
	Workers  int                `help:"Goroutines of a trial at most; 0 takes all cores." default:"0"`
	State    string             `help:"File that the search is kept in, and goes on from." placeholder:"FILE"`
}

// Validate implements kong's check of flags that depend on one another.
func (t *Tune) Validate() error {
	if t.Split == "" {
		t.Split = string(dataset.Given)
	}
	if t.Valid == "" && t.HoldOut == "" {
		t.HoldOut = "random:0.2"
	}
	if err := t.Data.Validate(); err != nil {
		return err
	}
	_, err := t.search()
	return err
}

// search is the search without its data.
func (t *Tune) search() (*tune.Search, error) {
	flags := Models{Model: []string{t.Model}, Params: t.Params, Weight: t.Weight, Workers: t.Workers}
	if strings.ContainsAny(t.Model, "=,") {
		return nil, fmt.Errorf("--model is %q: expected one kind", t.Model)
	}
	if err := flags.Validate(); err != nil {
		return nil, err
	}
	p, err := flags.plan()
	if err != nil {
		return nil, err
	}
	metrics, err := eval.ParseMetrics([]string{t.Metric})
	if err != nil {
		return nil, err
	}
	s := &tune.Search{
		Kind: p.specs[0].kind, Fixed: p.specs[0].params, Weights: t.Weight, Metric: metrics[0], Trials: t.Trials, Keep: t.Keep,
		Parallel: t.Parallel, Workers: t.Workers, Seed: t.Seed, State: t.State, Kinds: kind.Of,
	}
	return s, s.Check()
}

// Run implements the command.
func (t *Tune) Run(env *Env) error {
	s, err := t.search()
	if err != nil {
		return err
	}
	split, err := t.load(env)
	if err != nil {
		return err
	}
	if s.Train, s.Validate = split.Train, split.Validate; s.Validate == nil {
		return errors.New("nothing to choose by: give --validate or --hold-out")
	}
	bar := env.Progress("tune " + t.Model)
	s.Progress = func(done, total int, best float64) { bar.Step(done, total, fmt.Sprintf("best %.4f", best)) }
	out, err := tune.Run(env.Ctx, *s)
	bar.Done()
	if err != nil {
		return err
	}
	if env.JSON {
		return env.WriteJSON(out)
	}
	best, err := json.Marshal(out.Best)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out, "%s: %s %.4f with %s; %.4f with the defaults\n", out.Kind, out.Metric, out.Value, best, out.Defaults)
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "round\tusers\tsetting\t%s\tseconds\tparameters\n", out.Metric)
	for _, trial := range out.Trials {
		params, err := json.Marshal(trial.Params)
		if err != nil {
			return err
		}
		value := fmt.Sprintf("%.4f", trial.Value)
		if trial.Error != "" {
			value = trial.Error
		}
		fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%.1f\t%s\n", trial.Round+1, trial.Users, trial.Setting, value, trial.Seconds, params)
	}
	return w.Flush()
}
