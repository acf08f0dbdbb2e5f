package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/replay"
)

// ErrWorse is returned for a release that answers worse than the one served.
var ErrWorse = errors.New("the new release answers worse than the one served")

// Rival is the served release as a plan: the gate trains it anew on the log
// before the window, so that neither side has seen the answers and both are
// asked the same.
type Rival struct {
	Version string
	Plan    Plan
}

// Last is the release that the shop's shoppers receive, to be closed by the
// caller; nil when nothing is served yet.
func Last(ctx context.Context, st release.Store, shop features.ShopID, kinds release.Kinds) (*release.Release, error) {
	state, err := release.Current(ctx, st, shop)
	if errors.Is(err, release.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := release.Open(ctx, st, shop, state.Stable, kinds)
	if err != nil {
		return nil, fmt.Errorf("open what is served: %w", err)
	}
	return r, nil
}

// Served is the release that the shop's shoppers receive, as a rival; nil when
// nothing is served yet.
func Served(ctx context.Context, st release.Store, shop features.ShopID, kinds release.Kinds) (_ *Rival, err error) {
	r, err := Last(ctx, st, shop, kinds)
	if r == nil || err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rival := &Rival{Version: r.Version(), Plan: Default()}
	p, lineage := &rival.Plan, &r.Manifest.Lineage
	p.Learnt = false
	p.Recipes, p.Models, p.Seed, p.Weights = r.Recipes, nil, lineage.Seed, lineage.EventWeights
	for _, part := range r.Models() {
		s := Spec{Name: part.Name, Kind: part.Model.Kind()}
		if given := lineage.Parameters[part.Name]; given != nil {
			if s.Params, err = json.Marshal(given); err != nil {
				return nil, err
			}
		}
		if c, ok := part.Model.(models.Composite); ok {
			for _, own := range c.Parts() {
				s.Parts = append(s.Parts, own.Name)
			}
		}
		p.Models = append(p.Models, s)
	}
	return rival, nil
}

// Verdict is what the gate found: the answers of the new plan less those of
// what is served, over the same sessions.
type Verdict struct {
	Served     string  `json:"served"`
	Metric     string  `json:"metric"`
	Compared   bool    `json:"compared"` // else Note says why not
	Difference float64 `json:"difference"`
	Low        float64 `json:"low"` // of the paired 95 % interval
	High       float64 `json:"high"`
	Worse      bool    `json:"worse"` // the interval is below 0
	Note       string  `json:"note,omitempty"`
}

// String is the verdict in one line, for the history of what was served.
func (v *Verdict) String() string {
	if !v.Compared {
		return fmt.Sprintf("gate: not compared with %s: %s", v.Served, v.Note)
	}
	return fmt.Sprintf("gate: %s %+.4f [%+.4f, %+.4f] against %s", v.Metric, v.Difference, v.Low, v.High, v.Served)
}

// Allow reports ErrWorse when the gate keeps the release from being promoted.
func (o *Outcome) Allow() error {
	if o.Gate == nil || !o.Gate.Worse {
		return nil
	}
	return fmt.Errorf("%w: %s: release %s is kept and not promoted; look at it with 'trainer releases', or promote it all the same with --force",
		ErrWorse, o.Gate, o.Version)
}

// field is what both sides of a contest are given.
type field struct {
	items    *catalog.Snapshot
	before   *dataset.Dataset // the window
	from, to time.Time        // of the window, both inclusive
}

// contest judges the answers of the plan's surface, and the gate where there is
// one.
func (p *Plan) contest(ctx context.Context, store Store, shop features.ShopID, f field, judged []models.Part, out *Outcome, watch Watch) error {
	recipe, ok := p.recipe(p.Surface)
	if !ok {
		return fmt.Errorf("%w: there is none for surface %q, whose answers are judged", models.ErrRecipe, p.Surface)
	}
	report, err := p.answer(ctx, store, shop, f, replay.Subject{Name: "the new plan", Items: f.items, Models: judged, Recipe: recipe}, watch)
	if errors.Is(err, replay.ErrNothing) {
		out.Remarks = append(out.Remarks, fmt.Sprintf("answers were not judged: %v", err))
		return nil
	}
	if err != nil {
		return err
	}
	out.Pipeline = report
	if err := p.compare(ctx, store, shop, f, judged, report, out, watch); err != nil {
		return err
	}
	if p.Rival == nil {
		return nil
	}
	v := &Verdict{Served: p.Rival.Version, Metric: p.Headline}
	if _, ok := report.New[v.Metric]; !ok { // answers are ten items long
		v.Metric = "ndcg@10"
	}
	out.Gate = v
	recipe, ok = p.Rival.Plan.recipe(p.Surface)
	if !ok {
		v.Note = fmt.Sprintf("it has no surface %q", p.Surface)
		return nil
	}
	rival := p.Rival.Plan
	rival.Workers = p.Workers
	parts, err := rival.fit(ctx, f.before, nil, nil, named(watch, "what is served, to compare: "))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		v.Note = fmt.Sprintf("it cannot be trained anew: %v", err)
		return nil
	}
	other, err := p.answer(ctx, store, shop, f, replay.Subject{Name: v.Served, Items: f.items, Models: parts, Recipe: recipe}, watch)
	if err != nil {
		return err
	}
	var d eval.Comparison
	if d, err = replay.Difference(report, other, v.Metric, p.Seed, p.Workers); err != nil {
		return err
	}
	v.Compared, v.Difference, v.Low, v.High, v.Worse = true, d.Difference, d.Low, d.High, d.High < 0
	return nil
}

func (p *Plan) answer(ctx context.Context, store Store, shop features.ShopID, f field, s replay.Subject, watch Watch) (*replay.Report, error) {
	step := watch("replay " + p.Surface + " with " + s.Name)
	defer step.Done()
	return replay.Run(ctx, store, shop, s, replay.Options{
		From: f.from, To: f.to.Add(time.Millisecond), Max: p.Judged, Seed: p.Seed, Workers: p.Workers, Groups: p.Groups,
		Progress: func(done, total int) { step.Step(done, total, "") },
	})
}
