package mf

import (
	"context"
	"errors"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/content"
	"github.com/attune-rec/attune/models/linalg"
)

// words is what the catalogue says of the items, in a space of its own.
type words struct {
	space   *content.Space // nil: nothing
	vectors linalg.Matrix
	trust   []float32 // of each item's vector, from what it rests on
}

// leastGain is the share of the held-out vectors' variance that a map must
// explain to be used.
const leastGain = .01

// half is the observations of an item that make its vector half as sure as can
// be.
const half = 5

// read reads the catalogue, where there is one and it is asked for.
func (f *fitter) read(ctx context.Context) error {
	catalog := f.in.Train.Catalog
	if catalog == nil || f.params.Content == ContentOff {
		return nil
	}
	o := content.SpaceOptions{Factors: 256, MinDocs: 2, MaxTerms: 50_000, Seed: f.in.Seed, Workers: f.workers}
	space, vectors, err := content.FitSpace(ctx, catalog, f.items.seen.Rows, o)
	if errors.Is(err, models.ErrParams) {
		return nil // it says nothing of them
	}
	if err != nil {
		return err
	}
	f.words = words{space: space, vectors: vectors, trust: make([]float32, f.items.seen.Rows)}
	for row := range f.words.trust {
		n := frequency(f.items.seen, row)
		f.words.trust[row] = float32(n / (n + half))
	}
	return nil
}

// mapTo is a map to the items' vectors as they are, errors measured by what
// they do to the scores of users; nil when it is worth nothing.
func (f *fitter) mapTo(items, users linalg.Matrix) (*content.Map, error) {
	if f.words.space == nil {
		return nil, nil
	}
	metric := linalg.NewMatrix(items.Cols, items.Cols)
	linalg.SyrkParallel(1/float32(max(users.Rows, 1)), users, 0, metric, f.workers)
	metric.MirrorUpper()
	m, err := content.NewMap(f.words.space, f.words.vectors, content.Target{Vectors: items, Trust: f.words.trust, Metric: metric}, f.in.Seed, f.workers)
	if err != nil || m == nil || m.Gain() < leastGain {
		return nil, err
	}
	return m, nil
}

// draw sets what the items' vectors are drawn to in the next step.
func (f *fitter) draw() error {
	m, err := f.mapTo(f.items.vectors, f.users.vectors)
	f.items.prior = linalg.Matrix{}
	if err == nil && m != nil {
		f.items.prior = m.All(f.words.vectors, f.workers)
	}
	return err
}

// lead gives vectors to the items that nobody met, in place, and the map that
// they are of; nil where it is worth nothing.
func (f *fitter) lead(items, users linalg.Matrix) (*content.Map, error) {
	m, err := f.mapTo(items, users)
	if err != nil || m == nil {
		return nil, err
	}
	all := m.All(f.words.vectors, f.workers)
	for row := range items.Rows {
		if cols, _ := f.items.seen.Row(row); len(cols) == 0 {
			copy(items.Row(row), all.Row(row))
		}
	}
	return m, nil
}
