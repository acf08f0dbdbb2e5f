package mf_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
)

// Training ends once validation gets no better, with the vectors of the best
// epoch, and says after each what the objective and the metric are.
func TestStopsWhereValidationIsBest(t *testing.T) {
	train := shop(80, 40)
	validate := held(train)
	var steps []models.Progress
	in := models.FitInput{Train: train, Validate: validate, Seed: 1, Workers: 1, Params: json.RawMessage(`{"factors": 16, "epochs": 60, "patience": 3}`)}
	in.Progress = func(p models.Progress) { steps = append(steps, p) }
	m := fit(t, in)
	best, value := 0, -1.
	for i, s := range steps {
		objective, ok := s.Figures["objective"]
		metric, judged := s.Figures["ndcg@20"]
		if !ok || !judged || !(objective > 0) || s.Step != i+1 || s.Steps != 60 {
			t.Fatalf("got progress %+v, want the objective and ndcg@20 of epoch %d of 60", s, i+1)
		}
		if metric > value {
			best, value = s.Step, metric
		}
	}
	if len(steps) != best+3 {
		t.Fatalf("got %d epochs, want three after the best, %d", len(steps), best)
	}
	again := fit(t, models.FitInput{Train: train, Seed: 1, Workers: 1, Params: json.RawMessage(fmt.Sprintf(`{"factors": 16, "epochs": %d}`, best))})
	rows := make([]features.Row, train.NumItems())
	for i := range rows {
		rows[i] = features.Row(i)
	}
	got, want := make([]float32, len(rows)), make([]float32, len(rows))
	for u := range train.Users {
		m.Score(modeltest.Request(train, u), rows, got)
		again.Score(modeltest.Request(train, u), rows, want)
		if !slices.Equal(got, want) {
			t.Fatalf("user %d: scores are not those of epoch %d", u, best)
		}
	}
}

// held is an item that each user of d has not met, as what came later.
func held(d *dataset.Dataset) *dataset.Dataset {
	var b dataset.Builder
	for _, id := range d.Items {
		b.Item(id)
	}
	for u, user := range d.Users {
		b.User(user)
		met := features.NewBitmap(d.NumItems())
		for _, it := range d.History(u) {
			met.Set(it.Row)
		}
		for i := range d.NumItems() {
			if row := (u + i) % d.NumItems(); !met.Has(features.Row(row)) {
				b.Add(user, d.Items[row], "", features.Interaction{Type: features.Purchase, TimeMS: 2})
				break
			}
		}
	}
	return b.Build()
}
