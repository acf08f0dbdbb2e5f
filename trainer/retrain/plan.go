// Package retrain makes a release out of a store: it replays the log, chooses
// the weights of the hybrid on the days before the last, judges on the last
// days, trains on everything and publishes.
//
// It imports features and models. Start reading at Run.
package retrain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/trainer/replay"
)

// Spec is one model of a plan.
type Spec struct {
	Name   string
	Kind   string
	Params json.RawMessage // empty: the kind's defaults
	Parts  []string        // of a composite, by name; they come before it. None: it chooses its own
}

// Plan is what a release is made of.
type Plan struct {
	Models   []Spec
	Recipes  []models.Recipe
	Window   time.Duration // the length of the test, and of the validation before it
	Weights  map[string]float64
	Seed     uint64
	Workers  int
	Metrics  []string
	Headline string // the metric by which parts and hybrid are compared, and the gate decides

	Until   time.Time      // learn from what happened before, as if it were today; zero: from all
	Blind   bool           // judge nothing: weights are chosen on the last window, and all else is left to others
	Surface string         // whose answers are judged and pass the gate; "": none
	Judged  int            // purchase sessions whose answers are judged, a seeded sample; 0: all
	Learnt  bool           // rank the surface by a ranker learnt on the validation window, where it is better there than any model alone
	Signals []string       // that the ranker sees, by name; nil: all
	Compare bool           // judge the answers of the hybrid and of the ranker without signals too
	Groups  []replay.Group // by which the answers of the surface are compared
	Rival   *Rival         // what is served, for the gate; nil: there is no gate
	// Last is a release from whose models those of the new one start, where a kind
	// can and names and lengths of vectors are the same; nil: all start anew. What
	// is judged starts anew always: the last release has seen the answers.
	Last *release.Release

	was []features.Row // of each item in Last, while the release itself is fitted
}

// Default is the plan of a shop that says nothing.
func Default() Plan {
	parts := []string{pipeline.ModelContent, pipeline.ModelFactors, pipeline.ModelItems, pipeline.ModelPopular}
	return Plan{
		Models: []Spec{
			{Name: pipeline.ModelPopular, Kind: "popular"},
			{Name: pipeline.ModelFactors, Kind: "ials"},
			{Name: pipeline.ModelItems, Kind: "item-cf"},
			{Name: pipeline.ModelContent, Kind: "content"},
			{Name: pipeline.ModelHybrid, Kind: "hybrid", Parts: parts},
		},
		Recipes: recipes(), Window: 30 * 24 * time.Hour, Seed: 1,
		Metrics: []string{"ndcg@10", "recall@10", "hr@10", "coverage@10"}, Headline: "ndcg@10",
		Surface: features.SurfaceHome, Judged: 3000, Learnt: true,
	}
}

// recipes is the default ones, with the home surface ranked by the hybrid: what
// is judged is then what answers.
func recipes() []models.Recipe {
	all := pipeline.Defaults()
	for i := range all {
		if all[i].Surface == features.SurfaceHome {
			all[i].Ranker = models.RankerSpec{Ranker: "model", Model: pipeline.ModelHybrid}
		}
	}
	return all
}

// Uses are the surfaces whose learnt ranker sees a signal.
func (p *Plan) Uses(name string) []string {
	if !p.Learnt || len(p.Signals) > 0 && !slices.Contains(p.Signals, name) {
		return nil
	}
	if _, ok := p.recipe(p.rankedSurface()); !ok {
		return nil
	}
	return []string{p.rankedSurface()}
}

// Validate reports with models.ErrParams or models.ErrKind what is wrong.
func (p *Plan) Validate() error {
	known := map[string]bool{}
	for _, s := range p.Models {
		if known[s.Name] {
			return fmt.Errorf("%w: model %q is there twice", models.ErrParams, s.Name)
		}
		if _, err := kind.Of(s.Kind); err != nil {
			return err
		}
		for _, part := range s.Parts {
			if !known[part] {
				return fmt.Errorf("%w: model %q is made of %q, which does not come before it", models.ErrParams, s.Name, part)
			}
		}
		known[s.Name] = true
	}
	if p.Window <= 0 {
		return fmt.Errorf("%w: window is %v: expected above 0", models.ErrParams, p.Window)
	}
	if !slices.Contains(p.Metrics, p.Headline) {
		return fmt.Errorf("%w: headline %q is not among the metrics %v", models.ErrParams, p.Headline, p.Metrics)
	}
	return nil
}

// recipe is the one of the surface, with what the models of the plan can do.
func (p *Plan) recipe(surface string) (models.Recipe, bool) {
	for _, r := range p.Recipes {
		if r.Surface == surface {
			return pipeline.Trim(r, func(name string) bool {
				return slices.ContainsFunc(p.Models, func(s Spec) bool { return s.Name == name })
			}), true
		}
	}
	return models.Recipe{}, false
}

// fit trains the plan's models in order. Composites learn on validate when it
// is given; params of a model given in learnt are put in the place of its own.
func (p *Plan) fit(ctx context.Context, train, validate *dataset.Dataset, learnt map[string]json.RawMessage, watch Watch) ([]models.Part, error) {
	var done []models.Part
	for _, s := range p.Models {
		k, err := kind.Of(s.Kind)
		if err != nil {
			return nil, err
		}
		in := models.FitInput{Train: train, Params: s.Params, Seed: p.Seed, Workers: p.Workers, Weights: p.Weights, Kinds: kind.Of}
		if raw, ok := learnt[s.Name]; ok {
			in.Params = raw
		}
		if p.was != nil {
			if warm, ok := p.Last.Model(s.Name); ok && warm.Kind() == s.Kind {
				in.Warm, in.Was = warm, p.was
			}
		}
		if k.Parts != nil {
			in.Validate = validate
			for _, part := range done {
				if slices.Contains(s.Parts, part.Name) {
					in.Parts = append(in.Parts, part)
				}
			}
		}
		step := watch("fit " + s.Name)
		in.Progress = func(pr models.Progress) { step.Step(pr.Step, pr.Steps, pr.Stage) }
		m, err := k.Fit(ctx, in)
		step.Done()
		if err != nil {
			return nil, fmt.Errorf("fit %s: %w", s.Name, err)
		}
		done = append(done, models.Part{Name: s.Name, Model: m})
	}
	return done, nil
}

// Step shows how far a stage is.
type Step interface {
	Step(done, total int, note string)
	Done()
}

// Watch begins to show a stage.
type Watch func(stage string) Step

// weighted is a composite that has learnt weights.
type weighted interface{ Weights() map[string]float64 }

// learnt is the parameters that models chose on validation, to be used for
// what is trained on more.
func learnt(parts []models.Part) (map[string]json.RawMessage, map[string]map[string]float64, error) {
	raw, plain := map[string]json.RawMessage{}, map[string]map[string]float64{}
	for _, part := range parts {
		c, ok := part.Model.(models.Chooser)
		if !ok {
			continue
		}
		var err error
		if raw[part.Name], err = c.Chosen(); err != nil {
			return nil, nil, err
		}
		if w, ok := part.Model.(weighted); ok {
			plain[part.Name] = w.Weights()
		}
	}
	return raw, plain, nil
}

// withParts is models with the parts that composites fitted by themselves, each
// before what is made of it.
func withParts(parts []models.Part) []models.Part {
	var out []models.Part
	known := map[string]bool{}
	for _, part := range parts {
		if c, ok := part.Model.(models.Composite); ok {
			for _, own := range c.Parts() {
				if !known[own.Name] {
					known[own.Name] = true
					out = append(out, own)
				}
			}
		}
		known[part.Name] = true
		out = append(out, part)
	}
	return out
}

// rows is the release's items in the order of their rows.
func rows(items features.Catalog) []features.Item {
	out := make([]features.Item, items.Len())
	for row := range out {
		out[row] = *items.Item(features.Row(row)) // #nosec G115 -- rows are int32 by contract
	}
	return out
}
