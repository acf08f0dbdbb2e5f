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
	cellSample, cellRounds = 32, 9
	// From this round on, in every other one, cells of leastSplit of the sample are
	// split where their rows are, after splitRounds, that much nearer.
	splitFrom, leastSplit, splitRounds, splitGain = 2, 8, 4, .65
	// assignRows is how many rows are compared with the cells at a time.
	assignRows = 64
)

// order is where rows lie: those of a cell, which point the same way, together,
// and the longer ones first; each cell cut into runs of runRows at most.
type order struct {
	rowAt   []int32 // the caller's row at each place
	start   []int32 // the first place of each run, and how many places there are
	blockOf []int32 // the cell of each run that has one, from 0 and ascending by at most 1
}

// arrange puts the rows in order. Cells are those of a spherical k-means (Dhillon
// and Modha, 2001), learnt from a sample. The same rows give the same order on
// any number of workers of one instruction set.
func arrange(vecs []float32, dim, workers int) order {
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
	o := order{rowAt: asGiven(n)}
	slices.SortFunc(o.rowAt, func(a, b int32) int {
		return cmp.Or(cmp.Compare(cell[a], cell[b]), cmp.Compare(length[b], length[a]), cmp.Compare(a, b))
	})
	block := int32(0)
	for lo := 0; lo < n; block++ {
		hi := lo
		for hi < n && cell[o.rowAt[hi]] == cell[o.rowAt[lo]] {
			hi++
		}
		for cuts, i := runCount(hi-lo), 0; i < cuts; i++ { // as even as can be
			o.start = append(o.start, int32(lo+(hi-lo)*i/cuts))
			o.blockOf = append(o.blockOf, block)
		}
		lo = hi
	}
	o.start = append(o.start, int32(n))
	return o
}

// inGivenOrder is the rows in the order in which they are given, in blocks of a run.
func inGivenOrder(n int) order {
	o := order{rowAt: asGiven(n), blockOf: asGiven(runCount(n))}
	for lo := 0; lo < n; lo += runRows {
		o.start = append(o.start, int32(lo))
	}
	o.start = append(o.start, int32(n))
	return o
}

// asGiven is 0 to n-1.
func asGiven(n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(i)
	}
	return x
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
		unit(sample[i*dim:])
	}
	step := coprime(sampled)
	for c := range cells {
		centres = append(centres, sample[int(int64(c)*int64(step)%int64(sampled))*dim:][:dim]...)
	}
	cell, fit := make([]int32, sampled), make([]float32, sampled)
	for round := range cellRounds {
		assign(sample, centres, dim, workers, cell, fit)
		clear(centres)
		for i, c := range cell {
			linalg.Axpy(1, sample[i*dim:][:dim], centres[int(c)*dim:][:dim])
		}
		for c := range len(centres) / dim {
			unit(centres[c*dim:][:dim])
		}
		if round >= splitFrom && round%2 == 0 {
			centres = split(sample, centres, dim, workers, cell)
		}
	}
	return centres
}

// unit gives x length 1 where it has one.
func unit(x []float32) {
	if l := float64(linalg.Dot(x, x)); l > 0 && l <= math.MaxFloat32 {
		linalg.Scale(float32(1/math.Sqrt(l)), x)
	}
}

// split makes two of each cell that serves its own much better so: two
// neighbourhoods shared it.
func split(sample, centres []float32, dim, workers int, cell []int32) []float32 {
	cells := len(centres) / dim
	members := make([][]int32, cells)
	for i, c := range cell {
		members[c] = append(members[c], int32(i))
	}
	halves := make([][]float32, cells)
	linalg.ParallelN(cells, 16, workers, func(_, lo, hi int) {
		for c := lo; c < hi; c++ {
			halves[c] = halve(sample, centres[c*dim:][:dim], members[c])
		}
	})
	for c, h := range halves {
		if h != nil {
			copy(centres[c*dim:][:dim], h[:dim])
			centres = append(centres, h[dim:]...)
		}
	}
	return centres
}

// halve is two directions for members that one is the centre of; nil where that
// would not tell neighbourhoods apart.
func halve(sample, centre []float32, members []int32) []float32 {
	dim := len(centre)
	if len(members) < leastSplit {
		return nil
	}
	row := func(i int32) []float32 { return sample[int(i)*dim:][:dim] }
	least := func(from []float32) (worst int32) {
		low := float32(math.Inf(1))
		for _, i := range members {
			if s := linalg.Dot(from, row(i)); s < low {
				worst, low = i, s
			}
		}
		return worst
	}
	one := least(centre)
	halves := slices.Concat(row(one), row(least(row(one))))
	a, b := halves[:dim], halves[dim:]
	var before, after float32
	for range splitRounds {
		sum := make([]float32, 2*dim)
		before, after = 0, 0
		for _, i := range members {
			x := row(i)
			fitA, fitB := linalg.Dot(x, a), linalg.Dot(x, b)
			before += 1 - linalg.Dot(x, centre)
			after += 1 - max(fitA, fitB)
			if fitA >= fitB {
				linalg.Axpy(1, x, sum[:dim])
			} else {
				linalg.Axpy(1, x, sum[dim:])
			}
		}
		copy(halves, sum)
		unit(a)
		unit(b)
	}
	if !(after < splitGain*before) {
		return nil
	}
	return halves
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
