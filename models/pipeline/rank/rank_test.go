package rank_test

import (
	"context"
	"math"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rank"
)

// table is a model that knows its scores by heart, and its evidence.
type table struct {
	models.Model
	scores   []float32
	evidence features.Row
}

func (t *table) Kind() string { return "table" }
func (t *table) Items() int   { return len(t.scores) }

func (t *table) Score(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		out[i] = t.scores[row]
	}
}

func (t *table) Explain(*features.Request, features.Row) (models.Evidence, bool) {
	return models.Evidence{Item: t.evidence, Type: features.View, Contribution: 1}, t.evidence != features.NoRow
}

var nan = float32(math.NaN())

func scores(t *testing.T, k pipeline.Ranker, n int) []float32 {
	t.Helper()
	cs := make([]pipeline.Candidate, n)
	for i := range cs {
		cs[i].Row = features.Row(i)
	}
	r := &features.Request{Scratch: new(features.Scratch)}
	if err := k.Rank(context.Background(), r, cs); err != nil {
		t.Fatal(err)
	}
	out := make([]float32, n)
	for i, c := range cs {
		if c.Row != features.Row(i) {
			t.Fatalf("place %d: got row %d: a ranker does not reorder", i, c.Row)
		}
		out[i] = c.Score
	}
	return out
}

func TestWeighted(t *testing.T) {
	env := pipeline.Env{Models: map[string]models.Model{
		"a":     &table{scores: []float32{1, 2, 3, nan, nan}, evidence: features.NoRow},
		"b":     &table{scores: []float32{1000, 0, nan, 500, nan}, evidence: 7},
		"flat":  &table{scores: []float32{5, 5, 5, 5, nan}, evidence: 9},
		"blind": &table{scores: []float32{nan, nan, nan, nan, nan}, evidence: 9},
	}}
	z := float32(math.Sqrt(1.5)) // of 1 among 0, 1, 2 and their like
	for name, c := range map[string]struct {
		weights map[string]float64
		want    []float32
	}{
		"one":              {map[string]float64{"a": 1}, []float32{-z, 0, z, nan, nan}},
		"scales are gone":  {map[string]float64{"b": 1}, []float32{z, -z, nan, 0, nan}},
		"two":              {map[string]float64{"a": 1, "b": 2}, []float32{-z + 2*z, -2 * z, z, 0, nan}},
		"against":          {map[string]float64{"a": -1}, []float32{z, 0, -z, nan, nan}},
		"nothing told":     {map[string]float64{"blind": 1}, []float32{nan, nan, nan, nan, nan}},
		"all alike":        {map[string]float64{"flat": 1}, []float32{0, 0, 0, 0, nan}},
		"alike and blind":  {map[string]float64{"flat": 3, "blind": 2, "a": 1}, []float32{-z, 0, z, 0, nan}},
		"weights in order": {map[string]float64{"b": 2, "a": 1}, []float32{-z + 2*z, -2 * z, z, 0, nan}},
	} {
		k, err := rank.Build(models.RankerSpec{Ranker: "weighted", Weights: c.weights}, env)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range scores(t, k, 5) {
			if w := c.want[i]; !(math.Abs(float64(got-w)) < 1e-5) && !(got != got && w != w) {
				t.Errorf("%s, item %d: got %v, want %v", name, i, got, w)
			}
		}
	}
}

// The heaviest model that has evidence gives the reason, one that counts
// against the item never.
func TestWeightedReason(t *testing.T) {
	env := pipeline.Env{Models: map[string]models.Model{
		"mute":  &table{scores: []float32{1}, evidence: features.NoRow},
		"light": &table{scores: []float32{1}, evidence: 7},
		"heavy": &table{scores: []float32{1}, evidence: 9},
	}}
	for _, c := range []struct {
		weights map[string]float64
		want    features.Row
	}{
		{map[string]float64{"mute": 3, "heavy": 2, "light": 1}, 9},
		{map[string]float64{"mute": 3, "light": 1}, 7},
		{map[string]float64{"heavy": -2, "light": 1}, 7},
		{map[string]float64{"heavy": -2}, features.NoRow},
	} {
		k, err := rank.Build(models.RankerSpec{Ranker: "weighted", Weights: c.weights}, env)
		if err != nil {
			t.Fatal(err)
		}
		why, ok := k.(pipeline.Reasoner).Reason(&features.Request{}, 0)
		if ok != (c.want != features.NoRow) || ok && why.Item != c.want {
			t.Errorf("%v: got %+v, %v, want %d", c.weights, why, ok, c.want)
		}
	}
}

func TestModelAndSource(t *testing.T) {
	env := pipeline.Env{Models: map[string]models.Model{"a": &table{scores: []float32{4, nan, 6}}}}
	k, err := rank.Build(models.RankerSpec{Ranker: "model", Model: "a"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if got := scores(t, k, 3); got[0] != 4 || got[1] == got[1] || got[2] != 6 {
		t.Errorf("model: got %v, want 4, NaN, 6", got)
	}
	if k, err = rank.Build(models.RankerSpec{Ranker: "source"}, env); err != nil {
		t.Fatal(err)
	}
	if got := scores(t, k, 3); !(got[0] > got[1] && got[1] > got[2]) {
		t.Errorf("source: got %v, want falling scores", got)
	}
}

func TestBuildRefuses(t *testing.T) {
	env := pipeline.Env{Models: map[string]models.Model{"a": &table{}}}
	for name, spec := range map[string]models.RankerSpec{
		"no weights":          {Ranker: "weighted"},
		"weight of 0":         {Ranker: "weighted", Weights: map[string]float64{"a": 0}},
		"weight of NaN":       {Ranker: "weighted", Weights: map[string]float64{"a": math.NaN()}},
		"weighted by a model": {Ranker: "weighted", Model: "a", Weights: map[string]float64{"a": 1}},
		"model with weights":  {Ranker: "model", Model: "a", Weights: map[string]float64{"a": 1}},
		"model without one":   {Ranker: "model"},
		"source with a model": {Ranker: "source", Model: "a"},
	} {
		if _, err := rank.Build(spec, env); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
