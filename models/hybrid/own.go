package hybrid

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Story is how a hybrid came by its parts.
type Story struct {
	Data    Facts   `json:"data"`
	HeldOut string  `json:"held_out"` // what the parts were to find
	Cases   int     `json:"cases"`
	NDCG    float64 `json:"ndcg"` // at 20, of the sum, on what was held out
	Seconds float64 `json:"seconds"`
	Formula string  `json:"formula,omitempty"` // of the linear learner
	Weighed string  `json:"weighed,omitempty"` // of few cases: why weights as plain as these
	Tried   []Tried `json:"tried"`
}

// Tried is a part that was tried.
type Tried struct {
	Choice
	NDCG    float64 `json:"ndcg"` // of the part alone
	Seconds float64 `json:"seconds"`
	Kept    bool    `json:"kept"`
	Why     string  `json:"why"`
}

// cold is the kind that speaks for those of whom nothing is known: it is always
// there.
const cold = "popular"

// least is the share of all weights below which a part is not worth its cost.
const least = .02

// fitOwn chooses parts, unless p has a recipe, and fits them.
func fitOwn(ctx context.Context, in models.FitInput, p Params) (*Model, error) {
	if len(p.Recipe) > 0 {
		return fitRecipe(ctx, in, p, p.Story)
	}
	clock := newClock(cmp.Or(max(in.Workers, 0), linalg.Workers()))
	events, err := models.WeightsOf(in.Weights)
	if err != nil {
		return nil, err
	}
	facts := survey(in.Train)
	story := &Story{Data: facts}
	train, truth := in.Train, in.Validate
	if truth != nil {
		story.HeldOut = "the validation data that was given"
		truth = facts.findable(train, facts.aims(truth, &events))
	} else {
		train, truth, story.HeldOut = facts.holdOut(in.Train, &events, in.Seed)
	}
	tried, dear := within(candidates(facts, p), p)
	for i := range tried {
		if c := &tried[i]; c.Kind == cold {
			if c.Params, c.why, err = fading(ctx, in, facts, &events); err != nil {
				return nil, err
			}
		}
	}
	if len(truth.Log) == 0 || len(train.Log) == 0 {
		story.HeldOut = "nothing: the data is too small; weights are those that hold elsewhere"
		p.Recipe = untried(tried, dear, story)
		return fitRecipe(ctx, in, p, story)
	}
	doubt(tried, train, truth)
	parts, kept, err := fitTried(ctx, in, p, train, tried, story, clock)
	if err != nil {
		return nil, err
	}
	story.Tried = append(story.Tried, dear...)
	prior := map[string]float64{}
	for _, c := range kept {
		prior[c.Name] = c.prior
	}
	folds := []fold{{parts, train, truth}}
	if in.Validate == nil && len(in.Train.Log) <= scant {
		more, err := refold(ctx, in, p, facts, &events, kept, folds[0], clock)
		if err != nil {
			return nil, err
		}
		if folds = append(folds, more...); len(more) > 0 {
			story.HeldOut += fmt.Sprintf(", %d times", len(folds))
		}
	}
	learnt, err := learnFolds(ctx, folds, LearnOptions{Seed: in.Seed, Workers: in.Workers, Prior: prior, Learner: p.Learner})
	if errors.Is(err, ErrNothingToLearn) {
		story.HeldOut = "nothing: nobody has both a history and something to be found; weights are those that hold elsewhere"
		p.Recipe = untried(tried, dear, story)
		return fitRecipe(ctx, in, p, story)
	}
	if err != nil {
		return nil, err
	}
	story.Cases, story.NDCG, story.Formula, story.Weighed = learnt.Cases, learnt.NDCG, learnt.Formula, learnt.Why
	p.Recipe = story.choose(kept, learnt)
	story.Seconds = clock.seconds()
	if in.Validate == nil {
		return fitRecipe(ctx, in, p, story)
	}
	// What was tried was fitted on all there is to train on.
	parts = slices.DeleteFunc(parts, func(part models.Part) bool {
		return !slices.ContainsFunc(p.Recipe, func(c Choice) bool { return c.Name == part.Name })
	})
	return finish(in, parts, p, story)
}

// sure is the cases from which on they decide how much of what leans on the
// newest is good.
const sure = 200

// doubt expects less of what leans on the newest where there are few cases to
// show that it helps.
func doubt(tried []candidate, train, truth *dataset.Dataset) {
	cases := askedOf(train, truth)
	for i := range tried {
		if c := &tried[i]; cases < sure && leans(c.Choice) {
			c.prior *= float64(cases) / sure
		}
	}
}

// askedOf is how many users have both a history and something to be found.
func askedOf(train, truth *dataset.Dataset) int {
	cases := 0
	for u := range truth.Users {
		if len(truth.History(u)) > 0 && len(train.History(u)) > 0 {
			cases++
		}
	}
	return cases
}

// leans reports whether a part leans on the newest interactions or learns from
// their order.
func leans(c Choice) bool {
	var lean struct{ Recency float64 }
	return sequential(c.Kind) || len(c.Params) > 0 && (json.Unmarshal(c.Params, &lean) != nil || lean.Recency != 0)
}

// choosing is the share of the budget that may be spent on trying parts: what
// is kept is fitted again on everything.
const choosing = .4

// fitTried fits the candidates on train, the networks last, until the time for
// choosing is spent. A network whose cost is known not to fit in what is left
// is not begun.
func fitTried(ctx context.Context, in models.FitInput, p Params, train *dataset.Dataset, tried []candidate, story *Story, clock clock) ([]models.Part, []candidate, error) {
	var parts []models.Part
	var kept []candidate
	slices.SortStableFunc(tried, func(a, b candidate) int { return cmp.Compare(a.seconds, b.seconds) })
	for i, c := range tried {
		t := Tried{Choice: c.Choice, Why: c.why}
		if len(parts) > 1 && c.Kind != cold && clock.seconds()+c.seconds/float64(clock.workers) >= choosing*p.BudgetSeconds {
			t.Why = "not tried: the time for choosing was spent"
			story.Tried = append(story.Tried, t)
			continue
		}
		began := clock.seconds()
		m, err := fitPart(ctx, in, c.Choice, train)
		if err != nil {
			if c.asked || !errors.Is(err, models.ErrParams) {
				return nil, nil, err
			}
			t.Why = "not tried: " + err.Error()
			story.Tried = append(story.Tried, t)
			continue
		}
		t.Seconds = clock.seconds() - began
		story.Tried = append(story.Tried, t)
		parts, kept = append(parts, models.Part{Name: c.Name, Model: m}), append(kept, c)
		if in.Progress != nil {
			in.Progress(models.Progress{Step: i + 1, Steps: len(tried), Stage: "tried " + c.Name})
		}
	}
	return parts, kept, nil
}

func fitPart(ctx context.Context, in models.FitInput, c Choice, train *dataset.Dataset) (models.Model, error) {
	k, err := in.Kinds(c.Kind)
	if err != nil {
		return nil, err
	}
	if k.Parts != nil {
		return nil, fmt.Errorf("%w: part %q is a composite itself", models.ErrParams, c.Name)
	}
	m, err := k.Fit(ctx, models.FitInput{Train: train, Params: c.Params, Seed: in.Seed, Workers: in.Workers, Weights: in.Weights})
	if err != nil {
		return nil, fmt.Errorf("part %s: %w", c.Name, err)
	}
	return m, nil
}

// choose keeps the parts that weigh something, and popularity for those of whom
// nothing is known.
func (s *Story) choose(kept []candidate, l *Learnt) []Choice {
	total := 0.
	for _, w := range l.Weights {
		total += w
	}
	var recipe []Choice
	for _, c := range kept {
		w := l.Weights[c.Name]
		if c.Kind == cold {
			w = max(w, 1e-3*total)
		}
		keep := c.Kind == cold || w >= least*total
		for i := range s.Tried {
			if t := &s.Tried[i]; t.Name == c.Name {
				t.NDCG, t.Weight, t.Kept = l.Alone[c.Name], w, keep
			}
		}
		if keep {
			c.Weight = w
			recipe = append(recipe, c.Choice)
		}
	}
	return recipe
}

// untried is the recipe where nothing can be held out: what leans on the
// newest is left out, since nothing shows that it helps.
func untried(all []candidate, dear []Tried, story *Story) []Choice {
	var recipe []Choice
	story.Tried = slices.Clone(dear)
	for _, c := range all {
		keep := !leans(c.Choice)
		if keep {
			c.Weight = c.prior
			recipe = append(recipe, c.Choice)
		}
		story.Tried = append(story.Tried, Tried{Choice: c.Choice, Kept: keep, Why: c.why})
	}
	return recipe
}

// fitRecipe fits p.Recipe on in.Train.
func fitRecipe(ctx context.Context, in models.FitInput, p Params, story *Story) (*Model, error) {
	var parts []models.Part
	for i, c := range p.Recipe {
		m, err := fitPart(ctx, in, c, in.Train)
		if err != nil {
			return nil, err
		}
		parts = append(parts, models.Part{Name: c.Name, Model: m})
		if in.Progress != nil {
			in.Progress(models.Progress{Step: i + 1, Steps: len(p.Recipe), Stage: "fitted " + c.Name})
		}
	}
	return finish(in, parts, p, story)
}

func finish(in models.FitInput, parts []models.Part, p Params, story *Story) (*Model, error) {
	p.Weights = map[string]float64{}
	for _, c := range p.Recipe {
		p.Weights[c.Name] = c.Weight
	}
	m, err := put(in, parts, p)
	if err != nil {
		return nil, err
	}
	m.params.Weights, m.params.Story, m.story = nil, nil, story
	return m, nil
}

// Chosen implements models.Chooser: the recipe, or the weights of given parts.
func (m *Model) Chosen() (json.RawMessage, error) {
	p := m.params
	p.Story = m.story
	if len(p.Recipe) == 0 {
		p.Weights = m.Weights()
	}
	return json.Marshal(p)
}

// Story is how the parts were chosen; nil where they were given.
func (m *Model) Story() *Story { return m.story }

// Account implements models.Chooser.
func (m *Model) Account() []string {
	s := m.story
	if s == nil {
		return nil
	}
	lines := []string{
		fmt.Sprintf("%d users, %d items, %d interactions, density %.4g; times %t, stars %t, words %t", s.Data.Users, s.Data.Items, s.Data.Pairs, s.Data.Density, s.Data.Timed, s.Data.Stars, s.Data.Words),
		fmt.Sprintf("held out: %s; %d cases, NDCG@20 %.4f with these weights, %.0f s", s.HeldOut, s.Cases, s.NDCG, s.Seconds),
	}
	if s.Formula != "" {
		lines = append(lines, s.Formula)
	}
	if s.Weighed != "" {
		lines = append(lines, "taken: "+s.Weighed)
	}
	for _, t := range s.Tried {
		verdict := "left out"
		if t.Kept {
			verdict = "kept"
		}
		lines = append(lines, fmt.Sprintf("%-24s %-8s weight %.4f, alone %.4f, %5.1f s: %s %s (%s)", t.Name, verdict, t.Weight, t.NDCG, t.Seconds, t.Kind, t.Params, t.Why))
	}
	return lines
}
