package knn

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindEASE is the name of the shallow autoencoder in closed form.
const KindEASE = "ease"

// EASEParams are those of "ease". An item's column is regressed on all others
// by ridge regression over the matrix of users by items, in which a user with n
// items counts n^-User and an item with n users is scaled by n^-Item.
type EASEParams struct {
	Ridge float64 `json:"ridge"` // in means of the Gramian's diagonal
	User  float64 `json:"user"`
	Item  float64 `json:"item"`
	// Neighbours are how many items may vote on an item, by the magnitude of
	// their weights. 0: all, in a dense matrix, up to 4,096 items, and 500
	// above.
	Neighbours int `json:"neighbours"`
	MemoryMB   int `json:"memory_mb"` // the dense Gramian may take at most so much
	taste.Options
}

// EASEDefaults are the parameters of "ease" where none are given.
func EASEDefaults() EASEParams {
	return EASEParams{Ridge: 4, User: .5, Item: .2, MemoryMB: 4000}
}

const (
	denseItems = 4096
	fewVoters  = 500
)

func (p *EASEParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"ridge", p.Ridge, 1e-3, 1e6}, {"user", p.User, 0, 4}, {"item", p.Item, 0, 2},
		{"neighbours", float64(p.Neighbours), 0, 100_000}, {"memory_mb", float64(p.MemoryMB), 1, 1e6},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// EASE is the kind "ease" (Steck 2019, "Embarrassingly Shallow Autoencoders for
// Sparse Data"), on a Gramian normalised by users and items.
func EASE() models.Kind {
	return models.Kind{
		Name:     KindEASE,
		Summary:  "items by ridge regression of each on all others, in closed form",
		Defaults: EASEDefaults(),
		Fit:      fitEASE,
		Open:     openItems(KindEASE),
		Space: []models.Range{
			{Param: "ridge", Low: 1, High: 20, Log: true}, {Param: "user", Low: 0, High: 1}, {Param: "item", Low: 0, High: .5},
		},
	}
}

func fitEASE(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := EASEDefaults()
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
	items := in.Train.NumItems()
	if need := int64(items) * int64(items) * 4; need > int64(p.MemoryMB)<<20 {
		return nil, fmt.Errorf("%w: %s on %d items takes %d MB, memory_mb allows %d: raise it, or use %s, which stays sparse",
			models.ErrParams, KindEASE, items, need>>20, p.MemoryMB, KindSLIM)
	}
	x := w.Matrix(in.Train, false)
	if x.NNZ() == 0 {
		return nil, errEmpty(KindEASE)
	}
	t, err := regress(ctx, x, p, in)
	if err != nil {
		return nil, err
	}
	return newItems(KindEASE, p, w, t, nil)
}

// regress solves the weights: with P the inverse of the ridged Gramian, item i
// votes on j with −P_ij/P_jj, scaled back from the normalised columns.
func regress(ctx context.Context, x linalg.CSR, p EASEParams, in models.FitInput) (*table, error) {
	items, workers := x.Cols, in.Workers
	if workers <= 0 {
		workers = linalg.Workers()
	}
	step := func(n int, stage string) error {
		if in.Progress != nil {
			in.Progress(models.Progress{Step: n, Steps: 3, Stage: stage})
		}
		return ctx.Err()
	}
	scale := powers(columnSums(x), p.Item)
	normal := scaled(x, powers(rowSums(x), p.User/2), scale)
	gram := linalg.NewMatrix(items, items)
	normal.Gram(normal.Transpose(), gram, workers)
	if err := step(1, "gramian"); err != nil {
		return nil, err
	}
	var trace float64
	for i := range items {
		trace += float64(gram.At(i, i))
	}
	gram.AddDiagonal(float32(p.Ridge * trace / float64(items)))
	if err := linalg.CholeskyParallel(gram, workers); err != nil {
		return nil, fmt.Errorf("fit %s: %w; a larger ridge mends it", KindEASE, err)
	}
	if err := step(2, "factor"); err != nil {
		return nil, err
	}
	linalg.CholeskyInverse(gram, workers)
	gram.MirrorUpper()
	if err := step(3, "inverse"); err != nil {
		return nil, err
	}
	diagonal := make([]float32, items)
	for i := range diagonal {
		diagonal[i] = gram.At(i, i)
	}
	// An item that nobody met has scale 0: it neither votes nor is voted on.
	vote := func(from, item int) float32 {
		if scale[item] == 0 || from == item {
			return 0
		}
		return -gram.At(item, from) / diagonal[item] * scale[from] / scale[item]
	}
	voters := p.Neighbours
	if voters == 0 && items > denseItems {
		voters = fewVoters
	}
	if voters == 0 {
		dense := &table{items: items, vals: gram.Data}
		// Column item of the votes is made from row item of the symmetric
		// inverse, so each pair is rewritten at once.
		linalg.ParallelN(items, 16, workers, func(_, lo, hi int) {
			for i := lo; i < hi; i++ {
				for j := i + 1; j < items; j++ {
					there, back := vote(i, j), vote(j, i)
					gram.Set(i, j, there)
					gram.Set(j, i, back)
				}
				gram.Set(i, i, 0)
			}
		})
		return dense, nil
	}
	return fillColumns(items, voters, workers, func(_, item int, votes *picker) {
		for from := range items {
			votes.offer(int32(from), vote(from, item))
		}
	}), nil
}
