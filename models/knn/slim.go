package knn

import (
	"context"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/taste"
)

// KindSLIM is the name of sparse linear regression between items.
const KindSLIM = "slim"

// SLIMParams are those of "slim": each item's column is regressed on its
// closest Candidates only, so that memory and time grow with the number of
// items and not with its square.
type SLIMParams struct {
	Ridge       float64 `json:"ridge"` // squared penalty, in means of the Gramian's diagonal
	Lasso       float64 `json:"lasso"` // absolute penalty, in the same unit
	NonNegative bool    `json:"non_negative"`
	User        float64 `json:"user"`       // as in "ease"
	Item        float64 `json:"item"`       // as in "ease"
	Candidates  int     `json:"candidates"` // items an item is regressed on
	Kept        int     `json:"kept"`       // largest entries kept of a row of the Gramian
	Sweeps      int     `json:"sweeps"`     // of coordinate descent at most
	Neighbours  int     `json:"neighbours"` // that may vote on an item, of the candidates
	taste.Options
}

// SLIMDefaults are the parameters of "slim" where none are given.
func SLIMDefaults() SLIMParams {
	return SLIMParams{Ridge: 4, User: .5, Item: .2, Candidates: 200, Kept: 2000, Sweeps: 20, Neighbours: 200}
}

func (p *SLIMParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"ridge", p.Ridge, 1e-3, 1e6}, {"lasso", p.Lasso, 0, 1e3}, {"user", p.User, 0, 4}, {"item", p.Item, 0, 2},
		{"candidates", float64(p.Candidates), 1, 5000}, {"kept", float64(p.Kept), 1, 1e6}, {"sweeps", float64(p.Sweeps), 1, 1000},
		{"neighbours", float64(p.Neighbours), 1, 100_000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	return nil
}

// SLIM is the kind "slim" (Ning, Karypis 2011, "SLIM: Sparse Linear Methods for
// Top-N Recommender Systems"), by coordinate descent on the Gramian, local to
// each item.
func SLIM() models.Kind {
	return models.Kind{
		Name:     KindSLIM,
		Summary:  "items by sparse regression of each on its closest others, for large catalogues",
		Defaults: SLIMDefaults(),
		Fit:      fitSLIM,
		Open:     openItems(KindSLIM),
		Space: []models.Range{
			{Param: "ridge", Low: .1, High: 10, Log: true}, {Param: "lasso", Low: 0, High: .1},
			{Param: "user", Low: 0, High: 1}, {Param: "item", Low: 0, High: .5},
		},
	}
}

func fitSLIM(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := SLIMDefaults()
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
		return nil, errEmpty(KindSLIM)
	}
	scale := powers(columnSums(x), p.Item)
	normal := scaled(x, powers(rowSums(x), p.User/2), scale)
	gram, err := similar(ctx, normal, nil, p.Kept, in.Workers, in.Progress, func([]int32, int32, []float32) {})
	if err != nil {
		return nil, err
	}
	t, err := descend(ctx, gram, squares(normal), scale, p, in.Workers)
	if err != nil {
		return nil, err
	}
	return newItems(KindSLIM, p, w, t, nil)
}

// local is the regression of one item on its candidates, kept by a worker.
type local struct {
	place []int32   // by item: 1 + its place among the candidates, 0 for others
	gram  []float32 // candidates by candidates
	right []float32 // what each candidate shares with the item
	votes []float32
	slope []float32 // right − gram·votes
}

// descend solves each item's regression. gram is sparse and off the diagonal,
// which is given apart.
func descend(ctx context.Context, gram *table, diagonal, scale []float32, p SLIMParams, workers int) (*table, error) {
	if workers <= 0 {
		workers = linalg.Workers()
	}
	var mean float64
	for _, d := range diagonal {
		mean += float64(d) / float64(len(diagonal))
	}
	ridge, lasso := float32(p.Ridge*mean), float32(p.Lasso*mean)
	locals := make([]*local, workers)
	// A row of the Gramian holds the largest entries of the row's item, the same
	// as its column where both kept the pair; a pair that only one kept is
	// found from that side.
	t := fillColumns(gram.items, p.Neighbours, workers, func(worker, item int, votes *picker) {
		if ctx.Err() != nil {
			return
		}
		if locals[worker] == nil {
			locals[worker] = &local{place: make([]int32, gram.items)}
		}
		l := locals[worker]
		lo := gram.ptr[item]
		hi := min(gram.ptr[item+1], lo+int64(p.Candidates))
		candidates := gram.cols[lo:hi]
		l.load(gram, diagonal, candidates, gram.vals[lo:hi], ridge)
		l.solve(lasso, p.NonNegative, p.Sweeps)
		for i, from := range candidates {
			votes.offer(from, l.votes[i]*scale[from]/scale[item])
		}
	})
	return t, ctx.Err()
}

func (l *local) load(gram *table, diagonal []float32, candidates []int32, shared []float32, ridge float32) {
	n := len(candidates)
	if cap(l.gram) < n*n {
		l.gram = make([]float32, n*n)
	}
	l.gram = l.gram[:n*n]
	clear(l.gram)
	l.right = append(l.right[:0], shared...)
	l.slope = append(l.slope[:0], shared...)
	l.votes = append(l.votes[:0], shared...)
	clear(l.votes)
	for i, c := range candidates {
		l.place[c] = int32(i + 1)
	}
	for i, c := range candidates {
		for e := gram.ptr[c]; e < gram.ptr[c+1]; e++ {
			if j := l.place[gram.cols[e]]; j > 0 {
				l.gram[i*n+int(j-1)] = gram.vals[e]
				l.gram[int(j-1)*n+i] = gram.vals[e]
			}
		}
		l.gram[i*n+i] = diagonal[c] + ridge
	}
	for _, c := range candidates {
		l.place[c] = 0
	}
}

// solve minimises ½·vᵀ·gram·v − right·v + lasso·Σ|v| by coordinate descent,
// until no vote moves by more than a thousandth of the largest.
func (l *local) solve(lasso float32, nonNegative bool, sweeps int) {
	n := len(l.right)
	for range sweeps {
		var moved, largest float64
		for i := range n {
			row := l.gram[i*n:][:n]
			old := l.votes[i]
			v := soften(l.slope[i]+row[i]*old, lasso) / row[i]
			if nonNegative {
				v = max(v, 0)
			}
			largest = math.Max(largest, math.Abs(float64(v)))
			if v == old {
				continue
			}
			moved = math.Max(moved, math.Abs(float64(v-old)))
			l.votes[i] = v
			linalg.Axpy(old-v, row, l.slope)
		}
		if moved <= 1e-3*largest {
			return
		}
	}
}

// soften moves v towards 0 by at most by.
func soften(v, by float32) float32 {
	switch {
	case v > by:
		return v - by
	case v < -by:
		return v + by
	}
	return 0
}
