package job

import (
	"errors"
	"fmt"

	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/retrain"
)

// retrained is the result of fit on the log of a shop.
type retrained struct {
	*retrain.Outcome
	Shop    string           `json:"shop"`
	To      string           `json:"to"`
	Serving *release.Serving `json:"serving,omitempty"`
	PeakRSS int64            `json:"peak_rss_bytes"`
}

// validateLog checks the flags of training on a log.
func (f *Fit) validateLog() error {
	if f.Train != "" {
		return errors.New("--train and --data are two things to learn from: give one")
	}
	if f.Workers < 0 {
		return fmt.Errorf("--workers is %d: expected 0 or more", f.Workers)
	}
	if err := f.validate(); err != nil {
		return err
	}
	if f.Until != "" && f.Promote {
		return errors.New("--train-until makes a release that lacks the newest events, to judge with: it is not to be promoted by the same command")
	}
	if _, err := f.retraining(&f.Shelf, f.Seed); err != nil {
		return err
	}
	if _, err := f.limits(); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	return f.Releases.Validate()
}

// runLog trains on the log of a shop. Whatever the gate says, the release is
// kept; promoted it is only when the gate lets it pass, or by force.
func (f *Fit) runLog(env *Env) error {
	plan, err := f.retraining(&f.Shelf, f.Seed)
	if err != nil {
		return err
	}
	f.in(f.Dir)
	return f.read(env, func(st *store.Store) error {
		if plan.Groups, err = f.groups(env, st, &f.Releases, f.FairGate); err != nil {
			return err
		}
		return f.with(env, func(to release.Store) (err error) {
			if f.Promote {
				if plan.Rival, err = retrain.Served(env.Ctx, to, f.shop(), kinds); err != nil {
					return err
				}
			}
			if f.Warm {
				if plan.Last, err = retrain.Last(env.Ctx, to, f.shop(), kinds); err != nil {
					return err
				}
				if plan.Last != nil {
					defer func() { err = errors.Join(err, plan.Last.Close()) }()
				}
			}
			out, err := retrain.Run(env.Ctx, st, f.shop(), to, plan, env.watch)
			if err != nil {
				return err
			}
			done := retrained{Outcome: out, Shop: f.Shop, To: f.Store}
			refused := errors.Join(out.Allow(), f.allow(env, to, &f.Releases, out.Version))
			if f.Promote && (refused == nil || f.Force) {
				if done.Serving, err = f.promoteVerified(env, to, out.Manifest, true, f.because(out)); err != nil {
					return err
				}
				refused = nil
			}
			done.PeakRSS = peakRSS()
			return errors.Join(done.write(env), refused)
		})
	})
}

// because is the change with what the gate found, for the history.
func (f *Fit) because(out *retrain.Outcome) release.Change {
	c := f.change()
	if out.Gate == nil {
		return c
	}
	why := out.Gate.String()
	if out.Gate.Worse {
		why += ", forced"
	}
	if c.Reason != "" {
		why = c.Reason + "; " + why
	}
	c.Reason = why
	return c
}

func (r *retrained) write(env *Env) error {
	if env.JSON {
		return env.WriteJSON(r)
	}
	tellTraining(env.Out, r.Outcome)
	if r.Serving != nil {
		return writeServing(env, *r.Serving)
	}
	_, err := fmt.Fprintf(env.Out, "kept in %s; 'trainer promote --releases %s --shop %s %s' serves it\n", r.To, r.To, r.Shop, r.Version)
	return err
}

// watch shows the stages of a retraining.
func (e *Env) watch(stage string) retrain.Step { return e.Progress(stage) }
