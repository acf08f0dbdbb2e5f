package sequence

import (
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/taste"
)

// Params are the parameters of the networks. Those at 0 (Dropout and Patience:
// below 0) are chosen from the size of the data, by the same rule for all data; a fitted
// model has the chosen values.
type Params struct {
	Dim        int     `json:"dim"`         // of item vectors and of the state
	Layers     int     `json:"layers"`      // recurrent layers or blocks of attention
	Heads      int     `json:"heads"`       // of attention; must divide dim
	Window     int     `json:"window"`      // events that are learnt from at a time, and that attention sees
	Dropout    float64 `json:"dropout"`     //
	Rate       float64 `json:"rate"`        // of learning, at its highest
	Decay      float64 `json:"decay"`       // of weights
	Tokens     int     `json:"tokens"`      // events a step
	Epochs     int     `json:"epochs"`      // the cosine of the rate is planned for so many
	Patience   int     `json:"patience"`    // epochs without a better NDCG@10 on validation before stopping; 0 runs all, below 0: a fifth of them, at least 4
	Clip       float64 `json:"clip"`        // norm of gradients at most; 0: any
	Negatives  int     `json:"negatives"`   // sampled items that a target is held against; 0: chosen, -1: the whole catalogue
	EventTypes bool    `json:"event_types"` // read what was done, where histories have several types
	Gaps       bool    `json:"gaps"`        // read the time since the event before, where histories have times; did not pay where it was measured
	// ItemFeatures adds to an item's vector those of its category, brand, tags,
	// attributes and words, where the catalogue says some.
	ItemFeatures bool `json:"item_features"`

	// Events are the weights by event type as resolved at training; events
	// without a weight above 0 are not read. A caller sets
	// models.FitInput.Weights instead.
	Events map[string]float64 `json:"events,omitempty"`
}

// defaults are those of a family; what is left to choose is 0.
func defaults(family string) Params {
	p := Params{
		Layers: 1, Heads: 2, Dropout: -1, Rate: .003, Patience: -1, Clip: 1, EventTypes: true, ItemFeatures: true,
	}
	if family == KindSASRec {
		p.Layers = 2
	}
	return p
}

func (p *Params) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"dim", float64(p.Dim), 0, 1024},
		{"layers", float64(p.Layers), 1, 8},
		{"heads", float64(p.Heads), 1, 64},
		{"window", float64(p.Window), 0, 512},
		{"dropout", p.Dropout, -1, .95},
		{"rate", p.Rate, 1e-7, 1},
		{"decay", p.Decay, 0, 10},
		{"tokens", float64(p.Tokens), 0, 1 << 20},
		{"epochs", float64(p.Epochs), 0, 10_000},
		{"patience", float64(p.Patience), -1, 10_000},
		{"clip", p.Clip, 0, 1e6},
		{"negatives", float64(p.Negatives), -1, 1 << 16},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	if p.Dim > 0 && p.Dim%p.Heads != 0 {
		return models.CheckRange("dim modulo heads", float64(p.Dim%p.Heads), 0, 0)
	}
	return nil
}

func (p *Params) weigher(byName map[string]float64) (*taste.Weigher, error) {
	return taste.New(taste.Options{Events: p.Events}, byName)
}

// resolve chooses what is left open. density is the events an item has: where
// it is high, wide vectors pay and little dropout is needed; long is a length
// that few histories pass.
func (p *Params) resolve(family string, events, items, long int) {
	density := float64(events) / float64(max(items, 1))
	dense := density >= 60
	if p.Dim == 0 {
		p.Dim = 64
		if dense && family != KindSASRec {
			p.Dim = 128
		}
		p.Dim = (p.Dim + p.Heads - 1) / p.Heads * p.Heads
	}
	if p.Window == 0 {
		p.Window = min(max(long, 50), 200)
	}
	if p.Dropout < 0 {
		p.Dropout = .5
		if dense {
			p.Dropout = .2
		}
	}
	if p.Tokens == 0 {
		p.Tokens = min(max(events/160, 256), 6400)
		if events > 200_000/2 {
			p.Tokens = max(p.Tokens, 2048)
		}
	}
	if p.Negatives == 0 {
		p.Negatives = -1
		if items > whole {
			p.Negatives = sample
		}
	}
	if p.Epochs == 0 {
		p.Epochs = int(min(max(math.Round(12*math.Pow(1e6/float64(max(events, 1)), .4)), 6), 60))
		if family != KindSASRec && !dense {
			p.Epochs = (p.Epochs + 1) / 2
		}
		// The softmax over the catalogue is most of the work of a large one.
		candidates := items
		if p.Negatives > 0 {
			candidates = p.Negatives
		}
		epoch := 6 * float64(events) * float64(candidates) * float64(p.Dim)
		p.Epochs = min(p.Epochs, max(int(budget/epoch), 6))
	}
	if p.Patience < 0 {
		p.Patience = max(4, p.Epochs/5)
	}
}

const (
	whole  = 100_000 // items up to which a target is held against the whole catalogue
	sample = 512     // items it is held against beyond
	budget = 7.8e13  // multiplications that the softmax of all epochs may take, some thirteen minutes of a core
)

// Cost estimates what it takes to fit a network of the kind with its defaults:
// seconds of one core, and bytes of memory.
func Cost(kind string, events, items int) (seconds float64, bytes int64) {
	const (
		rate   = 1e11 // multiplications a second
		around = 6e5  // of an event, besides the softmax
	)
	p := defaults(kind)
	p.resolve(kind, events, items, 50)
	candidates := items
	if p.Negatives > 0 {
		candidates = p.Negatives
	}
	seconds = float64(p.Epochs) * float64(events) * (6*float64(candidates)*float64(p.Dim) + around) / rate
	const copies = 8 // weights, gradients of some workers, moments, the best so far
	return seconds, copies*4*int64(items)*int64(p.Dim+1) + 64*int64(events)
}
