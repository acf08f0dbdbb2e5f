package hybrid

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// without names the request that lacks one item of the history.
type without struct {
	model *Model
	item  features.Row
}

// Explain implements models.Explainer: of what the parts name, the evidence
// without which the sum falls most.
func (m *Model) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	best := models.Evidence{Item: features.NoRow}
	history := r.History()
	if len(history) == 0 {
		return best, false
	}
	items, score := []features.Row{item}, make([]float32, 1)
	again, shopper := *r, *r.Shopper
	again.Shopper = &shopper
	m.Score(r, items, score)
	before := score[0]
	rest := make([]features.Interaction, 0, len(history))
	tried := map[features.Row]bool{}
	for i, part := range m.parts {
		e, ok := part.Model.(models.Explainer)
		if !ok || m.weights[i] <= 0 {
			continue
		}
		ev, ok := e.Explain(r, item)
		if !ok || tried[ev.Item] {
			continue
		}
		tried[ev.Item] = true
		rest = rest[:0]
		for k := range history {
			if history[k].Row != ev.Item {
				rest = append(rest, history[k])
			}
		}
		shopper.Recent = rest
		again.Scratch = r.Scratch.Nested(without{m, ev.Item}) // shared with the other items this one explains
		m.Score(&again, items, score)
		if fall := before - score[0]; fall > best.Contribution {
			best = models.Evidence{Item: ev.Item, Type: ev.Type, Contribution: fall}
		}
	}
	return best, best.Item != features.NoRow
}
