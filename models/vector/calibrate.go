package vector

import (
	"context"
	"math/rand/v2"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

const (
	calibrateQueries = 128
	narrowest        = calibratedTop
	widest           = 4096
)

// calibrate sets the smallest width that finds the wanted share of the best
// rows of sample queries; the widest when none does.
func (h *HNSW) calibrate(ctx context.Context, o HNSWOptions) error {
	h.width = narrowest
	k := min(calibratedTop, h.n)
	if h.n <= scanAlways {
		return nil
	}
	queries := h.sample(o.Queries)
	nq := len(queries) / h.dim
	truth := make([]linalg.TopK, nq)
	for i := range truth {
		truth[i].Reset(k)
	}
	const block = 2048
	out := make([]float32, nq*block)
	for lo := 0; lo < h.n; lo += block {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := min(lo+block, h.n)
		linalg.DotRowsMany(queries, nq, h.vecs[lo*h.dim:hi*h.dim], h.dim, out[:nq*(hi-lo)])
		for i := range truth {
			truth[i].PushBlock(int32(lo), out[i*(hi-lo):][:hi-lo])
		}
	}
	var hits []models.Hit
	for h.width = narrowest; h.width < widest; h.width += h.width / 4 {
		found := 0
		for i := range truth {
			var err error
			if hits, err = h.Search(ctx, queries[i*h.dim:][:h.dim], k, models.Where{}, hits[:0]); err != nil {
				return err
			}
			if len(hits) == 0 {
				continue
			}
			// By score, so that rows that are equal may stand for each other.
			for _, c := range truth[i].Sorted(nil) {
				if c.Score >= hits[len(hits)-1].Score && hasRow(hits, h.row(c.Index)) {
					found++
				}
			}
		}
		if float64(found) >= o.Recall*float64(k*nq) {
			return nil
		}
	}
	h.width = widest
	return nil
}

func hasRow(hits []models.Hit, row int32) bool {
	for _, h := range hits {
		if int32(h.Row) == row {
			return true
		}
	}
	return false
}

// sample is up to calibrateQueries of queries, or of the rows when there are
// none.
func (h *HNSW) sample(queries []float32) []float32 {
	if len(queries) == 0 {
		queries = h.vecs
	}
	n := len(queries) / h.dim
	if n <= calibrateQueries {
		return queries
	}
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	picked := make([]float32, 0, calibrateQueries*h.dim)
	for range calibrateQueries {
		picked = append(picked, queries[rng.IntN(n)*h.dim:][:h.dim]...)
	}
	return picked
}
