package hybrid

import (
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// without names the request that lacks one item of the history.
type without struct {
	model *Model
	item  features.Row
}

// certain is the fall of a score, in deviations of the catalogue's scores, from
// which on the parts' own account of it is believed without scoring the request
// again: a smaller one may be outweighed by what they leave out.
const certain = .05

// Explain implements models.Explainer: the item of the history without which
// the sum falls most. Parts that are models.Attributor say what it rests on;
// what the others name, and what makes a small difference only, is put to the
// test by scoring the request without it. Where r has a Scratch that is in use,
// it allocates nothing for the former.
func (m *Model) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	none := models.Evidence{Item: features.NoRow}
	history := r.History()
	if len(history) == 0 {
		return none, false
	}
	r = r.WithScratch()
	rows := taste.Items(r)
	falls := r.Scratch.Floats(len(rows))
	var named [maxNamed]features.Row
	n, attributed := 1, false // named[0] is the best of what is attributed
	for i, part := range m.parts {
		if m.weights[i] == 0 {
			continue
		}
		switch part := part.Model.(type) {
		case models.Attributor:
			if m.attribute(i, part, r, item, rows, 1, falls) {
				attributed = true
			}
		case models.Explainer:
			if m.weights[i] < 0 {
				continue
			}
			if ev, ok := part.Explain(r, item); ok && n < len(named) {
				named[n] = ev.Item
				n++
			}
		}
	}
	best := -1
	if attributed {
		best = taste.Weightiest(rows, falls, item)
	}
	if best >= 0 && n == 1 && falls[best] >= certain {
		return models.Evidence{Item: rows[best], Type: taste.Did(history, rows[best]), Contribution: falls[best]}, true
	}
	from := 1
	if best >= 0 {
		from, named[0] = 0, rows[best]
	}
	return m.prove(r, item, named[from:n])
}

// attributed is what a part's moments rest on, by its address in keys.
type attributed struct{ key *int }

// rests is by how much the moments of a part would fall without each of rows.
func (m *Model) rests(part int, a models.Attributor, r *features.Request, moments []float32, rows []features.Row) ([]float32, bool) {
	n := len(rows)
	return r.Scratch.Vector(attributed{&m.keys[part]}, 2*n, func(dst []float32) bool {
		all := models.Moments{Mean: moments[0], Deviation: moments[1]}
		if g := m.gauges[part]; g != nil {
			vec, _ := g.vector(r)
			all.Centre, all.Lean = g.mean, r.Scratch.Floats(len(vec))
			linalg.DotRows(vec, g.spread.Data, all.Lean)
			linalg.Scale(1/moments[1], all.Lean)
		}
		return a.AttributeMoments(r, all, rows, dst[:n], dst[n:])
	})
}

// attribute adds to falls what the standardised score of item in a part rests
// on, times scale. With z = (s − μ)/σ that is (ds − dμ − z·dσ)/σ.
func (m *Model) attribute(part int, a models.Attributor, r *features.Request, item features.Row, rows []features.Row, scale float32, falls []float32) bool {
	items, weights := r.Scratch.Rows(1), r.Scratch.Floats(1)
	items[0], weights[0] = item, scale
	return m.attributeSum(part, a, r, items, weights, rows, falls)
}

func (m *Model) attributeSum(part int, a models.Attributor, r *features.Request, items []features.Row, weights []float32, rows []features.Row, falls []float32) bool {
	moments, ok := r.Scratch.Vector(&m.keys[part], 2, func(dst []float32) bool { return m.moments(part, r, dst) })
	if !ok {
		return false
	}
	rests, ok := m.rests(part, a, r, moments, rows)
	if !ok {
		return false
	}
	n := len(rows)
	scores, scaled := r.Scratch.Floats(len(items)), r.Scratch.Floats(len(items))
	m.parts[part].Model.Score(r, items, scores)
	var sum, leaning float32
	for i, w := range weights {
		if w == 0 || scores[i] != scores[i] {
			continue
		}
		scaled[i] = w * m.weights[part] / moments[1]
		sum += scaled[i]
		leaning += scaled[i] * (scores[i] - moments[0]) / moments[1]
	}
	if sum == 0 && leaning == 0 || !a.AttributeSum(r, items, scaled, rows, falls) {
		return false
	}
	for i := range falls {
		falls[i] -= sum*rests[i] + leaning*rests[n+i]
	}
	return true
}

// Attribute implements models.Attributor for the parts that are one.
func (m *Model) Attribute(r *features.Request, item features.Row, rows []features.Row, scale float32, out []float32) bool {
	if r.Scratch == nil {
		return false
	}
	items, weights := r.Scratch.Rows(1), r.Scratch.Floats(1)
	items[0], weights[0] = item, scale
	return m.AttributeSum(r, items, weights, rows, out)
}

// AttributeSum implements models.Attributor for the parts that are one.
func (m *Model) AttributeSum(r *features.Request, items []features.Row, weights []float32, rows []features.Row, out []float32) bool {
	if r.Scratch == nil {
		return false
	}
	done := false
	for i, part := range m.parts {
		if a, ok := part.Model.(models.Attributor); ok && m.weights[i] != 0 {
			done = m.attributeSum(i, a, r, items, weights, rows, out) || done
		}
	}
	return done
}

// AttributeMoments implements models.Attributor; a hybrid is no part of another.
func (m *Model) AttributeMoments(*features.Request, models.Moments, []features.Row, []float32, []float32) bool {
	return false
}

// maxNamed bounds the items that are put to the test.
const maxNamed = 16

// prove scores the request without each of the named items.
func (m *Model) prove(r *features.Request, item features.Row, named []features.Row) (models.Evidence, bool) {
	best := models.Evidence{Item: features.NoRow}
	if len(named) == 0 {
		return best, false
	}
	history := r.History()
	items, score := r.Scratch.Rows(1), r.Scratch.Floats(1)
	items[0] = item
	m.Score(r, items, score)
	before := score[0]
	again, shopper := *r, *r.Shopper
	again.Shopper = &shopper
	for i, row := range named {
		if slices.Contains(named[:i], row) {
			continue
		}
		shopper.Recent = taste.Without(make([]features.Interaction, 0, len(history)), history, row)
		again.Scratch = r.Scratch.Nested(without{m, row}) // shared with the other items this one explains
		m.Score(&again, items, score)
		if fall := before - score[0]; fall > best.Contribution {
			best = models.Evidence{Item: row, Type: taste.Did(history, row), Contribution: fall}
		}
	}
	return best, best.Item != features.NoRow
}
