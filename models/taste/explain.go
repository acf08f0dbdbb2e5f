package taste

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// confirmed is how many candidates Confirm puts to the test.
const confirmed = 3

// Confirm returns the evidence among candidates whose absence lowers item's
// score most, by scoring the request again without the candidate's
// interactions. Only the first few are tried: the caller sorts by what it
// expects. False when no score falls.
func (w *Weigher) Confirm(m models.Scorer, r *features.Request, item features.Row, candidates []features.Row) (models.Evidence, bool) {
	history := r.History()
	if len(history) == 0 {
		return models.Evidence{Item: features.NoRow}, false
	}
	again, shopper := *r, *r.Shopper
	again.Shopper, again.Scratch = &shopper, new(features.Scratch)
	items, score := []features.Row{item}, make([]float32, 1)
	m.Score(&again, items, score)
	before := score[0]
	best := models.Evidence{Item: features.NoRow}
	rest := make([]features.Interaction, 0, len(history))
	for _, c := range candidates[:min(len(candidates), confirmed)] {
		if c == item {
			continue
		}
		rest = rest[:0]
		for i := range history {
			if history[i].Row != c {
				rest = append(rest, history[i])
			}
		}
		after := float32(0) // of a shopper of whom nothing is known
		if len(rest) > 0 {
			shopper.Recent = rest
			again.Scratch.Reset()
			m.Score(&again, items, score)
			after = score[0]
		}
		if fall := before - after; fall > best.Contribution {
			best = models.Evidence{Item: c, Type: w.Strongest(history, c), Contribution: fall}
		}
	}
	return best, best.Item != features.NoRow
}
