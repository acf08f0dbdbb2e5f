package job

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"

	"github.com/attune-rec/attune/models/eval"
)

// OffPolicy estimates from a log of decisions what another policy would have
// earned.
type OffPolicy struct {
	File    string            `arg:"" help:"CSV of decisions with a header; .gz, .zst and .xz are unpacked." type:"existingfile"`
	Policy  string            `help:"The policy asked about: ${enum}. uniform: all actions alike; copy: as often as --learn chose each; greedy: the action that earned most in --learn; copy and greedy by position." enum:"uniform,copy,greedy" default:"uniform"`
	Learn   string            `help:"Log of decisions that copy and greedy are learnt from." placeholder:"FILE" type:"existingfile"`
	Columns map[string]string `help:"Columns of both files; position may be missing." mapsep:"," placeholder:"KEY=NAME" default:"action=item_id,position=position,reward=click,propensity=propensity_score"`
	Clip    float64           `help:"Weights above this count as this; 0 clips nothing." default:"0"`
	Seed    uint64            `help:"Seed of the intervals." default:"1"`
	Workers int               `help:"Goroutines at work at most; 0 takes all cores." default:"0"`
}

// Validate implements kong's check of flags that depend on one another.
func (o *OffPolicy) Validate() error {
	if (o.Learn != "") != (o.Policy != "uniform") {
		return fmt.Errorf("--policy %s and --learn do not go together: copy and greedy need --learn, uniform has no use for it", o.Policy)
	}
	for _, key := range []string{"action", "reward", "propensity"} {
		if o.Columns[key] == "" {
			return fmt.Errorf("--columns names no %s", key)
		}
	}
	for key := range o.Columns {
		if !slices.Contains([]string{"action", "position", "reward", "propensity"}, key) {
			return fmt.Errorf("--columns has %q: expected action, position, reward, propensity", key)
		}
	}
	if !(o.Clip >= 0) || o.Workers < 0 {
		return fmt.Errorf("--clip and --workers are %v and %d: expected 0 or more", o.Clip, o.Workers)
	}
	return nil
}

type offPolicyReport struct {
	Decisions int            `json:"decisions"`
	Actions   int            `json:"actions"`
	Policy    string         `json:"policy"`
	Logged    eval.Estimate  `json:"logged"` // what the log's own policy earned
	Estimates eval.Estimates `json:"estimates"`
}

// Run implements the command.
func (o *OffPolicy) Run(env *Env) error {
	var names decisionNames
	log, err := o.read(o.File, &names)
	if err != nil {
		return err
	}
	learn := &decisions{}
	if o.Learn != "" {
		if learn, err = o.read(o.Learn, &names); err != nil {
			return err
		}
	}
	actions := len(names.actions)
	policy := o.policy(log, learn, actions, len(names.positions))
	est, err := eval.OffPolicy(log.made, actions, policy, crossed(log, actions), o.Clip, o.Seed, o.Workers)
	if err != nil {
		return err
	}
	r := offPolicyReport{Decisions: len(log.made), Actions: actions, Policy: o.Policy, Estimates: est, Logged: log.earned(o.Seed, o.Workers)}
	if env.JSON {
		return env.WriteJSON(r)
	}
	fmt.Fprintf(env.Out, "%d decisions among %d actions; policy %s; largest weight %.3g, as precise as %.0f decisions of its own\n", r.Decisions, actions, o.Policy, est.MaxWeight, est.Effective)
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		name string
		e    eval.Estimate
	}{{"earned by the log's policy", r.Logged}, {"IPS", est.IPS}, {"SNIPS", est.SNIPS}, {"DR", est.DR}} {
		fmt.Fprintf(w, "%s\t%.5f [%.5f, %.5f]\n", line.name, line.e.Value, line.e.Low, line.e.High)
	}
	if est.Matched > 0 {
		fmt.Fprintf(w, "replay, %d decisions\t%.5f [%.5f, %.5f]\n", est.Matched, est.Replay.Value, est.Replay.Low, est.Replay.High)
	}
	return w.Flush()
}

// decisionNames numbers the actions and positions of all files read.
type decisionNames struct{ actions, positions map[string]int }

func number(of *map[string]int, name string) int {
	if *of == nil {
		*of = map[string]int{}
	}
	n, ok := (*of)[name]
	if !ok {
		n = len(*of)
		(*of)[name] = n
	}
	return n
}

// decisions is a log, and the position of each.
type decisions struct {
	made     []eval.Decision
	position []int
}

// read reads a log.
func (o *OffPolicy) read(path string, names *decisionNames) (*decisions, error) {
	in, err := openInput(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: header: %w", path, err)
	}
	at := map[string]int{}
	for key, name := range o.Columns {
		if at[key] = slices.Index(header, name); at[key] < 0 && key != "position" {
			return nil, fmt.Errorf("%s: no column %q for %s: give --columns %s=NAME", path, name, key, key)
		}
	}
	place, placed := at["position"]
	d := &decisions{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		e := eval.Decision{Action: number(&names.actions, row[at["action"]])}
		if e.Reward, err = strconv.ParseFloat(row[at["reward"]], 64); err == nil {
			e.Propensity, err = strconv.ParseFloat(row[at["propensity"]], 64)
		}
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("%s: line %d: %w", path, line, err)
		}
		position := ""
		if placed && place >= 0 {
			position = row[place]
		}
		d.made, d.position = append(d.made, e), append(d.position, number(&names.positions, position))
	}
	if len(d.made) == 0 {
		return nil, fmt.Errorf("%s: no decision in it", path)
	}
	return d, nil
}

func (d *decisions) earned(seed uint64, workers int) eval.Estimate {
	rewards, sum := make([]float64, len(d.made)), 0.
	for i, e := range d.made {
		rewards[i] = e.Reward
		sum += e.Reward
	}
	iv := eval.Intervals([][]float64{rewards}, seed, workers)[0]
	return eval.Estimate{Value: sum / float64(len(rewards)), Low: iv.Low, High: iv.High}
}

// policy is the one asked about, in the situations of log.
func (o *OffPolicy) policy(log, learn *decisions, actions, positions int) eval.Policy {
	chances := make([][]float64, positions)
	for p := range chances {
		chances[p] = make([]float64, actions)
		only := func(i int) bool { return learn.position[i] == p }
		count, reward, total := learn.tally(actions, only)
		best := 0
		rates := smooth(count, reward)
		for a := range chances[p] {
			if rates[a] > rates[best] {
				best = a
			}
			if total > 0 && o.Policy == "copy" {
				chances[p][a] = count[a] / total
			} else {
				chances[p][a] = 1 / float64(actions)
			}
		}
		if total > 0 && o.Policy == "greedy" {
			clear(chances[p])
			chances[p][best] = 1
		}
	}
	return func(i int, dst []float64) { copy(dst, chances[log.position[i]]) }
}

// tally counts the decisions and sums the rewards by action.
func (d *decisions) tally(actions int, use func(i int) bool) (count, reward []float64, total float64) {
	count, reward = make([]float64, actions), make([]float64, actions)
	for i, e := range d.made {
		if use(i) {
			count[e.Action]++
			reward[e.Action] += e.Reward
			total++
		}
	}
	return count, reward, total
}

// smooth is the mean reward of each action, drawn towards that of all by twenty
// decisions.
func smooth(count, reward []float64) []float64 {
	const prior = 20
	total, sum := 0., 0.
	for a := range count {
		total, sum = total+count[a], sum+reward[a]
	}
	out := make([]float64, len(count))
	for a := range out {
		out[a] = (reward[a] + prior*sum/max(total, 1)) / (count[a] + prior)
	}
	return out
}

// crossed expects of each action what it earned in the half of the log that the
// decision is not in, so that the model has never seen what it is asked about.
func crossed(log *decisions, actions int) eval.RewardModel {
	var halves [2][]float64
	for h := range halves {
		count, reward, _ := log.tally(actions, func(i int) bool { return i%2 != h })
		halves[h] = smooth(count, reward)
	}
	return func(i int, dst []float64) { copy(dst, halves[i%2]) }
}
