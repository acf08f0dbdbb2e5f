package ltr

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

var _ models.Explainer = (*Model)(nil)

// certain is the fall of a score before calibration from which on an item of
// the history is called its evidence: a smaller one may be outweighed by what a
// first-order account leaves out.
const certain = .015

// Explain implements models.Explainer for an item that was ranked with r's
// Scratch since its Reset. What the score rests on is worked out to first
// order: the slope of the network at the item's inputs, times by how much each
// model's standardised score would fall without each item of the history. What
// the candidates' own mean and deviation would lose is taken off.
func (m *Model) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	none := models.Evidence{Item: features.NoRow}
	rows, falls := m.falls(r, item)
	best := -1
	for j, fall := range falls {
		if fall >= certain && rows[j] != item && (best < 0 || fall > falls[best]) {
			best = j
		}
	}
	if best < 0 {
		return none, false
	}
	p := m.params.Slope * float64(falls[best])
	return models.Evidence{Item: rows[best], Type: taste.Did(r.History(), rows[best]), Contribution: float32(p)}, true
}

// RestsOn reports whether the score of an item that was ranked rests on
// evidence, an item of the history.
func (m *Model) RestsOn(r *features.Request, item, evidence features.Row) bool {
	rows, falls := m.falls(r, item)
	for j, row := range rows {
		if row == evidence {
			return falls[j] >= certain
		}
	}
	return false
}

// falls is the distinct items of the history, and by how much the score of
// item, before calibration, would fall without each; none where item was not
// ranked.
func (m *Model) falls(r *features.Request, item features.Row) ([]features.Row, []float32) {
	if r.Scratch == nil || len(r.History()) == 0 {
		return nil, nil
	}
	kept, width, parts := r.Scratch.Kept(&m.params), m.inputs.Width(), len(m.inputs.parts)
	if kept == nil {
		return nil, nil
	}
	n := (len(kept) - parts) / (1 + width)
	at := -1
	for i, bits := range kept[parts : parts+n] {
		if features.Row(math.Float32bits(bits)) == item { // #nosec G115 -- as it was put there
			at = i
			break
		}
	}
	if at < 0 {
		return nil, nil
	}
	x := kept[parts+n:]
	slopes := m.slopes(r, x[at*width:(at+1)*width])
	rows := taste.Items(r)
	falls := r.Scratch.Floats(len(rows))
	for k, part := range m.inputs.parts {
		a, ok := part.Model.(models.Attributor)
		scale := slopes[k] * m.params.Scale[k] * kept[k]
		if !ok || scale == 0 {
			continue
		}
		rests, ok := r.Scratch.Vector(&m.keys[k], 2*len(rows), func(dst []float32) bool {
			return m.rests(r, a, k, n, kept, rows, dst)
		})
		if !ok || !a.Attribute(r, item, rows, scale, falls) {
			continue
		}
		z := x[at*width+k]
		for j := range falls {
			falls[j] -= scale * (rests[j] + z*rests[len(rows)+j])
		}
	}
	return rows, falls
}

// rests is by how much the mean and the deviation of a part's scores over the n
// candidates would fall without each of rows.
func (m *Model) rests(r *features.Request, a models.Attributor, part, n int, kept []float32, rows []features.Row, dst []float32) bool {
	width, parts := m.inputs.Width(), len(m.inputs.parts)
	items, even, leaning := r.Scratch.Rows(n), r.Scratch.Floats(n), r.Scratch.Floats(n)
	for i := range items {
		items[i] = features.Row(math.Float32bits(kept[parts+i])) // #nosec G115 -- as it was put there
		even[i] = 1 / float32(n)
		leaning[i] = kept[parts+n+i*width+part] / float32(n)
	}
	if both, ok := a.(models.PairAttributor); ok {
		return both.AttributeSums(r, items, even, leaning, rows, dst[:len(rows)], dst[len(rows):])
	}
	return a.AttributeSum(r, items, even, rows, dst[:len(rows)]) && a.AttributeSum(r, items, leaning, rows, dst[len(rows):])
}

// slopes is the gradient of the network at inputs x, by standardised input, 0
// for one that is out of bounds.
func (m *Model) slopes(r *features.Request, x []float32) []float32 {
	p := &m.params
	own, g := r.Scratch.Floats(len(x)), r.Scratch.Floats(len(x))
	copy(own, x)
	p.standardise(own)
	copy(g, p.Linear)
	if p.Hidden > 0 {
		units := r.Scratch.Floats(p.Hidden)
		linalg.AxpyRows(own, p.Inner, units)
		for j, v := range units {
			if units[j] = 0; v+p.Bias[j] > 0 {
				units[j] = p.Outer[j]
			}
		}
		inner := r.Scratch.Floats(len(x))
		linalg.DotRows(units, p.Inner, inner)
		linalg.Axpy(1, inner, g)
	}
	for k, v := range own {
		if v >= extreme || v <= -extreme {
			g[k] = 0
		}
	}
	return g
}
