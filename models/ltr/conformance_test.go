package ltr_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/ltr"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
)

// fitted are two models of the board for a ranker to look at.
func fitted(t *testing.T, d *dataset.Dataset) []models.Part {
	t.Helper()
	var out []models.Part
	for _, kind := range []models.Kind{mf.IALS(), knn.Path()} {
		m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Seed: 7, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, models.Part{Name: kind.Name, Model: m})
	}
	return out
}

// A ranker is learnt from requests, of which the board has none: its weights are
// given. Inputs: two models, place, position.
func TestConformance(t *testing.T) {
	linear := ltr.Params{
		Models: []string{"ials", "path-knn"}, Mean: []float32{.1, 0, 0, 0}, Scale: []float32{1, .9, 0, 1}, Linear: []float32{.8, .4, .1, .1},
		Slope: 1, Shift: -1,
	}
	network := linear
	network.Hidden, network.Bias, network.Outer = 2, []float32{.5, .2}, []float32{.6, .4}
	network.Inner = []float32{.7, .2, .3, .5, .1, .1, 0, 0}
	for name, p := range map[string]ltr.Params{"linear": linear, "network": network} {
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			modeltest.Run(t, ltr.Kind(), modeltest.Options{Parts: fitted, Params: string(raw), Listwise: true})
		})
	}
}
