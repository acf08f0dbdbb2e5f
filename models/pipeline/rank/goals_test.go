package rank_test

import (
	"math"
	"strings"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rank"
)

// funnel is a table that knows how likely three goals are.
type funnel struct {
	table
	heads [][3]float32
}

func (f *funnel) Goals() []string { return []string{"click", "cart", "purchase"} }

func (f *funnel) Heads(_ *features.Request, items []features.Row, out []float32) {
	for i, row := range items {
		copy(out[i*3:], f.heads[row][:])
	}
}

func TestGoals(t *testing.T) {
	euro := func(units float64) map[string]features.Money {
		return map[string]features.Money{"": features.MoneyOf(units, "EUR")}
	}
	goods, err := catalog.Of([]features.Item{
		{ID: "dear", Prices: euro(10), Costs: map[string]features.Money{"": features.MoneyOf(9, "EUR"), "FR": features.MoneyOf(4, "EUR")}},
		{ID: "loss", Prices: euro(5), Costs: euro(6)},
		{ID: "unknown cost", Prices: euro(5)},
		{ID: "other money", Prices: euro(5), Costs: map[string]features.Money{"": features.MoneyOf(1, "USD")}},
		{ID: "not told", Prices: euro(5), Costs: euro(1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	env := pipeline.Env{Models: map[string]models.Model{"goals": &funnel{heads: [][3]float32{
		{.5, .2, .1}, {.25, .25, .25}, {1, 0, 0}, {.5, .5, .5}, {nan, nan, nan},
	}}}}
	for name, c := range map[string]struct {
		market  string
		weights map[string]float64
		want    []float32
	}{
		"clicks alone":      {"", map[string]float64{"click": 1, "cart": 0}, []float32{.5, .25, 1, .5, nan}},
		"all three":         {"", map[string]float64{"click": 1, "cart": 2, "purchase": 4}, []float32{1.3, 1.75, 1, 3.5, nan}},
		"what it leaves":    {"", map[string]float64{"margin": 1}, []float32{.1, -.25, 0, 0, nan}},
		"in another market": {"FR", map[string]float64{"margin": 1}, []float32{.6, -.25, 0, 0, nan}},
		"purchase and more": {"FR", map[string]float64{"purchase": 1, "margin": 2}, []float32{1.3, -.25, 0, .5, nan}},
	} {
		k, err := rank.Build(models.RankerSpec{Ranker: "goals", Model: "goals", Weights: c.weights}, env)
		if err != nil {
			t.Fatal(err)
		}
		cs := make([]pipeline.Candidate, len(c.want))
		for i := range cs {
			cs[i].Row = features.Row(i)
		}
		r := &features.Request{Query: features.Query{Market: c.market}, Catalog: goods, Scratch: new(features.Scratch)}
		if err := k.Rank(t.Context(), r, cs); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			got := float64(cs[i].Score)
			if math.Abs(got-float64(want)) > 1e-6 || math.IsNaN(got) != math.IsNaN(float64(want)) {
				t.Errorf("%s, %s: got %v, want %v", name, goods.ID(features.Row(i)), got, want)
			}
		}
	}
}

// A recipe that is trimmed keeps the weights of goals, which are no models.
func TestTrimKeepsGoals(t *testing.T) {
	spec := models.RankerSpec{Ranker: "goals", Model: "goals", Weights: map[string]float64{"click": 1, "margin": 1}}
	has := func(name string) bool { return name == "goals" }
	if got := pipeline.Trim(models.Recipe{Ranker: spec}, has).Ranker; got.Ranker != "goals" || len(got.Weights) != 2 {
		t.Errorf("got %+v, want it as it was", got)
	}
	if got := pipeline.Trim(models.Recipe{Ranker: spec}, func(string) bool { return false }).Ranker; got.Ranker != "source" || got.Model != "" || len(got.Weights) != 0 {
		t.Errorf("without the model: got %+v, want the order of sources", got)
	}
}

func TestGoalsRefuse(t *testing.T) {
	env := pipeline.Env{Models: map[string]models.Model{"goals": &funnel{}, "plain": &table{}}}
	for name, c := range map[string]struct {
		model   string
		weights map[string]float64
		says    string
	}{
		"a model without goals": {"plain", map[string]float64{"click": 1}, "multitask"},
		"no weight":             {"goals", nil, "above 0"},
		"only weights of 0":     {"goals", map[string]float64{"click": 0}, "above 0"},
		"an unknown goal":       {"goals", map[string]float64{"clicks": 1}, "click, cart, purchase, margin"},
		"below 0":               {"goals", map[string]float64{"click": -1}, "0 to 1e6"},
		"no number":             {"goals", map[string]float64{"click": math.NaN()}, "0 to 1e6"},
	} {
		_, err := rank.Build(models.RankerSpec{Ranker: "goals", Model: c.model, Weights: c.weights}, env)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.says)
		}
	}
}
