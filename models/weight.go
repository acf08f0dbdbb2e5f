package models

import (
	"fmt"
	"sort"

	"github.com/attune-rec/attune/features"
)

// EventWeights says how much an event of each type speaks for its item, by
// EventType: 1 is a purchase, 0 says nothing, below 0 speaks against it.
type EventWeights [32]float32

// DefaultWeights are the weights every kind starts from. Impressions count for
// nothing here: a shop shows what it likes, not what the shopper likes.
func DefaultWeights() EventWeights {
	var w EventWeights
	w[features.Purchase] = 1
	w[features.Rating] = 1
	w[features.Review] = 1
	w[features.Like] = .8
	w[features.CartAdd] = .6
	w[features.WishAdd] = .5
	w[features.Share] = .5
	w[features.Comment] = .3
	w[features.View] = .2
	w[features.Click] = .15
	w[features.Dwell] = .1
	w[features.CartRemove] = -.3
	w[features.WishRemove] = -.3
	w[features.Return] = -1
	w[features.NotInterested] = -1
	w[features.Dislike] = -1
	w[features.Hide] = -1
	return w
}

// WeightsOf is the defaults with those of byName put over them (FitInput's
// Weights). An unknown type or a weight outside -100 to 100 is ErrParams.
func WeightsOf(byName map[string]float64) (EventWeights, error) {
	w := DefaultWeights()
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		t, err := features.ParseEventType(name)
		if err != nil {
			return w, fmt.Errorf("%w: weights: %w", ErrParams, err)
		}
		v := byName[name]
		if !(v >= -100 && v <= 100) {
			return w, fmt.Errorf("%w: weight of %s is %v: expected -100 to 100", ErrParams, name, v)
		}
		w[t] = float32(v)
	}
	return w, nil
}

// Of is the weight of one interaction. A rating or review of three stars and
// more, or without stars, has its type's full weight; one of fewer stars has
// half: the shopper chose the item all the same. Quantity and age do not
// matter here.
func (w *EventWeights) Of(it *features.Interaction) float32 {
	if int(it.Type) >= len(w) {
		return 0
	}
	v := w[it.Type]
	if (it.Type == features.Rating || it.Type == features.Review) && it.Value > 0 && it.Value < 3 {
		v *= .5
	}
	return v
}
