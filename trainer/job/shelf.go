package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/trainer/retrain"
)

// Shelf is the flags of learning from the log of a shop.
type Shelf struct {
	Dir    string  `name:"data" help:"Data directory of the shop's store, which is read beside a running server." type:"existingdir" placeholder:"DIR"`
	Until  string  `name:"train-until" help:"Learn from what happened before this time only: a date, or a time such as 2026-11-22T00:00:00Z." placeholder:"TIME"`
	Last   float64 `name:"window-days" help:"Length of the test, and of the validation before it, in the log of --data." default:"30"`
	Ranker string  `help:"What ranks the home page: learnt on replayed requests, where that is better than any model alone on validation, or hybrid." enum:"learnt,hybrid" default:"learnt"`
	Beside bool    `name:"compare-rankers" help:"Judge the hybrid and a ranker without signals beside the learnt one."`
}

// unused reports flags that do nothing without --data.
func (s *Shelf) unused() error {
	if s.Until != "" {
		return errors.New("--train-until is for the log of a shop: give --data DIR")
	}
	return nil
}

func (s *Shelf) validate() error {
	if !(s.Last > 0) {
		return fmt.Errorf("--window-days is %v: expected above 0", s.Last)
	}
	_, err := s.until()
	return err
}

// until is the time before which is learnt; zero for none.
func (s *Shelf) until() (time.Time, error) {
	if s.Until == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s.Until); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--train-until is %q: expected a date such as 2026-11-22, or a time such as 2026-11-22T00:00:00Z", s.Until)
}

func (s *Shelf) window() time.Duration { return time.Duration(s.Last * 24 * float64(time.Hour)) }

// read opens the store for the time of f, beside whoever writes to it.
func (s *Shelf) read(env *Env, f func(st *store.Store) error) error {
	st, err := store.OpenReader(env.Ctx, store.Options{Dir: s.Dir, Logger: env.Log})
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return errors.Join(f(st), st.Close())
}

// standard is the models of a shop's release where none are named.
func standard() []string {
	all := retrain.Default().Models
	names := make([]string, 0, len(all))
	for _, s := range all {
		names = append(names, s.Name+"="+s.Kind)
	}
	return names
}

// retraining is the plan of a release that the flags ask for.
func (m *Models) retraining(s *Shelf, seed uint64) (retrain.Plan, error) {
	named := *m
	if len(named.Model) == 0 {
		named.Model = standard()
	}
	of, err := named.plan()
	if err != nil {
		return retrain.Plan{}, err
	}
	plan := retrain.Default()
	plan.Models, plan.Seed, plan.Workers, plan.Weights, plan.Window = nil, seed, m.Workers, m.Weight, s.window()
	plan.Learnt, plan.Compare = s.Ranker != "hybrid", s.Beside
	if plan.Until, err = s.until(); err != nil {
		return plan, err
	}
	var simple []string
	hybrid := false
	for _, one := range of.specs {
		add := retrain.Spec{Name: one.name, Kind: one.kind.Name}
		if len(one.params) > 0 {
			if add.Params, err = json.Marshal(one.params); err != nil {
				return plan, err
			}
		}
		if one.kind.Parts == nil {
			simple = append(simple, one.name)
		} else if add.Parts = m.Parts; len(add.Parts) == 0 {
			add.Parts = simple
		}
		hybrid = hybrid || one.name == pipeline.ModelHybrid
		plan.Models = append(plan.Models, add)
	}
	if !hybrid { // the surfaces rank by what there is
		plan.Recipes = pipeline.Defaults()
	}
	return plan, plan.Validate()
}
