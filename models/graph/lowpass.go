package graph

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/factor"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/linalg/spectral"
	"github.com/attune-rec/attune/models/taste"
)

// KindLowPass is the name of the ideal low-pass filter.
const KindLowPass = "low-pass"

// Params are those of "low-pass". With Ã the matrix in which the interaction of
// user u and item i is divided by the root of n_u·n_i, and V its leading right
// singular vectors, a history r scores
//
//	r · D^-Item · V·h(Σ)·Vᵀ · D^Item,  h(σ) = 1 − Sharpen·σ²
//
// where D counts the users of each item.
type Params struct {
	Factors int     `json:"factors"` // singular vectors kept; 0: by size
	Item    float64 `json:"item"`    // how far popular items are held back in the history and put forward in the answer
	Sharpen float64 `json:"sharpen"` // takes from the smoothest signals, those everybody shares
	Rounds  int     `json:"rounds"`  // of subspace iteration
	taste.Options
}

// Defaults are the parameters of "low-pass" where none are given.
func Defaults() Params { return Params{Item: .5, Rounds: 4} }

func (p *Params) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"factors", float64(p.Factors), 0, 4096}, {"item", p.Item, -2, 2}, {"sharpen", p.Sharpen, 0, 1}, {"rounds", float64(p.Rounds), 1, 100},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// LowPass is the kind "low-pass" (Shen, Wu, Zhang, Shan, Zhang, Letaief, Li
// 2021, "How Powerful is Graph Convolution for Recommendation?"), with the
// sharpening of Choi, Hong, Park, Cho 2023, "Blurring-Sharpening Process
// Models", folded into the filter's response.
func LowPass() models.Kind {
	return models.Kind{
		Name:     KindLowPass,
		Summary:  "the smoothest signals on the graph of users and items, by truncated SVD",
		Defaults: Defaults(),
		Fit:      fitLowPass,
		Open:     func(r models.Reader) (models.Model, error) { return openFilter(r) },
		Space: []models.Range{
			{Param: "factors", Values: []any{32, 64, 128, 256, 512}}, {Param: "item", Low: 0, High: 1}, {Param: "sharpen", Low: 0, High: 1},
		},
	}
}

func fitLowPass(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := Defaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	return fitFilter(ctx, in, p)
}

// Filter is a fitted "low-pass". A request without history has no vector and
// NaN for scores. It is immutable and safe for concurrent use.
type Filter struct {
	meta    meta
	weigher *taste.Weigher
	table   factor.Table
	weight  []float32 // on a history item's vector
	h       []float32 // the filter's response, by singular vector
}

type meta struct {
	Items  int    `json:"items"`
	Params Params `json:"params"`
}

func fitFilter(ctx context.Context, in models.FitInput, p Params) (*Filter, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	w, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	p.Options = w.Options()
	x := w.Matrix(in.Train, false)
	if x.NNZ() == 0 {
		return nil, fmt.Errorf("fit %s: the data has no interaction that speaks for an item", KindLowPass)
	}
	if p.Factors == 0 {
		p.Factors = factors(x)
	}
	workers := in.Workers
	if workers <= 0 {
		workers = linalg.Workers()
	}
	users, items := degrees(x)
	values, vectors, err := spectral.Truncate(ctx, normalised(x, users, items), p.Factors, p.Rounds, in.Seed, workers)
	if err != nil {
		return nil, fmt.Errorf("fit %s: %w", KindLowPass, err)
	}
	p.Factors = len(values)
	f := &Filter{
		meta: meta{Items: x.Cols, Params: p}, weigher: w, weight: make([]float32, x.Cols), h: make([]float32, len(values)),
		table: factor.Table{Items: x.Cols, Dim: len(values), Data: make([]float32, x.Cols*len(values))},
	}
	for i, n := range items {
		if n <= 0 {
			continue
		}
		up := math.Pow(n, p.Item)
		f.weight[i] = float32(1 / (up * up))
		row := f.table.Row(features.Row(i))
		for k := range row {
			row[k] = float32(up) * vectors.At(k, i)
		}
	}
	for k, s := range values {
		f.h[k] = float32(1 - p.Sharpen*s*s)
	}
	if in.Progress != nil {
		in.Progress(models.Progress{Step: 1, Steps: 1, Stage: "vectors", Figures: map[string]float64{"largest": values[0], "smallest": values[len(values)-1]}})
	}
	return f, nil
}

// factors grows with the number of items, and faster where pairs are rare: what
// few share takes more vectors to tell apart. It stays well below the rank: with
// all vectors the filter gives the history back.
func factors(x linalg.CSR) int {
	density := float64(x.NNZ()) / (float64(x.Rows) * float64(x.Cols))
	d := 16 * int(math.Sqrt(float64(x.Cols))/6*math.Min(1, .01/density)+.5)
	return max(2, min(max(d, 48), 512, x.Rows/8, x.Cols/8))
}

func degrees(x linalg.CSR) (users, items []float64) {
	users, items = make([]float64, x.Rows), make([]float64, x.Cols)
	for u := range x.Rows {
		cols, vals := x.Row(u)
		for e, i := range cols {
			v := 1.
			if vals != nil {
				v = float64(vals[e])
			}
			users[u] += v
			items[i] += v
		}
	}
	return users, items
}

func normalised(x linalg.CSR, users, items []float64) linalg.CSR {
	out := x
	out.Val = make([]float32, len(x.Idx))
	for u := range x.Rows {
		for e := x.Ptr[u]; e < x.Ptr[u+1]; e++ {
			v := 1.
			if x.Val != nil {
				v = float64(x.Val[e])
			}
			out.Val[e] = float32(v / math.Sqrt(users[u]*items[x.Idx[e]]))
		}
	}
	return out
}

// Kind implements models.Model.
func (f *Filter) Kind() string { return KindLowPass }

// Items implements models.Model.
func (f *Filter) Items() int { return f.table.Items }

// Dim implements models.Embedder.
func (f *Filter) Dim() int { return f.table.Dim }

// Vectors implements models.Embedder.
func (f *Filter) Vectors() []float32 { return f.table.Data }

// Score implements models.Scorer.
func (f *Filter) Score(r *features.Request, items []features.Row, out []float32) {
	f.table.Score(f, r, items, out)
}

// ScoreMany implements models.BatchScorer.
func (f *Filter) ScoreMany(rs []*features.Request, items []features.Row, out []float32) {
	f.table.ScoreMany(f, rs, items, out)
}

// Embed implements models.Embedder.
func (f *Filter) Embed(r *features.Request, dst []float32) bool {
	scratch := r.Workspace()
	p := f.profile(r, scratch)
	if len(p.Rows) == 0 {
		return false
	}
	clear(dst)
	linalg.AxpyGather(p.Weights, f.table.Data, p.Rows, dst)
	for k, h := range f.h {
		dst[k] *= h
	}
	return true
}

func (f *Filter) profile(r *features.Request, scratch *features.Scratch) taste.Profile {
	p := f.weigher.Profile(r.History(), f.table.Items, scratch)
	for i, row := range p.Rows {
		p.Weights[i] *= f.weight[row]
	}
	return p
}

// Explain implements models.Explainer: the score is a sum over the history, and
// its largest terms are put to the test.
func (f *Filter) Explain(r *features.Request, item features.Row) (models.Evidence, bool) {
	return f.weigher.Confirm(f, r, item, f.candidates(r, item))
}

// candidates are the history items by how much they add to item's score.
func (f *Filter) candidates(r *features.Request, item features.Row) []features.Row {
	if item < 0 || int(item) >= f.table.Items {
		return nil
	}
	p := f.profile(r, new(features.Scratch))
	q := slices.Clone(f.table.Row(item))
	for k, h := range f.h {
		q[k] *= h
	}
	terms := make([]float32, len(p.Rows))
	linalg.DotGather(q, f.table.Data, p.Rows, terms)
	for i, w := range p.Weights {
		terms[i] *= w
	}
	return taste.Foremost(p.Rows, terms)
}

// Save implements models.Model.
func (f *Filter) Save(w models.Writer) error {
	if err := w.Tensor("items", models.TensorOf(f.table.Data, f.table.Items, f.table.Dim)); err != nil {
		return err
	}
	if err := w.Tensor("weight", models.TensorOf(f.weight, f.table.Items)); err != nil {
		return err
	}
	if err := w.Tensor("response", models.TensorOf(f.h, f.table.Dim)); err != nil {
		return err
	}
	return w.JSON("model", f.meta)
}

func openFilter(r models.Reader) (*Filter, error) {
	f := &Filter{}
	if err := r.JSON("model", &f.meta); err != nil {
		return nil, err
	}
	if err := f.meta.Params.check(); err != nil {
		return nil, err
	}
	var err error
	if f.weigher, err = taste.New(f.meta.Params.Options, nil); err != nil {
		return nil, err
	}
	items, dim := f.meta.Items, f.meta.Params.Factors
	f.table = factor.Table{Items: items, Dim: dim}
	for _, part := range []struct {
		name  string
		shape []int
		to    *[]float32
	}{{"items", []int{items, dim}, &f.table.Data}, {"weight", []int{items}, &f.weight}, {"response", []int{dim}, &f.h}} {
		t, err := r.Tensor(part.name)
		if err != nil {
			return nil, err
		}
		if *part.to, err = models.View[float32](t, part.shape...); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", part.name, err)
		}
	}
	return f, nil
}
