package ltr

import (
	"fmt"

	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
)

// KindName is the kind's name.
const KindName = "ltr"

// Params are a fitted ranker as data: what goes in, and what was learnt of it.
type Params struct {
	Models  []string  `json:"models"`           // whose scores go in, in this order
	Sources []string  `json:"sources"`          // whose candidates are told apart
	Signals []string  `json:"signals"`          // of features/signal
	Mean    []float32 `json:"mean,omitempty"`   // by input
	Scale   []float32 `json:"scale,omitempty"`  // by input: 1 over the deviation, 0 where it is constant
	Linear  []float32 `json:"linear,omitempty"` // by input
	Hidden  int       `json:"hidden"`           // units of the hidden layer; 0: none
	Inner   []float32 `json:"inner,omitempty"`  // inputs x Hidden
	Bias    []float32 `json:"bias,omitempty"`   // Hidden
	Outer   []float32 `json:"outer,omitempty"`  // Hidden
	Slope   float64   `json:"slope,omitempty"`  // of the calibration: the score is σ(slope·x + shift)
	Shift   float64   `json:"shift,omitempty"`
	Story   *Story    `json:"story,omitempty"`
}

// Story is how the ranker was chosen.
type Story struct {
	Lists      int                `json:"lists"`           // requests that were learnt from
	Shown      int                `json:"shown,omitempty"` // of those, answers that were shown, with places
	Validation int                `json:"validation"`      // requests that were chosen on
	NDCG       map[string]float64 `json:"ndcg"`            // at 10 on validation, by what was tried
	Chosen     string             `json:"chosen"`
	Formula    string             `json:"formula,omitempty"` // of the regression
	Importance []Importance       `json:"importance"`
}

// Importance is by how much NDCG at 10 falls on validation when an input's
// numbers are dealt out anew among all candidates.
type Importance struct {
	Name string  `json:"name"`
	Fall float64 `json:"fall"`
}

// Defaults are no ranker: what goes in, without anything learnt.
func Defaults() Params { return Params{} }

func (p *Params) width() (int, *signal.Set, error) {
	set, err := signal.NewSet(p.Signals...)
	if err != nil {
		return 0, nil, err
	}
	if len(p.Signals) == 0 {
		if set, err = signal.SetOf(); err != nil {
			return 0, nil, err
		}
	}
	return len(p.Models) + 1 + len(p.Sources) + set.Width() + 1, set, nil
}

func (p *Params) check(width int) error {
	for _, part := range []struct {
		name string
		x    []float32
		want int
	}{
		{"mean", p.Mean, width}, {"scale", p.Scale, width}, {"linear", p.Linear, width},
		{"inner", p.Inner, width * p.Hidden}, {"bias", p.Bias, p.Hidden}, {"outer", p.Outer, p.Hidden},
	} {
		if len(part.x) != part.want {
			return fmt.Errorf("%w: %s has %d numbers: expected %d for %d inputs and %d hidden units", models.ErrParams, part.name, len(part.x), part.want, width, p.Hidden)
		}
		for _, v := range part.x {
			if v-v != 0 {
				return fmt.Errorf("%w: %s has a number that is not finite", models.ErrParams, part.name)
			}
		}
	}
	return models.CheckRange("slope", p.Slope, 1e-9, 1e9)
}
