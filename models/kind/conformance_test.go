package kind

import (
	"context"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/imported"
	"github.com/attune-rec/attune/models/modeltest"
)

// suite is how each kind is held to modeltest. Other settings are tried where
// the kinds are; here is that none is left out.
func suite() map[string]modeltest.Options {
	const sequence = `{"dim": 32, "epochs": 20, "tokens": 200, "dropout": 0.1, "rate": 0.01}`
	const neural = `{"epochs": 60, "batch": 256, "rate": 0.01}`
	return map[string]modeltest.Options{
		"bpr":         {},
		"content":     {SameContents: true},
		"content-knn": {Params: `{"max_share": 1, "alike": 3, "blend": 0.1}`},
		"ease":        {},
		"gf-cf":       {},
		"gmf":         {Params: neural},
		"gru":         {Params: sequence, InOrder: true},
		"hybrid":      {Parts: of("ials", "popular", "content")},
		"ials":        {},
		"imported":    {},
		"item-cf":     {},
		"low-pass":    {},
		"lstm":        {Params: sequence, InOrder: true},
		// Inputs: two models, place, position.
		"ltr": {
			Parts: of("ials", "path-knn"), Listwise: true,
			Params: `{"models": ["ials", "path-knn"], "mean": [0.1, 0, 0, 0], "scale": [1, 0.9, 0, 1], "linear": [0.8, 0.4, 0.1, 0.1], "slope": 1}`,
		},
		"markov":    {InOrder: true},
		"mlp":       {Params: neural},
		"multitask": {Params: `{"epochs": 25, "batch": 512, "rate": 0.02}`},
		"neumf":     {Params: neural},
		"path-knn":  {},
		"popular":   {Impersonal: true},
		"sasrec":    {Params: sequence, InOrder: true},
		"slim":      {},
		"together":  {Params: `{"hours": 24, "markets": 2}`},
		"user-cf":   {},
	}
}

// of fits parts of those kinds on the board.
func of(kinds ...string) func(t *testing.T, d *dataset.Dataset) []models.Part {
	return func(t *testing.T, d *dataset.Dataset) []models.Part {
		t.Helper()
		var out []models.Part
		for _, name := range kinds {
			k, err := Of(name)
			if err != nil {
				t.Fatal(err)
			}
			m, err := k.Fit(context.Background(), models.FitInput{Train: d, Seed: 7, Workers: 1})
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, models.Part{Name: name, Model: m})
		}
		return out
	}
}

// Every kind there is passes the suite.
func TestEveryKindConforms(t *testing.T) {
	if raced.On {
		t.Skip("the kinds are raced where they are")
	}
	options := suite()
	for _, k := range All() {
		o, ok := options[k.Name]
		if !ok {
			t.Errorf("kind %q is not held to the suite: say how, in suite", k.Name)
			continue
		}
		delete(options, k.Name)
		if k.Name == imported.Kind().Name {
			k.Fit = elsewhere
		}
		t.Run(k.Name, func(t *testing.T) { modeltest.Run(t, k, o) })
	}
	for name := range options {
		t.Errorf("suite has %q, which is no kind", name)
	}
}

// elsewhere stands for the training of imported vectors: an item's says whether
// the item is even.
func elsewhere(_ context.Context, in models.FitInput) (models.Model, error) {
	p := imported.Defaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	vectors := make([]float32, 2*in.Train.NumItems())
	for row := range in.Train.NumItems() {
		odd := 0
		if in.Train.Catalog.Item(features.Row(row)).Title == "blue woollen scarf" { // #nosec G115 -- rows are int32 by contract
			odd = 1
		}
		vectors[2*row+odd] = 1
	}
	return imported.New(vectors, 2, p)
}
