package imported

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/modeltest"
)

// conform is the kind with a Fit that stands for the training elsewhere: an
// item's vector says whether the item is even.
func conform() models.Kind {
	k := Kind()
	k.Fit = func(_ context.Context, in models.FitInput) (models.Model, error) {
		p := Defaults()
		if err := models.DecodeParams(in.Params, &p); err != nil {
			return nil, err
		}
		vectors := make([]float32, 2*in.Train.NumItems())
		for row := range in.Train.NumItems() {
			odd := 0
			if in.Train.Catalog.Item(features.Row(row)).Title == "blue woollen scarf" {
				odd = 1
			}
			vectors[2*row+odd] = 1
		}
		return New(vectors, 2, p)
	}
	return k
}

func TestConformance(t *testing.T) { modeltest.Run(t, conform(), modeltest.Options{}) }

func TestRidgeConformance(t *testing.T) {
	modeltest.Run(t, conform(), modeltest.Options{Params: `{"unobserved":0,"by_count":false,"regularisation":0.01}`})
}

// TestEmbedSolvesItsObjective compares Embed with a dumb twin: gradient descent
// on the objective as Params writes it, in float64.
func TestEmbedSolvesItsObjective(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	const items, dim = 12, 3
	vectors := make([]float32, items*dim)
	for i := range vectors {
		vectors[i] = float32(rng.NormFloat64())
	}
	for _, p := range []Params{Defaults(), {Unobserved: 0, Alpha: 2, Regularisation: .5}, {Unobserved: .3, Alpha: 4, Regularisation: .2, ByCount: true}} {
		m, err := New(vectors, dim, p)
		if err != nil {
			t.Fatal(err)
		}
		history := []features.Interaction{{Row: 2, Type: features.Purchase, Quantity: 1}, {Row: 7, Type: features.View, Quantity: 1}, {Row: 9, Type: features.Purchase, Quantity: 1}}
		r := &features.Request{Shopper: &features.Shopper{Recent: history, Consent: features.AllPurposes}}
		got := make([]float32, dim)
		if !m.Embed(r, got) {
			t.Fatal("got no vector")
		}
		w := make([]float64, items)
		for i := range history {
			w[history[i].Row] = float64(m.weigher.Of(&history[i]))
		}
		lambda := p.Regularisation
		if p.ByCount {
			lambda *= float64(len(history))
		}
		var x [dim]float64
		for range 200_000 {
			var g [dim]float64
			for row := range items {
				confidence, target := p.Unobserved, 0.
				if w[row] > 0 {
					confidence, target = p.Unobserved+p.Alpha*w[row], 1
				}
				miss := -target
				for k := range dim {
					miss += x[k] * float64(vectors[row*dim+k])
				}
				for k := range dim {
					g[k] += confidence * miss * float64(vectors[row*dim+k])
				}
			}
			for k := range dim {
				x[k] -= .005 * (g[k] + lambda*x[k])
			}
		}
		for k := range dim {
			if math.Abs(x[k]-float64(got[k])) > 1e-4 {
				t.Fatalf("%+v: got %v, want %v", p, got, x)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for name, f := range map[string]func() (*Model, error){
		"nothing":        func() (*Model, error) { return New(nil, 2, Defaults()) },
		"no dimension":   func() (*Model, error) { return New([]float32{1}, 0, Defaults()) },
		"uneven":         func() (*Model, error) { return New([]float32{1, 2, 3}, 2, Defaults()) },
		"NaN":            func() (*Model, error) { return New([]float32{1, nan}, 2, Defaults()) },
		"regularisation": func() (*Model, error) { return New([]float32{1}, 1, Params{Alpha: 1}) },
		"no confidence":  func() (*Model, error) { return New([]float32{1}, 1, Params{Regularisation: 1}) },
	} {
		if _, err := f(); !errors.Is(err, models.ErrParams) {
			t.Errorf("%s: got error %v, want ErrParams", name, err)
		}
	}
}
