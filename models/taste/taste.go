// Package taste turns a history into one number per item: how much the shopper
// has shown to like it, or with a number below 0 to dislike it. Training and
// serving weigh through the same Weigher, so a model sees one history.
//
// It imports models and what lies below. Start reading at Weigher.
package taste

import (
	"math"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// Options is the part of a kind's parameters that says how histories weigh.
type Options struct {
	// Recency is the half-life of an interaction, in newer interactions of the
	// same shopper: one with n newer counts .5^(n/Recency). 0: age does not
	// matter. It has no effect on histories without times.
	Recency float64 `json:"recency"`
	// RecencyInTraining makes training weigh by age too. Without it the model
	// learns from all that was ever done, and only the answer leans on what is
	// recent.
	RecencyInTraining bool `json:"recency_in_training"`
	// Stars are the factors on a rating's or review's weight for 1 to 5 stars;
	// none: those of models.EventWeights.
	Stars []float64 `json:"stars,omitempty"`
	// Events are the weights by event type as resolved at training; a caller
	// sets models.FitInput.Weights instead.
	Events map[string]float64 `json:"events,omitempty"`
}

// Weigher weighs histories. It is immutable and safe for concurrent use.
type Weigher struct {
	options   Options
	events    models.EventWeights
	stars     []float32
	ages      [agesKept]float32 // by how many are newer, at the options' recency
	questions sync.Pool         // of *question
}

// agesKept is how many factors of ages are kept; the others are worked out.
const agesKept = 256

// New returns the weigher of o, with byName (FitInput.Weights) put over
// o.Events. Errors are models.ErrParams.
func New(o Options, byName map[string]float64) (*Weigher, error) {
	if err := models.CheckRange("recency", o.Recency, 0, 1e6); err != nil {
		return nil, err
	}
	if n := len(o.Stars); n != 0 {
		if err := models.CheckRange("number of stars", float64(n), 5, 5); err != nil {
			return nil, err
		}
	}
	w := &Weigher{options: o}
	for newer := range w.ages {
		w.ages[newer] = ageOf(newer, o.Recency)
	}
	for _, s := range o.Stars {
		if err := models.CheckRange("stars", s, -100, 100); err != nil {
			return nil, err
		}
		w.stars = append(w.stars, float32(s))
	}
	merged := make(map[string]float64, len(o.Events)+len(byName))
	for name, v := range o.Events {
		merged[name] = v
	}
	for name, v := range byName {
		merged[name] = v
	}
	var err error
	if w.events, err = models.WeightsOf(merged); err != nil {
		return nil, err
	}
	if len(merged) > 0 {
		w.options.Events = merged
	}
	return w, nil
}

// Options are those the weigher was made of, event weights merged in: what a
// model keeps to weigh the same later.
func (w *Weigher) Options() Options { return w.options }

// Of is the weight of one interaction, its age left out.
func (w *Weigher) Of(it *features.Interaction) float32 {
	if w.stars != nil && (it.Type == features.Rating || it.Type == features.Review) && it.Value >= 1 {
		return w.events[it.Type] * w.stars[min(int(it.Value+.5), 5)-1]
	}
	return w.events.Of(it)
}

// Profile is a history weighed: an entry for each item whose weights do not
// cancel out, in the order in which the items were first met.
type Profile struct {
	Rows    []int32
	Weights []float32
}

// Likes is the sum of the weights above 0.
func (p Profile) Likes() float32 {
	var s float32
	for _, w := range p.Weights {
		s += max(w, 0)
	}
	return s
}

// Profile weighs history, rows at and past items left out. The weights of an
// item's interactions are summed, so a return takes back its purchase; above 1
// only the logarithm of the sum counts. The result belongs to s.
func (w *Weigher) Profile(history []features.Interaction, items int, s *features.Scratch) Profile {
	return w.profile(history, items, w.options.Recency, s)
}

func (w *Weigher) profile(history []features.Interaction, items int, recency float64, s *features.Scratch) Profile {
	n := len(history)
	if n == 0 {
		return Profile{}
	}
	size := 1
	for size < 2*n {
		size *= 2
	}
	slots, rows, weights := s.Ints(size), s.Ints(n), s.Floats(n)
	ages := w.agesOf(history, recency, s)
	found := 0
	for i := range history {
		it := &history[i]
		v := w.Of(it)
		if v == 0 || it.Row < 0 || int(it.Row) >= items {
			continue
		}
		if ages != nil {
			v *= ages[i]
		}
		at := int(uint32(it.Row)*2654435769>>7) & (size - 1)
		for slots[at] != 0 && rows[slots[at]-1] != int32(it.Row) {
			at = (at + 1) & (size - 1)
		}
		if slots[at] == 0 {
			rows[found] = int32(it.Row)
			found++
			slots[at] = int32(found)
		}
		weights[slots[at]-1] += v
	}
	kept := 0
	for i := range found {
		if v := damp(weights[i]); v != 0 {
			rows[kept], weights[kept] = rows[i], v
			kept++
		}
	}
	return Profile{Rows: rows[:kept], Weights: weights[:kept]}
}

// ageOf is the factor of an interaction by how many are newer.
func ageOf(newer int, recency float64) float32 {
	return float32(math.Exp2(-float64(newer) / recency))
}

// agesOf is the factor of each interaction; nil: all 1. Interactions of the same
// millisecond are of one age.
func (w *Weigher) agesOf(history []features.Interaction, recency float64, s *features.Scratch) []float32 {
	if recency <= 0 {
		return nil
	}
	ages := s.Floats(len(history))
	counted, newer := 0, 0
	var now int64
	for i := len(history) - 1; i >= 0; i-- {
		if t := history[i].TimeMS; counted == 0 || t != now {
			now, newer = t, counted
		}
		if newer < agesKept && recency == w.options.Recency {
			ages[i] = w.ages[newer]
		} else {
			ages[i] = ageOf(newer, recency)
		}
		if w.Of(&history[i]) != 0 {
			counted++
		}
	}
	return ages
}

// damp lets repeated interactions count by their logarithm.
func damp(v float32) float32 {
	switch {
	case v > 1:
		return 1 + float32(math.Log(float64(v)))
	case v < -1:
		return -1 - float32(math.Log(float64(-v)))
	case v > -1e-6 && v < 1e-6:
		return 0
	}
	return v
}

// Strongest is the type of the interaction with row that weighs most in
// history, EventUnknown when there is none that weighs.
func (w *Weigher) Strongest(history []features.Interaction, row features.Row) features.EventType {
	best, of := float32(0), features.EventUnknown
	for i := range history {
		if v := w.Of(&history[i]); history[i].Row == row && v >= best && v > 0 {
			best, of = v, history[i].Type
		}
	}
	return of
}
