// Package hybrid makes one score of several models': each part's scores are
// standardised for the request, then summed by weight. A part that cannot say
// anything, of a new shopper or of a new item, leaves the others to speak.
//
// It imports models and what lies below. Start reading at Fit.
package hybrid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
)

// KindName is the kind's name.
const KindName = "hybrid"

// Params are the kind's parameters.
type Params struct {
	Weights map[string]float64 `json:"weights,omitempty"` // by part; one that is not named weighs 1; none: learnt on validation
	Learner string             `json:"learner"`           // of weights: Listwise or Linear
	// Anchors are the items whose scores standardise those of a part without
	// vectors; all where there are fewer.
	Anchors int `json:"anchors"`
	// Recipe is the parts to fit and their weights, where no parts are given;
	// none: they are chosen on a part of the data that is held out.
	Recipe []Choice `json:"recipe,omitempty"`
	// Story is how Recipe was chosen; the model keeps it.
	Story *Story `json:"story,omitempty"`
	// Content is parameters of kind "content", such as its embeddings, for one
	// more part that is tried where no parts are given; none: it is not.
	Content json.RawMessage `json:"content,omitempty"`
	// BudgetSeconds is how long choosing and fitting the parts may take, by the
	// processor time of each worker: a busy machine does not change what is
	// chosen. What is begun is ended.
	BudgetSeconds float64 `json:"budget_seconds"`
	MemoryMB      int     `json:"memory_mb"` // no part is tried that would take more
}

// Defaults are the parameters that are used where none are given.
func Defaults() Params {
	return Params{Learner: Listwise, Anchors: 100_000, BudgetSeconds: 1800, MemoryMB: 4000}
}

func (p *Params) check() error {
	if p.Learner != Listwise && p.Learner != Linear {
		return fmt.Errorf("%w: learner is %q: expected %s or %s", models.ErrParams, p.Learner, Listwise, Linear)
	}
	if err := models.CheckRange("anchors", float64(p.Anchors), 2, 1e7); err != nil {
		return err
	}
	if err := models.CheckRange("budget_seconds", p.BudgetSeconds, 0, 1e7); err != nil {
		return err
	}
	return models.CheckRange("memory_mb", float64(p.MemoryMB), 1, 1e7)
}

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: KindName, Summary: "a weighted sum of other models' standardised scores", Defaults: Defaults(), Fit: Fit, Open: Open,
		Parts: Parts,
	}
}

// Parts names no kind: where nobody gives parts, Fit chooses and fits its own.
func Parts(*dataset.Dataset) []string { return nil }

// Model is parts and their weights. It implements models.Model, BatchScorer,
// Explainer and Composite.
type Model struct {
	parts   []models.Part
	weights []float32
	gauges  []*gauge // by part; nil where anchors standardise
	keys    []int    // what memoises a part's moments: the address of an element
	anchors []features.Row
	items   int
	met     *features.Bitmap // items that anyone had in training; nil: all
	params  Params
	story   *Story // how the parts were chosen; nil: they were given
}

var (
	_ models.Model       = (*Model)(nil)
	_ models.BatchScorer = (*Model)(nil)
	_ models.Explainer   = (*Model)(nil)
	_ models.Composite   = (*Model)(nil)
	_ models.Chooser     = (*Model)(nil)
)

// Fit puts in.Parts together, which must have been trained on the items of
// in.Train. With in.Validate and no weights given, the weights are learnt on it
// (see Learn); without, or where nothing can be learnt, every part weighs 1.
// Without in.Parts it chooses and fits its own by in.Kinds.
func Fit(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := Defaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	if len(in.Parts) == 0 && in.Kinds != nil {
		return fitOwn(ctx, in, p)
	}
	if len(p.Weights) == 0 && in.Validate != nil && len(in.Parts) > 0 {
		learnt, err := Learn(ctx, in.Parts, in.Train, in.Validate, LearnOptions{Seed: in.Seed, Workers: in.Workers, Learner: p.Learner})
		switch {
		case err == nil:
			p.Weights = learnt.Weights
		case !errors.Is(err, ErrNothingToLearn):
			return nil, err
		}
	}
	return put(in, in.Parts, p)
}

// put makes the model of fitted parts.
func put(in models.FitInput, parts []models.Part, p Params) (*Model, error) {
	n := in.Train.NumItems()
	rows := make([]features.Row, n)
	for i := range rows {
		rows[i] = features.Row(i) // #nosec G115 -- rows are int32 by contract
	}
	if n > p.Anchors {
		random := rand.New(rand.NewPCG(in.Seed, 0xa7c))
		random.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		rows = rows[:p.Anchors]
		slices.Sort(rows)
	}
	m, err := build(parts, p.Weights, rows, n)
	if err != nil {
		return nil, err
	}
	m.params, m.met = p, features.NewBitmap(n)
	for i := range in.Train.Log {
		m.met.Set(in.Train.Log[i].Row)
	}
	m.measure(in.Workers)
	return m, nil
}

// measure gauges the parts that have vectors.
func (m *Model) measure(workers int) {
	if workers <= 0 {
		workers = linalg.Workers()
	}
	m.gauges = make([]*gauge, len(m.parts))
	for i, part := range m.parts {
		m.gauges[i] = gaugeOf(part.Model, workers)
	}
}

func build(parts []models.Part, weights map[string]float64, anchors []features.Row, items int) (*Model, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%w: hybrid has no parts: name at least one other model", models.ErrParams)
	}
	m := &Model{parts: slices.Clone(parts), keys: make([]int, len(parts)), anchors: anchors, items: items}
	sort.Slice(m.parts, func(a, b int) bool { return m.parts[a].Name < m.parts[b].Name })
	known := map[string]bool{}
	for _, part := range m.parts {
		if part.Model.Items() != items {
			return nil, fmt.Errorf("%w: part %q knows %d items: expected %d", models.ErrParams, part.Name, part.Model.Items(), items)
		}
		w := 1.
		if given, ok := weights[part.Name]; ok {
			w = given
		}
		if err := models.CheckRange("weight of "+part.Name, w, -1000, 1000); err != nil {
			return nil, err
		}
		known[part.Name] = true
		m.weights = append(m.weights, float32(w))
	}
	for name := range weights {
		if !known[name] {
			return nil, fmt.Errorf("%w: weights name %q, which is not a part", models.ErrParams, name)
		}
	}
	return m, nil
}

// Kind implements models.Model.
func (m *Model) Kind() string { return KindName }

// Items implements models.Model.
func (m *Model) Items() int { return m.items }

// Parts implements models.Composite.
func (m *Model) Parts() []models.Part { return slices.Clone(m.parts) }

// Weights is each part's weight, by name.
func (m *Model) Weights() map[string]float64 {
	w := make(map[string]float64, len(m.parts))
	for i, part := range m.parts {
		w[part.Name] = float64(m.weights[i])
	}
	return w
}

// Score implements models.Scorer. An item that no part can score is NaN. Of an
// item that nobody met, a part that scores exactly 0 says nothing, and those
// that say something speak for all: their sum is scaled to the weight of all
// the parts that know the shopper.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	r = r.WithScratch()
	one := r.Scratch.Floats(len(items))
	heard := r.Scratch.Floats(len(items))
	clear(out)
	total := float32(0)
	for i, part := range m.parts {
		moments, ok := r.Scratch.Vector(&m.keys[i], 2, func(dst []float32) bool { return m.moments(i, r, dst) })
		if !ok || m.weights[i] == 0 {
			continue
		}
		part.Model.Score(r, items, one)
		m.add(i, moments, items, one, heard, out)
		total += magnitude(m.weights[i])
	}
	m.settle(total, items, heard, out)
}

func magnitude(w float32) float32 { return max(w, -w) }

// unmet reports whether nobody had row in training.
func (m *Model) unmet(row features.Row) bool { return m.met != nil && !m.met.Has(row) }

// moments sets dst to the mean and the deviation of a part's scores over the
// catalogue; false when the part does not tell items apart for r.
func (m *Model) moments(part int, r *features.Request, dst []float32) bool {
	if g := m.gauges[part]; g != nil {
		vec, ok := g.vector(r)
		return ok && g.moments(vec, r.Scratch.Floats(len(vec)), dst)
	}
	scores := r.Scratch.Floats(len(m.anchors))
	m.parts[part].Model.Score(r, m.anchors, scores)
	return standard(scores, dst)
}

// add puts a part's standardised scores on top of out, and its weight on heard
// where it says something.
func (m *Model) add(part int, moments []float32, items []features.Row, scores, heard, out []float32) {
	w, mean, size := m.weights[part]/moments[1], moments[0], magnitude(m.weights[part])
	for j, s := range scores {
		if s == s && (s != 0 || !m.unmet(items[j])) {
			out[j] += w * (s - mean)
			heard[j] += size
		}
	}
}

// settle makes NaN of the items that no part has scored, and lets those that
// scored an item nobody met speak for all; total is the weight of the parts
// that know the shopper.
func (m *Model) settle(total float32, items []features.Row, heard, out []float32) {
	for j := range out {
		switch {
		case heard[j] == 0:
			out[j] = float32(math.NaN())
		case heard[j] < total && m.unmet(items[j]):
			out[j] *= total / heard[j]
		}
	}
}

// standard sets dst to the mean and standard deviation of the scores that are
// numbers; false when they do not tell items apart.
func standard(scores, dst []float32) bool {
	var sum, squares float64
	n := 0
	for _, s := range scores {
		if s == s {
			sum += float64(s)
			n++
		}
	}
	if n < 2 {
		return false
	}
	mean := sum / float64(n)
	for _, s := range scores {
		if s == s {
			squares += (float64(s) - mean) * (float64(s) - mean)
		}
	}
	deviation := math.Sqrt(squares / float64(n))
	if !tellsApart(mean, deviation) {
		return false
	}
	dst[0], dst[1] = float32(mean), float32(deviation)
	return true
}

// ScoreMany implements models.BatchScorer.
func (m *Model) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	clear(out)
	n, a := len(items), len(m.anchors)
	heard, one := make([]float32, len(rs)*n), make([]float32, len(rs)*n)
	total := make([]float32, len(rs)) // by request: the weight of the parts that know the shopper
	whole := slices.Equal(items, m.anchors)
	_, block := factor.Contiguous(items, m.items)
	var anchors []float32
	moments := make([]float32, 2)
	for i, part := range m.parts {
		if m.weights[i] == 0 {
			continue
		}
		g := m.gauges[i]
		switch {
		case g != nil && block:
			m.byVectors(i, rs, items, one, heard, out, total)
			continue
		case g == nil && whole:
			many(part.Model, rs, items, one)
			anchors = one
		case g == nil:
			if len(anchors) != len(rs)*a {
				anchors = make([]float32, len(rs)*a)
			}
			many(part.Model, rs, m.anchors, anchors)
			fallthrough
		default:
			many(part.Model, rs, items, one)
		}
		for u, r := range rs {
			var ok bool
			if g == nil {
				ok = standard(anchors[u*a:(u+1)*a], moments)
			} else {
				own := *r
				own.Scratch = new(features.Scratch)
				ok = m.moments(i, &own, moments)
			}
			if ok {
				m.add(i, moments, items, one[u*n:(u+1)*n], heard[u*n:(u+1)*n], out[u*n:(u+1)*n])
				total[u] += magnitude(m.weights[i])
			}
		}
		if whole {
			anchors = nil
		}
	}
	for u := range rs {
		m.settle(total[u], items, heard[u*n:(u+1)*n], out[u*n:(u+1)*n])
	}
}

// byVectors adds the scores of a part that has vectors, each request embedded
// once for the scores and their moments.
func (m *Model) byVectors(part int, rs []*features.Request, items []features.Row, one, heard, out, total []float32) {
	g, n := m.gauges[part], len(items)
	dim := g.embedder.Dim()
	vecs, known := make([]float32, len(rs)*dim), make([]bool, len(rs))
	moments, work := make([]float32, 2*len(rs)), make([]float32, dim)
	for u, r := range rs {
		vec := vecs[u*dim:][:dim]
		known[u] = g.embedder.Embed(r, vec) && g.moments(vec, work, moments[2*u:2*u+2])
		if !known[u] {
			clear(vec)
		}
	}
	linalg.DotRowsMany(vecs, len(rs), g.embedder.Vectors()[int(items[0])*dim:][:n*dim], dim, one)
	for u := range rs {
		if known[u] {
			m.add(part, moments[2*u:2*u+2], items, one[u*n:(u+1)*n], heard[u*n:(u+1)*n], out[u*n:(u+1)*n])
			total[u] += magnitude(m.weights[part])
		}
	}
}

func many(m models.Model, rs []*features.Request, items []features.Row, out []float32) {
	if b, ok := m.(models.BatchScorer); ok {
		b.ScoreMany(rs, items, out)
		return
	}
	for u, r := range rs {
		m.Score(r, items, out[u*len(items):(u+1)*len(items)])
	}
}
