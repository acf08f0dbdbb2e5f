package vector

import (
	"cmp"
	"math"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

const (
	// cellRows is how many rows a cell has on average, mostCells how many cells
	// there are at most.
	cellRows, mostCells = 256, 4096
	// cellSample is how many rows a cell is learnt from, in so many rounds.
	cellSample, cellRounds = 48, 6
	// assignRows is how many rows are compared with the cells at a time.
	assignRows = 64
)

// arrange puts the rows in an order in which those that point the same way lie
// together, and among them the longer ones first: near is the row at each place.
// Directions are those of a spherical k-means (Dhillon and Modha, 2001), learnt
// from a sample. The same rows give the same order on any number of workers of
// one instruction set.
func arrange(vecs []float32, dim, workers int) (near []int32) {
	n := len(vecs) / dim
	length := make([]float32, n)
	linalg.ParallelN(n, blockRows, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			x := vecs[i*dim:][:dim]
			length[i] = linalg.Dot(x, x)
		}
	})
	centres := learnCells(vecs, length, dim, workers)
	cell := make([]int32, n)
	assign(vecs, centres, dim, workers, cell, nil)
	near = make([]int32, n)
	for i := range near {
		near[i] = int32(i)
	}
	slices.SortFunc(near, func(a, b int32) int {
		return cmp.Or(cmp.Compare(cell[a], cell[b]), cmp.Compare(length[b], length[a]), cmp.Compare(a, b))
	})
	return near
}

// learnCells is the directions of the cells, unit vectors.
func learnCells(vecs, length []float32, dim, workers int) (centres []float32) {
	n := len(length)
	cells := max(min(n/cellRows, mostCells), 1)
	sampled := min(n, cells*cellSample)
	sample := make([]float32, 0, sampled*dim)
	for i := range sampled {
		row := int(int64(i) * int64(n) / int64(sampled))
		sample = append(sample, vecs[row*dim:][:dim]...)
		if l := length[row]; l > 0 && l <= math.MaxFloat32 {
			linalg.Scale(float32(1/math.Sqrt(float64(l))), sample[i*dim:])
		}
	}
	step := coprime(sampled)
	for c := range cells {
		centres = append(centres, sample[int(int64(c)*int64(step)%int64(sampled))*dim:][:dim]...)
	}
	cell, fit := make([]int32, sampled), make([]float32, sampled)
	size := make([]int, cells)
	for round := range cellRounds {
		assign(sample, centres, dim, workers, cell, fit)
		clear(centres)
		clear(size)
		for i, c := range cell {
			linalg.Axpy(1, sample[i*dim:][:dim], centres[int(c)*dim:][:dim])
			size[c]++
		}
		if round < cellRounds-2 {
			reseed(sample, centres, dim, size, fit)
		}
		for c := range cells {
			x := centres[c*dim:][:dim]
			if l := float64(linalg.Dot(x, x)); l > 0 && l <= math.MaxFloat32 {
				linalg.Scale(float32(1/math.Sqrt(l)), x)
			}
		}
	}
	return centres
}

// reseed moves the cells that few of the sample are in to where the sample is
// served worst.
func reseed(sample, centres []float32, dim int, size []int, fit []float32) {
	worst := make([]int32, len(fit))
	for i := range worst {
		worst[i] = int32(i)
	}
	slices.SortFunc(worst, func(a, b int32) int { return cmp.Or(cmp.Compare(fit[a], fit[b]), cmp.Compare(a, b)) })
	worst = worst[:len(worst)/4] // spread over the worse, not only the odd ones out
	var poor []int
	for c, s := range size {
		if 4*s < cellSample {
			poor = append(poor, c)
		}
	}
	for i, c := range poor {
		if at := i * len(worst) / len(poor); at < len(worst) {
			copy(centres[c*dim:][:dim], sample[int(worst[at])*dim:][:dim])
		}
	}
}

// assign sets the cell of each row to the one whose direction fits best, and how
// well, where fit is not nil.
func assign(rows, centres []float32, dim, workers int, cell []int32, fit []float32) {
	n, cells := len(cell), len(centres)/dim
	out := make([][]float32, max(workers, 1))
	linalg.ParallelN(n, assignRows, workers, func(worker, lo, hi int) {
		scores := resize(out[worker], assignRows*cells)
		out[worker] = scores
		linalg.DotRowsMany(rows[lo*dim:hi*dim], hi-lo, centres, dim, scores[:(hi-lo)*cells])
		for i := lo; i < hi; i++ {
			of := scores[(i-lo)*cells:][:cells]
			best := 0
			for at := linalg.IndexAbove(of, of[0]); at < len(of); at += linalg.IndexAbove(of[at:], of[best]) {
				best = at
			}
			cell[i] = int32(best)
			if fit != nil {
				fit[i] = of[best]
			}
		}
	})
}
