// Package hybrid makes one score of several models': each part's scores are
// standardised for the request, then summed by weight. A part that cannot say
// anything, of a new shopper or of a new item, leaves the others to speak.
//
// It imports models and what lies below. Start reading at Fit.
package hybrid

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// KindName is the kind's name.
const KindName = "hybrid"

// Params are the kind's parameters.
type Params struct {
	Weights map[string]float64 `json:"weights"` // by part; one that is not named weighs 1; none: learnt on validation
	Anchors int                `json:"anchors"` // items whose scores standardise a part's; as many as there are when fewer
}

// Defaults are the parameters that are used where none are given.
func Defaults() Params { return Params{Anchors: 1024} }

// Kind is the entry of models/kind.
func Kind() models.Kind {
	return models.Kind{
		Name: KindName, Summary: "a weighted sum of other models' standardised scores", Defaults: Defaults(), Fit: Fit, Open: Open,
		Parts: Parts,
	}
}

// Parts names what the hybrid is made of where nobody names any: behaviour
// three ways, and the catalogue's words where there is one.
func Parts(d *dataset.Dataset) []string {
	parts := []string{"ials", "item-cf", "popular"}
	if d.Catalog != nil {
		parts = append(parts, "content")
	}
	return parts
}

// Model is parts and their weights. It implements models.Model, BatchScorer,
// Explainer and Composite.
type Model struct {
	parts   []models.Part
	weights []float32
	keys    []int // what memoises a part's moments: the address of an element
	anchors []features.Row
	items   int
}

var (
	_ models.Model       = (*Model)(nil)
	_ models.BatchScorer = (*Model)(nil)
	_ models.Explainer   = (*Model)(nil)
	_ models.Composite   = (*Model)(nil)
)

// Fit puts in.Parts together, which must have been trained on the items of
// in.Train. With in.Validate and no weights given, the weights are learnt on it
// (see Learn); without, or where nothing can be learnt, every part weighs 1.
func Fit(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := Defaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := models.CheckRange("anchors", float64(p.Anchors), 2, 1e6); err != nil {
		return nil, err
	}
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
	if len(p.Weights) == 0 && in.Validate != nil && len(in.Parts) > 0 {
		learnt, err := Learn(ctx, in.Parts, in.Train, in.Validate, LearnOptions{Seed: in.Seed, Workers: in.Workers})
		switch {
		case err == nil:
			p.Weights = learnt.Weights
		case !errors.Is(err, ErrNothingToLearn):
			return nil, err
		}
	}
	return build(in.Parts, p.Weights, rows, n)
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

// Score implements models.Scorer. An item that no part can score is NaN.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	if r.Scratch == nil {
		own := *r
		own.Scratch = new(features.Scratch)
		r = &own
	}
	one := r.Scratch.Floats(len(items))
	heard := r.Scratch.Floats(len(items))
	clear(out)
	for i, part := range m.parts {
		moments, ok := r.Scratch.Vector(&m.keys[i], 2, func(dst []float32) bool {
			scores := r.Scratch.Floats(len(m.anchors))
			part.Model.Score(r, m.anchors, scores)
			return standard(scores, dst)
		})
		if !ok {
			continue
		}
		part.Model.Score(r, items, one)
		m.add(i, moments, one, heard, out)
	}
	silence(heard, out)
}

// add puts a part's standardised scores on top of out.
func (m *Model) add(part int, moments, scores, heard, out []float32) {
	w, mean := m.weights[part]/moments[1], moments[0]
	for j, s := range scores {
		if s == s {
			out[j] += w * (s - mean)
			heard[j] = 1
		}
	}
}

// silence makes NaN of the items that no part has scored.
func silence(heard, out []float32) {
	for j := range out {
		if heard[j] == 0 {
			out[j] = float32(math.NaN())
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
	if deviation <= 1e-9*math.Abs(mean) || deviation == 0 {
		return false
	}
	dst[0], dst[1] = float32(mean), float32(deviation)
	return true
}

// ScoreMany implements models.BatchScorer.
func (m *Model) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	clear(out)
	n, a := len(items), len(m.anchors)
	heard := make([]float32, len(rs)*n)
	one, anchors := make([]float32, len(rs)*n), make([]float32, len(rs)*a)
	moments := make([]float32, 2)
	for i, part := range m.parts {
		many(part.Model, rs, m.anchors, anchors)
		many(part.Model, rs, items, one)
		for u := range rs {
			if standard(anchors[u*a:(u+1)*a], moments) {
				m.add(i, moments, one[u*n:(u+1)*n], heard[u*n:(u+1)*n], out[u*n:(u+1)*n])
			}
		}
	}
	silence(heard, out)
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
