package multitask

import (
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/training"
)

// KindName is the name of the kind.
const KindName = "multitask"

// Params are the parameters of "multitask".
type Params struct {
	Shape
	ClickWeight    float64 `json:"click_weight"` // of the goals' losses; 0 leaves a goal out
	CartWeight     float64 `json:"cart_weight"`
	PurchaseWeight float64 `json:"purchase_weight"`
	ClickValue     float64 `json:"click_value"` // a score is Σ value·probability over the goals
	CartValue      float64 `json:"cart_value"`
	PurchaseValue  float64 `json:"purchase_value"`
	Negatives      int     `json:"negatives"` // items never met that are drawn for each one met, where a shopper has no impressions
	Batch          int     `json:"batch"`     // candidates a step, about
	Epochs         int     `json:"epochs"`
	Rate           float64 `json:"rate"`
	Decay          float64 `json:"decay"`
	Calibrate      float64 `json:"calibrate"` // share of shoppers kept from training to calibrate on; 0: no calibration
	Patience       int     `json:"patience"`  // epochs without a better NDCG@10 on validation before stopping; 0 runs all

	Events map[string]float64 `json:"events,omitempty"` // event weights as resolved at training
}

// Defaults are the parameters that are used where none are given.
func Defaults() Params {
	return Params{
		Shape:       Shape{Dim: 32, Shared: 32, Experts: 3, Tower: 16, Chain: true},
		ClickWeight: 1, CartWeight: 1, PurchaseWeight: 1, PurchaseValue: 1,
		Negatives: 8, Batch: 2048, Epochs: 12, Rate: .002, Decay: .01, Calibrate: .05, Patience: 3,
	}
}

func (p *Params) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"dim", float64(p.Dim), 1, 512}, {"shared", float64(p.Shared), 1, 2048}, {"experts", float64(p.Experts), 1, 64},
		{"tower", float64(p.Tower), 1, 2048},
		{"click_weight", p.ClickWeight, 0, 1e3}, {"cart_weight", p.CartWeight, 0, 1e3}, {"purchase_weight", p.PurchaseWeight, 0, 1e3},
		{"click_value", p.ClickValue, 0, 1e6}, {"cart_value", p.CartValue, 0, 1e6}, {"purchase_value", p.PurchaseValue, 0, 1e6},
		{"sum of weights", p.ClickWeight + p.CartWeight + p.PurchaseWeight, 1e-6, 1e4},
		{"sum of values", p.ClickValue + p.CartValue + p.PurchaseValue, 1e-6, 1e7},
		{"negatives", float64(p.Negatives), 1, 1000}, {"batch", float64(p.Batch), 1, 1 << 20}, {"epochs", float64(p.Epochs), 1, 10_000},
		{"rate", p.Rate, 1e-7, 1}, {"decay", p.Decay, 0, 10}, {"calibrate", p.Calibrate, 0, .5}, {"patience", float64(p.Patience), 0, 10_000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

func (p *Params) weights() [Goals]float64 {
	return [Goals]float64{p.ClickWeight, p.CartWeight, p.PurchaseWeight}
}

func (p *Params) values() [Goals]float32 {
	return [Goals]float32{float32(p.ClickValue), float32(p.CartValue), float32(p.PurchaseValue)}
}

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: KindName, Summary: "click, cart and purchase by one network: a ranker of candidates", Defaults: Defaults(),
		Fit:  training.Fit(KindName, newTrainer, (*trainer).run),
		Open: open,
		Space: []models.Range{
			{Param: "dim", Values: []any{16, 32, 64}},
			{Param: "experts", Values: []any{1, 3, 6}},
			{Param: "rate", Low: .0005, High: .005, Log: true},
			{Param: "cart_weight", Low: .1, High: 3, Log: true},
			{Param: "click_weight", Low: .1, High: 3, Log: true},
		},
	}
}
