package job

import (
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/linalg"
)

// newShoppers judges models on shoppers of whom training knew nothing, once for
// each number of first events that a request shows. What is to be found is the
// same each time: all that came after the largest number of events.
func (e *Evaluate) newShoppers(env *Env) (*eval.Report, error) {
	p, err := e.plan()
	if err != nil {
		return nil, err
	}
	split, err := e.load(env)
	if err != nil {
		return nil, err
	}
	if split.Test == nil {
		return nil, fmt.Errorf("nothing to judge on: give --test or another --split")
	}
	metrics, err := eval.ParseMetrics(e.Metric)
	if err != nil {
		return nil, err
	}
	o := eval.Options{Metrics: metrics, Workers: e.Workers, MaxCases: e.LimitUsers, Seed: e.Seed}
	training := newTraining(env, split, &e.Models, p, e.Seed)
	report := &eval.Report{}
	tasks := newcomers(split, e.NewShoppers)
	for i, n := range e.NewShoppers {
		cases, err := eval.Plan(tasks[i], o)
		if err != nil {
			return nil, fmt.Errorf("shoppers without history, after %d events: %w", n, err)
		}
		if i == 0 {
			report.Dataset = e.summary(eval.Task{History: split.Train, Test: tasks[i].Test}, cases, split)
			report.Dataset.Remarks = append(report.Dataset.Remarks, fmt.Sprintf("shoppers without history in training only; to be found: what came after their first %d events", slices.Max(e.NewShoppers)))
		}
		for _, s := range p.specs {
			f, err := training.fit(s)
			if err != nil {
				return nil, err
			}
			entry, err := e.judge(env, welcoming(f), tasks[i], cases, o)
			if err != nil {
				return nil, err
			}
			entry.Name = fmt.Sprintf("%s after %d", f.name, n)
			report.Models = append(report.Models, *entry)
		}
		if base := e.Compare; base != "none" && len(p.specs) > 1 {
			if base == "" {
				base = p.specs[len(p.specs)-1].name
			}
			// Pairs of the same number of events only.
			part := &eval.Report{Models: report.Models[i*len(p.specs):]}
			if err := part.Compare(fmt.Sprintf("%s after %d", base, n), e.Seed, e.Workers); err != nil {
				return nil, err
			}
			report.Comparisons = append(report.Comparisons, part.Comparisons...)
		}
	}
	return report, nil
}

// greeted is a model that ranks for someone without history as the source of
// candidates "factors" does: by the vector that the rest of the request leads to.
type greeted struct {
	models.Model
	embed   models.Embedder
	profile models.ProfileEmbedder
}

// welcoming is f with a model that has such vectors put behind greeted, else f.
func welcoming(f *fitted) *fitted {
	embed, ok := f.model.(models.Embedder)
	profile, can := f.model.(models.ProfileEmbedder)
	if !ok || !can {
		return f
	}
	g := *f
	g.model = greeted{f.model, embed, profile}
	return &g
}

// Score implements models.Scorer.
func (g greeted) Score(r *features.Request, items []features.Row, out []float32) {
	vec := make([]float32, g.embed.Dim())
	if len(r.History()) > 0 || !g.profile.EmbedProfile(r, vec) {
		g.Model.Score(r, items, out)
		return
	}
	for i, row := range items {
		if int(row) >= g.Items() {
			out[i] = float32(math.NaN())
			continue
		}
		out[i] = linalg.Dot(vec, g.embed.Vectors()[int(row)*len(vec):][:len(vec)])
	}
}

// newcomers is a task for each number of events: histories are the first so
// many of each shopper without history in training, in order.
func newcomers(s *dataset.Split, events []int) []eval.Task {
	isNew := func(u int) bool {
		return len(s.Train.History(u)) == 0 && (s.Validate == nil || len(s.Validate.History(u)) == 0)
	}
	most := int64(slices.Max(events))
	truth := s.Test.Keep(func(u int, at int64) bool { return isNew(u) && at-s.Test.Ptr[u] >= most })
	tasks := make([]eval.Task, len(events))
	for i, n := range events {
		tasks[i] = eval.Task{Test: truth, History: s.Test.Keep(func(u int, at int64) bool {
			return isNew(u) && at-s.Test.Ptr[u] < int64(n) && len(truth.History(u)) > 0
		})}
	}
	return tasks
}
