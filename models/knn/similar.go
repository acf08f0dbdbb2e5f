package knn

import (
	"context"
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// similar makes the table in which each item has its k strongest neighbours. Item i and j
// are compared by the inner products of their columns of x, a user's part in them
// multiplied by what users has for the row; nil: 1. All are above 0. weigh turns those of
// item j with others, in place, into what each says for j. Only pairs that share a user are considered, one row
// of the products at a time, so memory is bounded by the table and a row a
// worker.
func similar(ctx context.Context, x linalg.CSR, users []float32, k, workers int, progress func(models.Progress), weigh func(others []int32, j int32, dots []float32)) (*table, error) {
	if workers <= 0 {
		workers = linalg.Workers()
	}
	t := x.Transpose()
	rows := make([]products, workers)
	out := fillColumns(x.Cols, k, workers, func(worker, item int, votes *picker) {
		if ctx.Err() != nil {
			return
		}
		others, dots := rows[worker].of(x, t, users, item)
		weigh(others, int32(item), dots)
		votes.offerAll(others, dots, int32(item))
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if progress != nil {
		progress(models.Progress{Step: 1, Steps: 1, Stage: "neighbours", Figures: map[string]float64{"pairs": float64(len(out.cols))}})
	}
	return out, nil
}

// products sums up one item's inner products with all others. The zero value is
// ready; it serves one goroutine at a time.
type products struct {
	sums   []float32 // by item, 0 between calls
	others []int32   // one longer, for what is written in vain
	dots   []float32
}

// of returns the items that share a user with item, itself among them, and their
// products with it, valid until the next call. t is x's transpose; what x and
// users have is above 0, so that a sum of 0 tells an item not met yet.
func (p *products) of(x, t linalg.CSR, users []float32, item int) (others []int32, dots []float32) {
	if len(p.sums) < x.Cols {
		p.sums, p.others, p.dots = make([]float32, x.Cols), make([]int32, x.Cols+1), make([]float32, x.Cols)
	}
	sums, list, n := p.sums, p.others, 0
	met, weights := t.Row(item)
	for e, u := range met {
		w := float32(1)
		if weights != nil {
			w = weights[e]
		}
		if users != nil {
			w *= users[u]
		}
		at, end := x.Ptr[u], x.Ptr[u+1]
		row := x.Idx[at:end]
		// Whether an item is new is hard to foretell, so it decides how far the list
		// grows instead of a branch.
		if x.Val == nil {
			for _, i := range row {
				list[n] = i
				if math.Float32bits(sums[i]) == 0 {
					n++
				}
				sums[i] += w
			}
			continue
		}
		vals := x.Val[at:end]
		vals = vals[:len(row)]
		for f, i := range row {
			list[n] = i
			if math.Float32bits(sums[i]) == 0 {
				n++
			}
			sums[i] += w * vals[f]
		}
	}
	others, dots = list[:n:n], p.dots[:n:n]
	for e, i := range others {
		dots[e], sums[i] = sums[i], 0
	}
	return others, dots
}

// squares is Σ v² of each column of x.
func squares(x linalg.CSR) []float32 {
	sums := make([]float64, x.Cols)
	for e, col := range x.Idx {
		v := 1.
		if x.Val != nil {
			v = float64(x.Val[e])
		}
		sums[col] += v * v
	}
	return narrow(sums)
}

// columnSums is Σ v of each column of x.
func columnSums(x linalg.CSR) []float64 {
	sums := make([]float64, x.Cols)
	for e, col := range x.Idx {
		if x.Val == nil {
			sums[col]++
		} else {
			sums[col] += float64(x.Val[e])
		}
	}
	return sums
}

// rowSums is Σ v of each row of x.
func rowSums(x linalg.CSR) []float64 {
	sums := make([]float64, x.Rows)
	for row := range sums {
		cols, vals := x.Row(row)
		if vals == nil {
			sums[row] = float64(len(cols))
			continue
		}
		for _, v := range vals {
			sums[row] += float64(v)
		}
	}
	return sums
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// powers is s^-exponent of each sum, 0 where the sum is not above 0.
func powers(sums []float64, exponent float64) []float32 {
	out := make([]float32, len(sums))
	for i, s := range sums {
		if s > 0 {
			out[i] = float32(math.Pow(s, -exponent))
		}
	}
	return out
}

// scaled is x with each value multiplied by its row's and its column's factor;
// nil factors are 1.
func scaled(x linalg.CSR, rows, cols []float32) linalg.CSR {
	val := make([]float32, len(x.Idx))
	for row := range x.Rows {
		for e := x.Ptr[row]; e < x.Ptr[row+1]; e++ {
			v := float32(1)
			if x.Val != nil {
				v = x.Val[e]
			}
			if rows != nil {
				v *= rows[row]
			}
			if cols != nil {
				v *= cols[x.Idx[e]]
			}
			val[e] = v
		}
	}
	x.Val = val
	return x
}

// errEmpty is returned for data in which no interaction speaks for an item.
func errEmpty(kind string) error {
	return fmt.Errorf("fit %s: the data has no interaction that speaks for an item", kind)
}
