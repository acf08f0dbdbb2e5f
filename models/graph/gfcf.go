package graph

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/knn"
	"github.com/attune-rec/attune/models/taste"
)

// KindGFCF is the name of the sum of the linear and the low-pass filter.
const KindGFCF = "gf-cf"

// GFCFParams are those of "gf-cf": the linear filter is knn.PathParams' User,
// From and To, the low-pass one is Params.
type GFCFParams struct {
	Alpha      float64 `json:"alpha"` // weight of the low-pass filter
	User       float64 `json:"user"`
	From       float64 `json:"from"`
	To         float64 `json:"to"`
	Neighbours int     `json:"neighbours"`
	Params
}

// GFCFDefaults are the parameters of "gf-cf" where none are given.
func GFCFDefaults() GFCFParams {
	return GFCFParams{Alpha: .3, User: 1, From: .5, To: .5, Neighbours: 500, Params: Defaults()}
}

// GFCF is the kind "gf-cf" (Shen et al. 2021, see LowPass).
func GFCF() models.Kind {
	return models.Kind{
		Name:     KindGFCF,
		Summary:  "item-to-item smoothing plus the low-pass filter",
		Defaults: GFCFDefaults(),
		Fit:      fitGFCF,
		Open:     openGFCF,
		Space: []models.Range{
			{Param: "alpha", Low: .05, High: 3, Log: true}, {Param: "factors", Values: []any{64, 128, 256, 512}},
			{Param: "user", Low: 0, High: 1.2}, {Param: "from", Low: 0, High: 1}, {Param: "to", Low: 0, High: .8},
		},
	}
}

// Sum is a fitted "gf-cf". It is immutable and safe for concurrent use.
type Sum struct {
	alpha  float32
	params GFCFParams
	linear *knn.Items
	low    *Filter
}

func fitGFCF(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := GFCFDefaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := models.CheckRange("alpha", p.Alpha, 0, 1e3); err != nil {
		return nil, err
	}
	low, err := fitFilter(ctx, in, p.Params)
	if err != nil {
		return nil, err
	}
	path := knn.PathDefaults()
	path.User, path.From, path.To, path.Neighbours, path.Options = p.User, p.From, p.To, p.Neighbours, p.Options
	raw, err := json.Marshal(path)
	if err != nil {
		return nil, err
	}
	in.Params = raw
	linear, err := knn.Path().Fit(ctx, in)
	if err != nil {
		return nil, err
	}
	return newSum(p, linear, low)
}

func newSum(p GFCFParams, linear models.Model, low *Filter) (*Sum, error) {
	items, ok := linear.(*knn.Items)
	if !ok || items.Items() != low.Items() {
		return nil, fmt.Errorf("%s: the linear filter is a %s of %d items, the low-pass one has %d", KindGFCF, linear.Kind(), linear.Items(), low.Items())
	}
	return &Sum{alpha: float32(p.Alpha), params: p, linear: items, low: low}, nil
}

// Kind implements models.Model.
func (m *Sum) Kind() string { return KindGFCF }

// Items implements models.Model.
func (m *Sum) Items() int { return m.low.Items() }

// Score implements models.Scorer.
func (m *Sum) Score(r *features.Request, items []features.Row, out []float32) {
	m.linear.Score(r, items, out)
	scratch := r.Workspace()
	low := scratch.Floats(len(items))
	m.low.Score(r, items, low)
	for i, v := range low {
		out[i] += m.alpha * v
	}
}

// ScoreMany implements models.BatchScorer.
func (m *Sum) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	m.linear.ScoreMany(rs, items, out)
	low := make([]float32, len(out))
	m.low.ScoreMany(rs, items, low)
	for i, v := range low {
		out[i] += m.alpha * v
	}
}

// Neighbours implements models.Neighbourhood.
func (m *Sum) Neighbours(item features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	return m.linear.Neighbours(item, k, allow, dst)
}

// Explain implements models.Explainer.
func (m *Sum) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	return m.low.weigher.Confirm(m, r, item, m.low.candidates(r, item))
}

// Save implements models.Model.
func (m *Sum) Save(w models.Writer) error {
	if err := m.linear.Save(within{w, "linear."}); err != nil {
		return err
	}
	if err := m.low.Save(within{w, "low."}); err != nil {
		return err
	}
	return w.JSON("model", m.params)
}

func openGFCF(r models.Reader) (models.Model, error) {
	var p GFCFParams
	if err := r.JSON("model", &p); err != nil {
		return nil, err
	}
	if _, err := taste.New(p.Options, nil); err != nil {
		return nil, err
	}
	low, err := openFilter(inside{r, "low."})
	if err != nil {
		return nil, fmt.Errorf("low-pass filter: %w", err)
	}
	linear, err := knn.Path().Open(inside{r, "linear."})
	if err != nil {
		return nil, fmt.Errorf("linear filter: %w", err)
	}
	return newSum(p, linear, low)
}

// within puts a prefix before the names that a part writes, inside before those
// it reads.
type within struct {
	models.Writer
	prefix string
}

func (w within) Tensor(name string, t models.Tensor) error { return w.Writer.Tensor(w.prefix+name, t) }
func (w within) JSON(name string, v any) error             { return w.Writer.JSON(w.prefix+name, v) }

type inside struct {
	models.Reader
	prefix string
}

func (r inside) Tensor(name string) (models.Tensor, error) { return r.Reader.Tensor(r.prefix + name) }
func (r inside) JSON(name string, v any) error             { return r.Reader.JSON(r.prefix+name, v) }
