package knn

import (
	"context"
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindItem is the name of item-based collaborative filtering.
const KindItem = "item-cf"

// The similarities.
const (
	Cosine    = "cosine"    // dot / ((|i|^From·|j|^(1−From))^(2·Norm) + shrink)
	Jaccard   = "jaccard"   // dot / (|i|² + |j|² − dot + shrink), Tanimoto's form
	Euclidean = "euclidean" // 1 / (1 + the distance + shrink)
	Pearson   = "pearson"   // the cosine of centred rows; user-cf only
)

// The weightings of interactions before they are compared.
const (
	Plain = "plain"
	TFIDF = "tfidf" // rare users (user-cf: rare items) say more
	BM25  = "bm25"  // and those with much to say less with each word
	Auto  = "auto"  // by the density of the data; item-cf only
)

// byDensity stands for a number that is chosen by the density of the data.
const byDensity = -1

// sparse is the density below which item-cf takes the other one of its two
// settings.
const sparse = .005

// ItemParams are those of "item-cf". Auto, and -1 for a number, stand for what
// suits the density of the data: where pairs are rare, plain counts, more
// neighbours, and more weight on popular answers; a fitted model keeps what was
// chosen.
type ItemParams struct {
	Similarity string  `json:"similarity"`
	Weighting  string  `json:"weighting"`
	User       float64 `json:"user"` // a user with n items counts n^-User in every comparison
	// From is how much of the cosine's norm is the history item's, the rest being
	// the scored one's: .5 is symmetric, above it popular items answer more often
	// (Aiolli 2013).
	From float64 `json:"from"`
	// Norm is the exponent of the cosine's norm: 1 divides popularity out, less
	// leaves a part of it in.
	Norm       float64 `json:"norm"`
	Shrink     float64 `json:"shrink"`
	Neighbours int     `json:"neighbours"`
	taste.Options
}

// ItemDefaults are the parameters of "item-cf" where none are given.
func ItemDefaults() ItemParams {
	return ItemParams{Similarity: Cosine, Weighting: Auto, User: byDensity, From: byDensity, Norm: byDensity, Shrink: byDensity, Neighbours: byDensity}
}

// resolve puts a value in place of each that stands for one.
func (p *ItemParams) resolve(users, items, pairs int) {
	chosen := ItemParams{Weighting: TFIDF, User: .5, From: .7, Norm: 1, Shrink: 1, Neighbours: 300}
	if float64(pairs) < sparse*float64(users)*float64(items) {
		chosen = ItemParams{Weighting: Plain, User: .7, From: .8, Norm: .8, Neighbours: 600}
	}
	if p.Weighting == Auto {
		p.Weighting = chosen.Weighting
	}
	if p.Neighbours == byDensity {
		p.Neighbours = chosen.Neighbours
	}
	for _, n := range []struct {
		own     *float64
		instead float64
	}{{&p.User, chosen.User}, {&p.From, chosen.From}, {&p.Norm, chosen.Norm}, {&p.Shrink, chosen.Shrink}} {
		if *n.own == byDensity {
			*n.own = n.instead
		}
	}
}

func (p *ItemParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{{"shrink", p.Shrink, 0, 1e9}, {"neighbours", float64(p.Neighbours), 1, 100_000}, {"user", p.User, 0, 4}, {"from", p.From, 0, 1}, {"norm", p.Norm, 0, 2}} {
		if c.value == byDensity {
			continue
		}
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	if p.Similarity != Cosine && p.Similarity != Jaccard && p.Similarity != Euclidean {
		return fmt.Errorf("%w: similarity is %q: expected %s, %s or %s", models.ErrParams, p.Similarity, Cosine, Jaccard, Euclidean)
	}
	if p.Weighting == Auto {
		return nil
	}
	return checkWeighting(p.Weighting)
}

func checkWeighting(w string) error {
	if w != Plain && w != TFIDF && w != BM25 {
		return fmt.Errorf("%w: weighting is %q: expected %s, %s or %s", models.ErrParams, w, Plain, TFIDF, BM25)
	}
	return nil
}

// Item is the kind "item-cf" (Sarwar, Karypis, Konstan, Riedl 2001).
func Item() models.Kind {
	return models.Kind{
		Name:     KindItem,
		Summary:  "items by how similar the users who met them are",
		Defaults: ItemDefaults(),
		Fit:      fitItem,
		Open:     openItems(KindItem),
		Space: []models.Range{
			{Param: "similarity", Values: []any{Cosine, Jaccard, Euclidean}},
			{Param: "weighting", Values: []any{Plain, TFIDF, BM25}},
			{Param: "user", Low: 0, High: 1}, {Param: "from", Low: .3, High: .9}, {Param: "norm", Low: .6, High: 1}, {Param: "shrink", Low: 1, High: 1000, Log: true},
			{Param: "neighbours", Values: []any{50, 100, 300, 1000}},
		},
	}
}

func fitItem(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := ItemDefaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	w, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	x := w.Matrix(in.Train, false)
	if x.NNZ() == 0 {
		return nil, errEmpty(KindItem)
	}
	p.resolve(met(x.Ptr), x.Cols, x.NNZ())
	var prior []float32
	if p.Weighting == BM25 {
		prior = saturation(columnSums(x))
	}
	// Items are the documents, users the words.
	y := reweigh(x.Transpose(), p.Weighting).Transpose()
	if p.User > 0 {
		y = scaled(y, powers(rowSums(x), p.User/2), nil)
	}
	square := squares(y)
	from, to := make([]float32, len(square)), make([]float32, len(square))
	for i, s := range square {
		from[i], to[i] = float32(math.Pow(float64(s), p.Norm*p.From)), float32(math.Pow(float64(s), p.Norm*(1-p.From)))
	}
	shrink := float32(p.Shrink)
	var weight func(i, j int32, dot float32) float32
	switch p.Similarity {
	case Cosine:
		weight = func(i, j int32, dot float32) float32 { return dot / (from[i]*to[j] + shrink) }
	case Jaccard:
		weight = func(i, j int32, dot float32) float32 { return dot / (square[i] + square[j] - dot + shrink) }
	case Euclidean:
		weight = func(i, j int32, dot float32) float32 {
			return 1 / (1 + shrink + float32(math.Sqrt(math.Max(0, float64(square[i]+square[j]-2*dot)))))
		}
	}
	t, err := similar(ctx, y, nil, p.Neighbours, in.Workers, in.Progress, func(others []int32, j int32, dots []float32) {
		for e, i := range others {
			dots[e] = weight(i, j, dots[e])
		}
	})
	if err != nil {
		return nil, err
	}
	return newItems(KindItem, p, w, t, prior)
}

// met is how many rows have anything.
func met(ptr []int64) int {
	n := 0
	for row := 1; row < len(ptr); row++ {
		if ptr[row] > ptr[row-1] {
			n++
		}
	}
	return n
}

// BM25's constants: how soon a word's count saturates, and how much a
// document's length matters.
const (
	k1 = 1.2
	b  = .75
)

// reweigh weighs documents (rows) over words (columns).
func reweigh(docs linalg.CSR, weighting string) linalg.CSR {
	if weighting == Plain {
		return docs
	}
	counts := make([]int, docs.Cols)
	for _, col := range docs.Idx {
		counts[col]++
	}
	idf := make([]float32, docs.Cols)
	for col, n := range counts {
		if n > 0 {
			// At least a little, so that a word which all documents share is no reason to drop them.
			idf[col] = float32(math.Max(math.Log(float64(docs.Rows)/float64(1+n)), .01))
		}
	}
	if weighting == TFIDF {
		return scaled(docs, nil, idf)
	}
	out := scaled(docs, nil, nil)
	norm := lengths(rowSums(docs))
	for row := range docs.Rows {
		for e := docs.Ptr[row]; e < docs.Ptr[row+1]; e++ {
			v := out.Val[e]
			out.Val[e] = v * (k1 + 1) / (k1*norm[row] + v) * idf[docs.Idx[e]]
		}
	}
	return out
}

// lengths is BM25's factor of each document's length.
func lengths(sums []float64) []float32 {
	var total float64
	for _, s := range sums {
		total += s
	}
	mean := total / math.Max(1, float64(len(sums)))
	out := make([]float32, len(sums))
	for i, s := range sums {
		out[i] = float32(1 - b + b*s/mean)
	}
	return out
}

// saturation is BM25's weight of one occurrence in each document: the factor on
// a history item, which falls with how common it is.
func saturation(sums []float64) []float32 {
	out := lengths(sums)
	for i, n := range out {
		out[i] = (k1 + 1) / (k1*n + 1)
	}
	return out
}
