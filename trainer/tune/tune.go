// Package tune searches a kind's parameters on validation data by successive
// halving (Jamieson, Talwalkar 2016): many settings are tried on a few users,
// the better part of them on more, the best on all. A search that ends early
// goes on where it was.
//
// It imports models and what lies below. Start reading at Run.
package tune

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
)

// Search is what is searched, and how.
type Search struct {
	Kind     models.Kind
	Train    *dataset.Dataset
	Validate *dataset.Dataset   // what is to be found; it has the users and items of Train
	Fixed    map[string]any     // parameters that are not varied
	Weights  map[string]float64 // of event types
	Metric   eval.Metric
	Trials   int // settings tried in the first round, the defaults among them
	Keep     int // one in so many goes on to the next round, on so many times the users; at least 2
	Parallel int // trials at a time
	Workers  int // goroutines of each at most; 0: all cores
	Seed     uint64
	State    string // file that the search goes on from and is kept in; "": none
	// Kinds finds the kinds of a composite's parts.
	Kinds    func(name string) (models.Kind, error)
	Progress func(done, total int, best float64)
}

// Trial is one setting in one round.
type Trial struct {
	Setting int            `json:"setting"` // 0: the defaults
	Round   int            `json:"round"`   // from 0
	Users   int            `json:"users"`   // whose histories were trained on
	Params  map[string]any `json:"params"`
	Value   float64        `json:"value"` // of the metric; 0 with an error
	Seconds float64        `json:"seconds"`
	Error   string         `json:"error,omitempty"` // why the setting cannot be fitted
}

// Outcome is what a search found.
type Outcome struct {
	Kind     string         `json:"kind"`
	Metric   string         `json:"metric"`
	Best     map[string]any `json:"best"`
	Value    float64        `json:"value"`    // of the best, on all users
	Defaults float64        `json:"defaults"` // the same of the defaults
	Resumed  int            `json:"resumed"`  // trials that were done before
	Trials   []Trial        `json:"trials"`   // by round, then setting
}

// Check reports with models.ErrParams what is wrong.
func (s *Search) Check() error {
	if len(s.Kind.Space) == 0 {
		return fmt.Errorf("%w: %s has nothing to vary", models.ErrParams, s.Kind.Name)
	}
	for _, c := range []struct {
		name      string
		v, lo, hi float64
	}{{"trials", float64(s.Trials), 2, 1e5}, {"keep", float64(s.Keep), 2, 100}, {"parallel", float64(s.Parallel), 1, 1024}} {
		if err := models.CheckRange(c.name, c.v, c.lo, c.hi); err != nil {
			return err
		}
	}
	if s.Metric.K == 0 && s.Metric.Name == "" {
		return fmt.Errorf("%w: no metric to search by", models.ErrParams)
	}
	return nil
}

// Run searches. The outcome is the same for the same search, whether it was
// interrupted or not, and for any number of trials at a time.
func Run(ctx context.Context, s Search) (*Outcome, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	st, err := openState(&s)
	if err != nil {
		return nil, err
	}
	resumed := len(st.Trials)
	sizes := s.rounds()
	total := 0
	for _, n := range sizes {
		total += n
	}
	settings := make([]int, s.Trials)
	for i := range settings {
		settings[i] = i
	}
	var last []Trial
	before := 0
	for round := range sizes {
		train, validate := s.share(round, len(sizes))
		if last, err = s.round(ctx, st, round, settings, train, validate, before, total); err != nil {
			return nil, err
		}
		before += len(settings)
		if round+1 < len(sizes) {
			settings = survivors(last, sizes[round+1])
		}
	}
	out := &Outcome{Kind: s.Kind.Name, Metric: s.Metric.String(), Resumed: resumed, Trials: st.sorted()}
	best := ranked(last)[0]
	if best.Error != "" {
		return nil, fmt.Errorf("tune %s: no setting could be fitted: %s", s.Kind.Name, best.Error)
	}
	out.Best, out.Value = best.Params, best.Value
	for _, t := range last {
		if t.Setting == 0 {
			out.Defaults = t.Value
		}
	}
	return out, nil
}

// rounds is the number of settings of each round; the last has at most Keep
// and the defaults.
func (s *Search) rounds() []int {
	sizes := []int{s.Trials}
	for n := s.Trials; n > s.Keep; {
		n = (n + s.Keep - 1) / s.Keep
		sizes = append(sizes, max(n, 2))
	}
	return sizes
}

// survivors are the settings that go on: the best, and always the defaults, so
// that a search ends with what it gains over them.
func survivors(trials []Trial, n int) []int {
	var out []int
	for _, t := range ranked(trials) {
		if len(out) < n && t.Error == "" {
			out = append(out, t.Setting)
		}
	}
	if !slices.Contains(out, 0) {
		if len(out) == n {
			out = out[:n-1]
		}
		out = append(out, 0)
	}
	slices.Sort(out)
	return out
}

// ranked is trials by value, ties by setting, those that failed last.
func ranked(trials []Trial) []Trial {
	out := slices.Clone(trials)
	slices.SortStableFunc(out, func(a, b Trial) int {
		if (a.Error == "") != (b.Error == "") {
			if a.Error == "" {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Setting, b.Setting))
	})
	return out
}

// share is the data of a round: the last has everyone, each before it one in
// Keep of the next.
func (s *Search) share(round, rounds int) (train, validate *dataset.Dataset) {
	if round == rounds-1 {
		return s.Train, s.Validate
	}
	part := math.Pow(float64(s.Keep), float64(round+1-rounds))
	rng := rand.New(rand.NewPCG(s.Seed, 0x7e57))
	in := make([]bool, s.Train.NumUsers())
	for u := range in {
		in[u] = rng.Float64() < part // rounds nest: a user's draw is the same in each
	}
	keep := func(u int, _ int64) bool { return in[u] }
	return s.Train.Keep(keep), s.Validate.Keep(keep)
}

func (s *Search) round(ctx context.Context, st *state, round int, settings []int, train, validate *dataset.Dataset, before, total int) ([]Trial, error) {
	users := 0
	for u := range train.Users {
		if len(train.History(u)) > 0 {
			users++
		}
	}
	out := make([]Trial, len(settings))
	var group sync.WaitGroup
	slots := make(chan struct{}, s.Parallel)
	var lock sync.Mutex
	var failures []error
	done, best := before, 0.
	var open []int // places in settings
	for i, setting := range settings {
		if t, ok := st.find(setting, round); ok {
			out[i] = t
			done, best = done+1, max(best, t.Value)
			continue
		}
		open = append(open, i)
	}
	for _, i := range open {
		setting := settings[i]
		slots <- struct{}{}
		group.Add(1)
		go func() {
			defer group.Done()
			defer func() { <-slots }()
			t, err := s.try(ctx, Trial{Setting: setting, Round: round, Users: users, Params: draw(s.Kind.Space, s.Fixed, s.Seed, setting)}, train, validate)
			lock.Lock()
			defer lock.Unlock()
			if err == nil {
				out[i] = t
				err = st.add(t)
			}
			if err != nil {
				failures = append(failures, err)
				return
			}
			done, best = done+1, max(best, t.Value)
			if s.Progress != nil {
				s.Progress(done, total, best)
			}
		}()
	}
	group.Wait()
	return out, errors.Join(failures...)
}

// try fits and judges one setting. Parameters that the kind refuses are the
// trial's error; what else goes wrong ends the search.
func (s *Search) try(ctx context.Context, t Trial, train, validate *dataset.Dataset) (Trial, error) {
	start := time.Now()
	raw, err := json.Marshal(t.Params)
	if err != nil {
		return t, err
	}
	if err := ctx.Err(); err != nil {
		return t, err
	}
	m, err := s.Kind.Fit(ctx, models.FitInput{Train: train, Params: raw, Seed: s.Seed, Workers: s.Workers, Weights: s.Weights, Kinds: s.Kinds})
	if errors.Is(err, models.ErrParams) {
		t.Error = err.Error()
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("tune %s, setting %d: %w", s.Kind.Name, t.Setting, err)
	}
	task := eval.Task{History: train, Test: validate}
	o := eval.Options{Metrics: []eval.Metric{s.Metric}, Workers: s.Workers, Seed: s.Seed}
	cases, err := eval.Plan(task, o)
	if err != nil {
		return t, err
	}
	res, err := eval.Run(ctx, m, task, cases, o)
	if err != nil {
		return t, err
	}
	t.Value, t.Seconds = res.Whole[0], time.Since(start).Seconds()
	return t, nil
}
