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
	Cosine    = "cosine"    // dot / (|i|^(2·From)·|j|^(2−2·From) + shrink)
	Jaccard   = "jaccard"   // dot / (|i|² + |j|² − dot + shrink), Tanimoto's form
	Euclidean = "euclidean" // 1 / (1 + the distance + shrink)
	Pearson   = "pearson"   // the cosine of centred rows; user-cf only
)

// The weightings of interactions before they are compared.
const (
	Plain = "plain"
	TFIDF = "tfidf" // rare users (user-cf: rare items) say more
	BM25  = "bm25"  // and those with much to say less with each word
)

// ItemParams are those of "item-cf".
type ItemParams struct {
	Similarity string  `json:"similarity"`
	Weighting  string  `json:"weighting"`
	User       float64 `json:"user"` // a user with n items counts n^-User in every comparison
	// From is how much of the cosine's norm is the history item's, the rest being
	// the scored one's: .5 is symmetric, above it popular items answer more often
	// (Aiolli 2013).
	From       float64 `json:"from"`
	Shrink     float64 `json:"shrink"`
	Neighbours int     `json:"neighbours"`
	taste.Options
}

// ItemDefaults are the parameters of "item-cf" where none are given.
func ItemDefaults() ItemParams {
	return ItemParams{Similarity: Cosine, Weighting: TFIDF, User: .5, From: .7, Shrink: 1, Neighbours: 300}
}

func (p *ItemParams) check() error {
	if err := models.CheckRange("shrink", p.Shrink, 0, 1e9); err != nil {
		return err
	}
	if err := models.CheckRange("neighbours", float64(p.Neighbours), 1, 100_000); err != nil {
		return err
	}
	if err := models.CheckRange("user", p.User, 0, 4); err != nil {
		return err
	}
	if err := models.CheckRange("from", p.From, 0, 1); err != nil {
		return err
	}
	if p.Similarity != Cosine && p.Similarity != Jaccard && p.Similarity != Euclidean {
		return fmt.Errorf("%w: similarity is %q: expected %s, %s or %s", models.ErrParams, p.Similarity, Cosine, Jaccard, Euclidean)
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
			{Param: "user", Low: 0, High: 1}, {Param: "from", Low: .3, High: .9}, {Param: "shrink", Low: 1, High: 1000, Log: true},
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
		from[i], to[i] = float32(math.Pow(float64(s), p.From)), float32(math.Pow(float64(s), 1-p.From))
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
	t, err := similar(ctx, y, p.Neighbours, in.Workers, in.Progress, weight)
	if err != nil {
		return nil, err
	}
	return newItems(KindItem, p, w, t, prior)
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
