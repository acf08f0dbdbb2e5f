package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/linalg"
)

// trainedFlags say where the interactions are from which vectors are trained.
type trainedFlags struct {
	Trained string `default:"../shared/data/gowalla/train.txt.xz" help:"Interactions, a user and their items a line, whose factors are searched too; empty: none."`
}

// vectors are factors of implicit least squares: of all items, and of so many users, folded in
// from what they have. There are none where there is no file.
func (f trainedFlags) vectors(ctx context.Context, queries int) (rows, qs []float32, _ error) {
	if f.Trained == "" {
		return nil, nil, nil
	}
	l := &dataset.Loader{Format: dataset.Adjacency}
	read, err := l.Load(f.Trained)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "skipped trained factors: %v: give --trained\n", err)
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	d := l.Dataset(read)
	als, err := kind.Of("ials")
	if err != nil {
		return nil, nil, err
	}
	fitted, err := als.Fit(ctx, models.FitInput{Train: d, Seed: 1, Params: paramsOf(map[string]any{"factors": indexDim})})
	if err != nil {
		return nil, nil, err
	}
	model, ok := fitted.(models.Embedder)
	if !ok || model.Dim() != indexDim {
		return nil, nil, fmt.Errorf("%s: its model has no vectors of %d numbers", f.Trained, indexDim)
	}
	qs = make([]float32, queries*indexDim)
	for i := range queries {
		user := i * len(d.Users) / queries
		r := &features.Request{
			Shopper: &features.Shopper{Recent: d.History(user), Consent: features.AllPurposes},
			Item:    features.NoRow, Scratch: new(features.Scratch),
		}
		if !model.Embed(r, qs[i*indexDim:][:indexDim]) {
			return nil, nil, fmt.Errorf("%s: user %d has nothing to embed", f.Trained, user)
		}
	}
	return model.Vectors(), qs, nil
}

// nearest puts each row to the one of so many rows that points most like it.
func nearest(rows []float32, groups int) []int32 {
	n := len(rows) / indexDim
	unit := make([]float32, 0, groups*indexDim)
	for g := range groups {
		unit = append(unit, rows[g*n/groups*indexDim:][:indexDim]...)
		linalg.Normalise(unit[g*indexDim:])
	}
	of, scores := make([]int32, n), make([]float32, groups)
	for i := range of {
		linalg.DotRows(rows[i*indexDim:][:indexDim], unit, scores)
		for g, score := range scores {
			if score > scores[of[i]] {
				of[i] = int32(g)
			}
		}
	}
	return of
}
