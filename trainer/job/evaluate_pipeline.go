package job

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/replay"
	"github.com/attune-rec/attune/trainer/retrain"
)

// validatePipeline checks the flags of a replay.
func (e *Evaluate) validatePipeline() error {
	switch {
	case !e.Pipeline:
		return errors.New("--data is for --pipeline: models are judged on files, with --train")
	case e.Dir == "":
		return errors.New("--pipeline replays the log of a shop: give --data DIR")
	case e.Train != "":
		return errors.New("--train is for judging models; --pipeline learns from the log of --data")
	case e.Release != "" && (len(e.Model) > 0 || len(e.Params) > 0 || e.Until != ""):
		return errors.New("--release is trained already: drop --model, --params and --train-until, or drop it")
	case e.LimitUsers < 0:
		return fmt.Errorf("--limit-users is %d: expected 0 or more", e.LimitUsers)
	}
	if err := e.check(); err != nil {
		return err
	}
	if err := e.validate(); err != nil {
		return err
	}
	if _, err := e.retraining(&e.Shelf, e.Seed); err != nil {
		return err
	}
	return e.Releases.Validate()
}

// runPipeline replays the last days of the log. A release must have learnt from
// earlier days only: without --release, one is trained so and thrown away.
func (e *Evaluate) runPipeline(env *Env) error {
	e.in(e.Dir)
	return e.read(env, func(st *store.Store) error {
		groups, err := e.groups(env, st, &e.Releases, FairGate{})
		if err != nil {
			return err
		}
		from, to, err := e.days(env, st)
		if err != nil {
			return err
		}
		report, err := e.replay(env, st, groups, from, to)
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
	})
}

// days is the window: from --train-until, or the last days of the log.
func (e *Evaluate) days(env *Env, st *store.Store) (from, to time.Time, err error) {
	bar := env.Progress("read the log")
	defer bar.Done()
	err = st.Scan(env.Ctx, e.shop(), 0, 0, func(ev *features.Event) error {
		if ev.Time.After(to) {
			to = ev.Time
		}
		return nil
	})
	if err != nil {
		return from, to, err
	}
	if to.IsZero() {
		return from, to, fmt.Errorf("%w: shop %s has no events in %s: import some first", replay.ErrNothing, e.Shop, e.Dir)
	}
	if from, err = e.until(); err == nil && from.IsZero() {
		from = to.Add(-e.window())
	}
	return from, to.Add(time.Millisecond), err
}

func (e *Evaluate) replay(env *Env, st *store.Store, groups []replay.Group, from, to time.Time) (*replay.Report, error) {
	if e.Release != "" {
		var report *replay.Report
		err := e.with(env, func(rs release.Store) (err error) {
			report, err = e.answer(env, st, rs, e.Release, groups, from, to)
			return err
		})
		return report, err
	}
	dir, err := os.MkdirTemp("", "attune-evaluate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	rs, err := release.OpenStore(env.Ctx, dir, "")
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	plan, err := e.retraining(&e.Shelf, e.Seed)
	if err != nil {
		return nil, err
	}
	plan.Until, plan.Blind = from, true
	out, err := retrain.Run(env.Ctx, st, e.shop(), rs, plan, env.watch)
	if err != nil {
		return nil, fmt.Errorf("train on the log before %s: %w", from.Format(time.RFC3339), err)
	}
	return e.answer(env, st, rs, out.Version, groups, from, to)
}

func (e *Evaluate) answer(env *Env, st *store.Store, rs release.Store, version string, groups []replay.Group, from, to time.Time) (*replay.Report, error) {
	r, err := release.Open(env.Ctx, rs, e.shop(), version, kinds)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	subject, err := replay.Of(r, e.Surface, from)
	if err != nil {
		return nil, err
	}
	bar := env.Progress("replay " + e.Surface)
	defer bar.Done()
	return replay.Run(env.Ctx, st, e.shop(), subject, replay.Options{
		From: from, To: to, Max: e.LimitUsers, Seed: e.Seed, Workers: e.Workers, Reasons: e.Reasons, Groups: groups,
		Progress: func(done, total int) { bar.Step(done, total, "") },
	})
}
