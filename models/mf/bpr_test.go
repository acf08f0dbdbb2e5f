package mf_test

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

func TestBPR(t *testing.T) {
	for name, params := range map[string]string{
		"default": `{"factors": 8}`, "recency": `{"recency": 20, "factors": 8}`,
		"draws":  `{"factors": 8, "draws": 16, "batch": 8, "epochs": 60, "regularisation": 0.03}`,
		"single": `{"factors": 8, "draws": 1, "rate": 0.1, "regularisation": 0.003, "correction": 0, "epochs": 60}`,
	} {
		t.Run(name, func(t *testing.T) { modeltest.Run(t, mf.BPR(), modeltest.Options{Params: params}) })
	}
}

// TestBPRTellsHowItLearns has each epoch tell the loss, which falls, and what the
// validation data say of it, by which training ends; and of one seed and number of
// workers comes one model, though they learn at a time.
func TestBPRTellsHowItLearns(t *testing.T) {
	train := shop(80, 40)
	for _, draws := range []string{"1", "8"} {
		var steps []models.Progress
		in := models.FitInput{
			Train: train, Validate: held(train), Seed: 1, Workers: 2,
			Params:   json.RawMessage(`{"factors": 8, "epochs": 200, "patience": 4, "draws": ` + draws + `}`),
			Progress: func(p models.Progress) { steps = append(steps, p) },
		}
		vectors := func() []float32 {
			steps = nil
			m, err := mf.BPR().Fit(context.Background(), in)
			if err != nil {
				t.Fatal(err)
			}
			return m.(models.Embedder).Vectors()
		}
		once := vectors()
		best, value := 0, -1.
		for i, s := range steps {
			metric, judged := s.Figures["ndcg@20"]
			if !judged || !(s.Figures["objective"] > 0) || s.Step != i+1 || s.Steps != 200 {
				t.Fatalf("draws %s: got progress %+v, want the objective and ndcg@20 of epoch %d of 200", draws, s, i+1)
			}
			if metric > value {
				best, value = s.Step, metric
			}
		}
		if len(steps) != best+4 {
			t.Errorf("draws %s: got %d epochs, want four after the best, %d", draws, len(steps), best)
		}
		if !slices.Equal(once, vectors()) {
			t.Errorf("draws %s: got other vectors from the same seed and workers", draws)
		}
		in.Validate, in.Params = nil, json.RawMessage(`{"factors": 8, "epochs": 20, "draws": `+draws+`}`)
		vectors()
		if first, last := steps[0].Figures["objective"], steps[len(steps)-1].Figures["objective"]; len(steps) != 20 || !(last < first) {
			t.Errorf("draws %s: the objective went from %v to %v in %d epochs, want less in 20", draws, first, last, len(steps))
		}
	}
}

// A model of before draws were shared has a pool in any order, and neither
// offsets nor lifts; it still ranks a shopper's own colour first.
func TestBPROfBefore(t *testing.T) {
	d := modeltest.Board(50, nil)
	m, err := mf.BPR().Fit(context.Background(), models.FitInput{Train: d, Params: json.RawMessage(`{"factors": 8}`), Seed: 1, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	mem := modeltest.NewMemory()
	if err := m.Save(mem.Writer()); err != nil {
		t.Fatal(err)
	}
	delete(mem.Tensors, "offset")
	delete(mem.Tensors, "lift")
	pool := []int32{7, 3, 3, 40, 12, 21, 0, 49, 30, 18}
	mem.Tensors["pool"] = models.TensorOf(pool, len(pool))
	mem.JSONs["model"] = []byte(`{"items": 50, "params": {"factors": 8, "epochs": 60, "rate": 0.1, "regularisation": 0.003, "popularity": 0.5, "spread": 0.1, "patience": 5, "pool": 10, "steps": 20}}`)
	old, err := mf.BPR().Open(mem.Reader())
	if err != nil {
		t.Fatal(err)
	}
	rows, scores := make([]features.Row, 50), make([]float32, 50)
	for i := range rows {
		rows[i] = features.Row(i)
	}
	for u := range d.Users {
		old.Score(modeltest.Request(d, u), rows, scores)
		own, other := math.Inf(1), math.Inf(-1)
		for i, s := range scores {
			if i%2 == u%2 {
				own = min(own, float64(s))
			} else {
				other = max(other, float64(s))
			}
		}
		if !(own > other) {
			t.Fatalf("user %d: got %v for an item of their colour and %v for another, want more", u, own, other)
		}
	}
}
