package hybrid_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/mf"
	"github.com/attune-rec/attune/models/modeltest"
	"github.com/attune-rec/attune/models/popular"
)

func parts(t *testing.T, d *dataset.Dataset) []models.Part {
	t.Helper()
	var out []models.Part
	for name, kind := range map[string]models.Kind{"words": content.Kind(), "factors": mf.IALS(), "popular": popular.Kind()} {
		m, err := kind.Fit(context.Background(), models.FitInput{Train: d, Seed: 7, Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, models.Part{Name: name, Model: m})
	}
	return out
}

func TestHybrid(t *testing.T) {
	modeltest.Run(t, hybrid.Kind(), modeltest.Options{Parts: parts})
}

func TestFewAnchors(t *testing.T) {
	modeltest.Run(t, hybrid.Kind(), modeltest.Options{Parts: parts, Params: `{"anchors": 20, "weights": {"factors": 3}}`})
}

func TestColdShoppersGetWhatSells(t *testing.T) {
	d := modeltest.Board(20, nil)
	all := parts(t, d)
	m, err := hybrid.Fit(context.Background(), models.FitInput{Train: d, Parts: all})
	if err != nil {
		t.Fatal(err)
	}
	r := modeltest.Request(d, 0)
	r.Shopper = nil
	rows := []features.Row{0, 5, 11}
	got, want := make([]float32, 3), make([]float32, 3)
	m.Score(r, rows, got)
	for _, p := range all {
		if p.Name == "popular" {
			p.Model.Score(r, rows, want)
		}
	}
	for i := range rows {
		for j := range rows {
			if (want[i] > want[j]) && !(got[i] > got[j]) {
				t.Fatalf("got %v, want the order of %v", got, want)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	d := modeltest.Board(10, nil)
	for name, in := range map[string]models.FitInput{
		"no parts":       {Train: d},
		"unknown part":   {Train: d, Parts: parts(t, d), Params: json.RawMessage(`{"weights": {"nothing": 1}}`)},
		"too few":        {Train: d, Parts: parts(t, d), Params: json.RawMessage(`{"anchors": 1}`)},
		"other items":    {Train: d, Parts: parts(t, modeltest.Board(12, nil))},
		"endless weight": {Train: d, Parts: parts(t, d), Params: json.RawMessage(`{"weights": {"words": 1e9}}`)},
	} {
		if _, err := hybrid.Fit(context.Background(), in); !errors.Is(err, models.ErrParams) {
			t.Errorf("%s: got %v, want ErrParams", name, err)
		}
	}
}
