package neural

import (
	"fmt"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/taste"
	"github.com/attune-rec/attune/models/training"
)

// The names of the kinds.
const (
	KindGMF   = "gmf"
	KindMLP   = "mlp"
	KindNeuMF = "neumf"
)

// What the networks can learn by.
const (
	Pointwise = "pointwise" // the cross-entropy of each candidate, met or not
	Pairwise  = "pairwise"  // that what was met ranks above what is drawn against it (Rendle et al. 2009)
)

// Params are the parameters of the kinds.
type Params struct {
	Shape
	Power     float64 `json:"power"`     // a history's vector is its sum by this power of its weight; 0: the sum, 1: the mean
	Loss      string  `json:"loss"`      // pointwise or pairwise
	Negatives int     `json:"negatives"` // items never met that are drawn for each one met
	Batch     int     `json:"batch"`     // candidates a step, about
	Visit     int     `json:"visit"`     // items met that are learnt from at a time, of one shopper
	Epochs    int     `json:"epochs"`
	Rate      float64 `json:"rate"`
	Decay     float64 `json:"decay"`    // of weights, relative to the rate
	Forget    float64 `json:"forget"`   // share of a history that training leaves out of a visit
	Patience  int     `json:"patience"` // epochs without a better NDCG@10 on validation before stopping; 0 runs all
	// ItemFeatures adds to an item's vectors those of its category, brand, tags,
	// attributes and words, where the catalogue says some.
	ItemFeatures bool `json:"item_features"`
	taste.Options
}

func defaults(family string) Params {
	p := Params{
		Shape: Shape{GMF: 64, MLP: 32, Hidden: []int{64, 32, 16}}, Power: .5, Loss: Pointwise, Negatives: 4, Batch: 4096, Visit: 64, Epochs: 20, Rate: .002, Patience: 4,
		ItemFeatures: true,
	}
	switch family {
	case KindGMF:
		p.MLP, p.Hidden = 0, nil
	case KindMLP:
		p.GMF = 0
	}
	return p
}

func (p *Params) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"gmf", float64(p.GMF), 0, 1024}, {"mlp", float64(p.MLP), 0, 1024}, {"gmf and mlp together", float64(p.GMF + p.MLP), 1, 2048},
		{"number of hidden layers", float64(len(p.Hidden)), 0, 8},
		{"power", p.Power, 0, 1}, {"negatives", float64(p.Negatives), 1, 1000}, {"batch", float64(p.Batch), 1, 1 << 20},
		{"visit", float64(p.Visit), 1, 1 << 16}, {"epochs", float64(p.Epochs), 1, 10_000}, {"rate", p.Rate, 1e-7, 1},
		{"decay", p.Decay, 0, 10}, {"forget", p.Forget, 0, .95}, {"patience", float64(p.Patience), 0, 10_000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	for _, h := range p.Hidden {
		if err := models.CheckRange("hidden", float64(h), 1, 4096); err != nil {
			return err
		}
	}
	switch p.Loss {
	case Pointwise, Pairwise:
	case "": // of a model that was saved before there was a choice
		p.Loss = Pointwise
	default:
		return fmt.Errorf("%w: loss is %q: expected %s or %s", models.ErrParams, p.Loss, Pointwise, Pairwise)
	}
	if p.MLP > 0 && len(p.Hidden) == 0 {
		return fmt.Errorf("%w: mlp is %d without hidden layers: give hidden sizes, such as [64, 32, 16]", models.ErrParams, p.MLP)
	}
	return nil
}

// GMF is the kind "gmf": generalised matrix factorisation.
func GMF() models.Kind {
	return kindOf(KindGMF, "generalised matrix factorisation over what was met, by a network")
}

// MLP is the kind "mlp": a perceptron over shopper and item.
func MLP() models.Kind { return kindOf(KindMLP, "a perceptron over what was met and the item") }

// NeuMF is the kind "neumf": both.
func NeuMF() models.Kind {
	return kindOf(KindNeuMF, "neural matrix factorisation: a product and a perceptron over what was met")
}

func kindOf(family, summary string) models.Kind {
	return models.Kind{
		Name: family, Summary: summary, Defaults: defaults(family),
		Fit:  training.Fit(family, func(in models.FitInput) (*trainer, error) { return newTrainer(family, in) }, (*trainer).run),
		Open: func(r models.Reader) (models.Model, error) { return open(family, r) },
		Space: []models.Range{
			{Param: "rate", Low: .0005, High: .005, Log: true},
			{Param: "power", Low: .3, High: .8},
			{Param: "epochs", Low: 5, High: 40, Integer: true},
			{Param: "loss", Values: []any{Pointwise, Pairwise}},
		},
	}
}
