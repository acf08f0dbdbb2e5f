package ltr

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/signal"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// Model is a fitted ranker. Its score of an item is a calibrated chance that
// the shopper takes it, given the candidates it stands among. It is immutable
// and safe for concurrent use.
type Model struct {
	params Params
	inputs *Inputs
	keys   []int // what memoises what a part's moments rest on: the address of an element
	inner  linalg.Matrix

	mean, scale []float32 // of tiled rows, one after the other
}

// tiled is how many rows are standardised at a time.
const tiled = 16

var (
	_ models.Model     = (*Model)(nil)
	_ models.Composite = (*Model)(nil)
	_ models.Chooser   = (*Model)(nil)
)

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: KindName, Summary: "a ranker learnt from replayed requests: models' scores, sources and signals", Defaults: Defaults(),
		Fit: fit, Open: open, Parts: Parts,
	}
}

// Parts is why the kind is a composite: it is given its parts by name.
func Parts(*dataset) []string { return nil }

// fit puts a ranker that was learnt before (see Learn) on in.Parts.
func fit(_ context.Context, in models.FitInput) (models.Model, error) {
	var p Params
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if len(p.Linear) == 0 {
		return nil, fmt.Errorf("%w: a ranker is learnt from replayed requests, not from interactions: train on the log of a shop, with 'trainer fit --data DIR'", models.ErrParams)
	}
	return New(p, in.Parts)
}

// New is the ranker of p over the parts it names.
func New(p Params, parts []models.Part) (*Model, error) {
	inputs, err := NewInputs(p, parts)
	if err != nil {
		return nil, err
	}
	if err := p.check(inputs.Width()); err != nil {
		return nil, err
	}
	m := &Model{params: p, inputs: inputs}
	if p.Hidden > 0 {
		m.inner = linalg.MatrixOf(inputs.Width(), p.Hidden, p.Inner)
	}
	m.keys = make([]int, len(inputs.parts))
	m.mean, m.scale = slices.Repeat(p.Mean, tiled), slices.Repeat(p.Scale, tiled)
	return m, nil
}

// Kind implements models.Model.
func (m *Model) Kind() string { return KindName }

// Items implements models.Model.
func (m *Model) Items() int { return m.inputs.items }

// Parts implements models.Composite.
func (m *Model) Parts() []models.Part { return slices.Clone(m.inputs.parts) }

// Params are what was learnt.
func (m *Model) Params() Params { return m.params }

// Set is the signals that must be folded for the ranker.
func (m *Model) Set() *signal.Set { return m.inputs.set }

// Score implements models.Scorer for items that no source brought.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	m.ScoreFrom(r, items, nil, out)
}

// ScoreFrom scores items in the order in which they were retrieved; from[i] has
// bit s where the s-th of Params.Sources proposed items[i]. It allocates nothing
// where r has a Scratch in use.
func (m *Model) ScoreFrom(r *features.Request, items []features.Row, from []uint64, out []float32) {
	if len(items) == 0 {
		return
	}
	r = r.WithScratch()
	n, width, parts := len(items), m.inputs.Width(), len(m.inputs.parts)
	kept := r.Scratch.Keep(&m.params, parts+n+n*width)
	for i, row := range items {
		kept[parts+i] = math.Float32frombits(uint32(row))
	}
	m.inputs.fill(r, items, from, kept[parts+n:], kept[:parts])
	x := r.Scratch.Room(n * width)
	m.score(x, kept[parts+n:], r.Scratch.Room(n*m.params.Hidden), out)
}

// ScoreInputs scores candidates by inputs that Inputs.Fill gave, row by row.
func (m *Model) ScoreInputs(x []float32) []float32 {
	out := make([]float32, len(x)/m.inputs.Width())
	m.score(make([]float32, len(x)), x, make([]float32, len(out)*m.params.Hidden), out)
	return out
}

// score sets out to what candidates score whose inputs are given, and x to those
// on the scale of training.
func (m *Model) score(x, inputs, hidden, out []float32) {
	for at := 0; at < len(x); at += len(m.mean) {
		some := min(len(m.mean), len(x)-at)
		linalg.Standardise(x[at:at+some], inputs[at:at+some], m.mean[:some], m.scale[:some], extreme)
	}
	m.apply(x, hidden, out)
	for i, v := range out {
		out[i] = float32(1 / (1 + math.Exp(-m.params.Slope*float64(v)-m.params.Shift)))
	}
}

// apply is the network on standardised inputs.
func (m *Model) apply(x, hidden, out []float32) {
	n, width := len(out), m.inputs.Width()
	linalg.DotRows(m.params.Linear, x, out)
	if m.params.Hidden == 0 {
		return
	}
	h := linalg.MatrixOf(n, m.params.Hidden, hidden)
	linalg.Gemm(false, false, 1, linalg.MatrixOf(n, width, x), m.inner, 0, h)
	bias, outer := m.params.Bias[:m.params.Hidden], m.params.Outer[:m.params.Hidden]
	for i, sum := range out {
		out[i] = sum + above(h.Row(i), bias, outer)
	}
}

// above is the sum of what the units give. Four sums run beside each other:
// one addition waits for the one before it.
func above(units, bias, outer []float32) float32 {
	units, outer = units[:len(bias)], outer[:len(bias)]
	var a, b, c, d float32
	j := 0
	for ; j+4 <= len(bias); j += 4 {
		a += positive(units[j]+bias[j]) * outer[j]
		b += positive(units[j+1]+bias[j+1]) * outer[j+1]
		c += positive(units[j+2]+bias[j+2]) * outer[j+2]
		d += positive(units[j+3]+bias[j+3]) * outer[j+3]
	}
	for ; j < len(bias); j++ {
		a += positive(units[j]+bias[j]) * outer[j]
	}
	return (a + b) + (c + d)
}

// positive is v, or 0 where that is below 0, whose sign nothing foretells.
func positive(v float32) float32 {
	b := math.Float32bits(v)
	return math.Float32frombits(b &^ uint32(int32(b)>>31)) // #nosec G115 -- a mask of the sign
}

// standardise brings inputs, row by row, to the scale of training; what is
// unknown becomes the mean.
func (p *Params) standardise(x []float32) {
	width := len(p.Mean)
	for at := 0; at < len(x); at += width {
		row := x[at : at+width]
		linalg.Standardise(row, row, p.Mean, p.Scale, extreme)
	}
}

// extreme bounds an input, in deviations.
const extreme = 6

// Save implements models.Model; the parts are models of the release themselves.
func (m *Model) Save(w models.Writer) error { return w.JSON("ltr", m.params) }

func open(r models.Reader) (models.Model, error) {
	var p Params
	if err := r.JSON("ltr", &p); err != nil {
		return nil, err
	}
	var parts []models.Part
	for _, name := range p.Models {
		part, err := r.Model(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, models.Part{Name: name, Model: part})
	}
	return New(p, parts)
}
