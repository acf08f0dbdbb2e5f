package retrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/trainer/replay"
)

// Ranker is how the learnt ranker came about and fared.
type Ranker struct {
	*ltr.Story
	Used bool `json:"used"` // the surface is ranked by it
	// On the test: the answers of the surface less those of others, over the
	// same sessions.
	Comparisons []eval.Comparison `json:"comparisons,omitempty"`

	without ltr.Params
}

// learnRanker replays the sessions of the window, of which the models know
// nothing, and learns a ranker of them. Where it orders the newest of them
// better than any model alone it becomes a model of the plan and ranks the
// surface.
func (p *Plan) learnRanker(ctx context.Context, store Store, shop features.ShopID, items *catalog.Snapshot, tried []models.Part, from, to time.Time, out *Outcome, watch Watch) error {
	recipe, ok := p.recipe(p.rankedSurface())
	if !p.Learnt || !ok {
		return nil
	}
	set, err := signal.NewSet(p.Signals...)
	if err != nil {
		return err
	}
	params := ltr.Params{Signals: set.Names()}
	for _, part := range tried {
		params.Models = append(params.Models, part.Name)
	}
	for _, s := range recipe.Sources {
		params.Sources = append(params.Sources, s.Name)
	}
	inputs, err := ltr.NewInputs(params, tried)
	if err != nil {
		return err
	}
	step := watch("replay " + recipe.Surface + " to learn a ranker")
	lists, err := replay.Lists(ctx, store, shop, replay.Subject{Name: "ranker", Items: items, Models: tried, Recipe: recipe}, inputs, replay.Options{
		From: from, To: to, Max: rankerSessions, Seed: p.Seed, Workers: p.Workers,
		Progress: func(done, total int) { step.Step(done, total, "") },
	})
	step.Done()
	var learnt *ltr.Learnt
	if err == nil {
		step = watch("fit ranker")
		learnt, err = ltr.Learn(ctx, params, lists, ltr.LearnOptions{Seed: p.Seed, Progress: func(done, total int) { step.Step(done, total, "") }})
		step.Done()
	}
	if errors.Is(err, ltr.ErrNothing) || errors.Is(err, replay.ErrNothing) {
		out.Remarks = append(out.Remarks, fmt.Sprintf("no ranker was learnt: %v", err))
		return nil
	}
	if err != nil {
		return err
	}
	story := learnt.Params.Story
	out.Ranker = &Ranker{Story: story, without: learnt.Without}
	chosen, alone := story.Best()
	if out.Ranker.Used = chosen > alone; !out.Ranker.Used {
		out.Remarks = append(out.Remarks, fmt.Sprintf("the learnt ranker is not used: NDCG@10 %.4f on validation, %.4f by a model alone", chosen, alone))
		return nil
	}
	return p.rankBy(learnt.Params)
}

// rankerSessions bounds the sessions that a ranker is learnt from.
const rankerSessions = 6000

func (p *Plan) rankedSurface() string {
	if p.Surface == "" {
		return features.SurfaceHome
	}
	return p.Surface
}

// rankBy makes the ranker a model of the plan, the last, and the ranker of the
// surface.
func (p *Plan) rankBy(params ltr.Params) error {
	raw, err := json.Marshal(params)
	if err != nil {
		return err
	}
	p.Models = append(slices.Clone(p.Models), Spec{Name: pipeline.ModelRanker, Kind: ltr.KindName, Params: raw, Parts: params.Models})
	p.Recipes = slices.Clone(p.Recipes)
	for i := range p.Recipes {
		if p.Recipes[i].Surface == p.rankedSurface() {
			p.Recipes[i].Ranker = models.RankerSpec{Ranker: "learnt", Model: pipeline.ModelRanker}
		}
	}
	return nil
}

// withoutRanker is parts without the learnt ranker, which orders candidates and
// says nothing of a whole catalogue.
func withoutRanker(parts []models.Part) []models.Part {
	return slices.DeleteFunc(slices.Clone(parts), func(part models.Part) bool { return part.Model.Kind() == ltr.KindName })
}

// compare judges the answers of the surface by the hybrid, and by a ranker that
// sees no signals, beside those that report is of.
func (p *Plan) compare(ctx context.Context, store Store, shop features.ShopID, f field, judged []models.Part, report *replay.Report, out *Outcome, watch Watch) error {
	if !p.Compare || out.Ranker == nil || !out.Ranker.Used {
		return nil
	}
	recipe, _ := p.recipe(p.Surface)
	parts := withoutRanker(judged)
	bare, err := ltr.New(out.Ranker.without, parts)
	if err != nil {
		return err
	}
	for _, other := range []struct {
		name  string
		spec  models.RankerSpec
		parts []models.Part
	}{
		{"hybrid", models.RankerSpec{Ranker: "model", Model: pipeline.ModelHybrid}, parts},
		{"ranker without signals", models.RankerSpec{Ranker: "learnt", Model: pipeline.ModelRanker}, append(slices.Clone(parts), models.Part{Name: pipeline.ModelRanker, Model: bare})},
	} {
		if other.spec.Model == pipeline.ModelHybrid && !slices.ContainsFunc(parts, func(part models.Part) bool { return part.Name == pipeline.ModelHybrid }) {
			continue
		}
		r := recipe
		r.Ranker = other.spec
		theirs, err := p.answer(ctx, store, shop, f, replay.Subject{Name: other.name, Items: f.items, Models: other.parts, Recipe: r}, watch)
		if err != nil {
			return err
		}
		for _, metric := range []string{"ndcg@10", "hr@10"} {
			for _, difference := range []func(a, b *replay.Report, metric string, seed uint64, workers int) (eval.Comparison, error){replay.Difference, replay.DifferenceOfAll} {
				d, err := difference(report, theirs, metric, p.Seed, p.Workers)
				if err != nil {
					return err
				}
				out.Ranker.Comparisons = append(out.Ranker.Comparisons, d)
			}
		}
	}
	return nil
}
