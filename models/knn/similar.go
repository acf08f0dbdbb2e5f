package knn

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// similar makes the table in which each item has its k strongest neighbours. Item i and j
// are compared by the inner products of their columns of x; weigh turns those of
// item j with others, in place, into what each says for j. Only pairs that share a user are considered, one row
// of the products at a time, so memory is bounded by the table and a row a
// worker.
func similar(ctx context.Context, x linalg.CSR, k, workers int, progress func(models.Progress), weigh func(others []int32, j int32, dots []float32)) (*table, error) {
	if workers <= 0 {
		workers = linalg.Workers()
	}
	t := x.Transpose()
	accumulators, memory := make([]linalg.Accumulator, workers), make([][]float32, workers)
	out := fillColumns(x.Cols, k, workers, func(worker, item int, votes *picker) {
		if ctx.Err() != nil {
			return
		}
		others, sums := x.GramRow(t, item, &accumulators[worker])
		dots := slices.Grow(memory[worker][:0], len(others))[:len(others)]
		memory[worker] = dots
		for i, other := range others {
			dots[i] = sums[other]
		}
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
