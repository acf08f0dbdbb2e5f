package vector

import (
	"math"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// runs are rows in the order of arrange, cut into runs of runRows, and what is
// known of each run: enough to say, before looking at a run, how its inner
// products with a query are spread, and which they cannot exceed. It is
// immutable; its arrays may lie in a mapped file.
type runs struct {
	order
	placeOf []int32          // where each row is; not trusted, see place
	mean    linalg.Quantised // of each run
	spread  []float32        // root mean square of a coordinate of x - mean
	reach   []float32        // no |x - mean| is above it
	norm    []float32        // no |x|, length by codes and |mean| is above it
	off     []float32        // no row is further from what its codes say
	long    []float32        // how many times the length of a typical row norm is
	// What follows from the rest.
	scatter []float32 // of a product with a query of length 1: spread, and rounding at least
	narrow  []float32 // 1/scatter
	short   []float32 // 1/long
	sample  []int32   // groupSample rows of each group
	firstOf []int32   // the run of each place that is a multiple of runRows
	runAt   []int32   // the first run of each group, and how many runs there are
	groupOf []int32   // of each run
}

const runStats = 5 // arrays of numbers of each run

// runCount is how many runs n rows need at least.
func runCount(n int) int { return (n + runRows - 1) / runRows }

// place is where row is, as far as that can be told without looking: a
// mapped file may be damaged there, and then it is where another is.
func (r *runs) place(row int) (int32, bool) {
	at := r.placeOf[row]
	return at, uint32(at) < uint32(len(r.rowAt))
}

// runOf is the run that a place is in.
func (r *runs) runOf(place int32) int32 {
	run := r.firstOf[place/runRows]
	for r.start[run+1] <= place {
		run++
	}
	return run
}

// span is the places of a run, [from, to).
func (r *runs) span(run int) (from, to int) { return int(r.start[run]), int(r.start[run+1]) }

// newRuns describes vecs, which lie in order o, and their codes.
func newRuns(vecs []float32, q8 linalg.Quantised, o order, workers int) *runs {
	n, dim := q8.N, q8.D
	count := len(o.blockOf)
	r := &runs{order: o, placeOf: make([]int32, n)}
	for at, row := range o.rowAt {
		r.placeOf[row] = int32(at)
	}
	means := make([]float32, count*dim)
	linalg.ParallelN(count, 64, workers, func(_, lo, hi int) {
		for run := lo; run < hi; run++ {
			from, to := r.span(run)
			m := means[run*dim:][:dim]
			for i := from; i < to; i++ {
				linalg.Axpy(1/float32(to-from), vecs[i*dim:][:dim], m)
			}
		}
	})
	r.mean = linalg.QuantiseRows(means, dim, workers)
	r.split(make([]float32, runStats*count))
	linalg.ParallelN(count, 64, workers, func(_, lo, hi int) {
		for run := lo; run < hi; run++ {
			r.measure(run, vecs, q8)
		}
	})
	r.ready()
	return r
}

const (
	// A group is the runs of a block, groupRuns at most.
	groupRuns = 8
	// groupSample rows stand for their group: firstSample of them, and againSample others
	// where those are not enough.
	firstSample, againSample = 6, 2
	groupSample              = firstSample + againSample
)

// ready sets what follows from the rest.
func (r *runs) ready() {
	count := len(r.spread)
	r.scatter, r.narrow, r.short = make([]float32, count), make([]float32, count), make([]float32, count)
	least := max(1e-7*slices.Max(r.norm), 1e-30) // rows that are all alike are spread by rounding at least
	for run, s := range r.spread {
		r.scatter[run] = max(spreadTimes*s, least)
		r.narrow[run], r.short[run] = 1/r.scatter[run], 1/max(r.long[run], 1)
	}
	for run := range r.blockOf {
		for _, hi := r.span(run); len(r.firstOf)*runRows < hi; {
			r.firstOf = append(r.firstOf, int32(run))
		}
	}
	for run := 0; run < len(r.blockOf); {
		next := run
		for next < len(r.blockOf) && r.blockOf[next] == r.blockOf[run] && next-run < groupRuns {
			r.groupOf = append(r.groupOf, int32(len(r.runAt)))
			next++
		}
		r.runAt = append(r.runAt, int32(run))
		lo, hi := int(r.start[run]), int(r.start[next])
		for i := range firstSample {
			r.sample = append(r.sample, r.rowAt[lo+(hi-lo)*(2*i+1)/(2*firstSample)])
		}
		for i := range againSample {
			r.sample = append(r.sample, r.rowAt[lo+(hi-lo)*(3*i+1)/(3*againSample)])
		}
		run = next
	}
	r.runAt = append(r.runAt, int32(len(r.blockOf)))
}

// split cuts stats into the arrays.
func (r *runs) split(stats []float32) {
	count := len(stats) / runStats
	r.spread, r.reach = stats[:count:count], stats[count:][:count:count]
	r.norm, r.off = stats[2*count:][:count:count], stats[3*count:][:count:count]
	r.long = stats[4*count:]
}

// measure sets what is known of a run, bounds rounded up.
func (r *runs) measure(run int, vecs []float32, q8 linalg.Quantised) {
	dim := q8.D
	from, to := r.span(run)
	mean := make([]float64, dim)
	var middle, sum, total, reach, norm, off float64
	for j := range mean {
		mean[j] = float64(r.mean.Scale[run]) * float64(int(r.mean.Codes[run*dim+j])-128)
		middle += mean[j] * mean[j]
	}
	for i := from; i < to; i++ {
		var away, length, coded, missed float64
		scale := float64(q8.Scale[i])
		for j, x := range vecs[i*dim:][:dim] {
			v := float64(x)
			c := scale * float64(int(q8.Codes[i*dim+j])-128)
			away += (v - mean[j]) * (v - mean[j])
			length += v * v
			coded += c * c
			missed += (v - c) * (v - c)
		}
		sum += away
		total += length
		reach, norm, off = max(reach, away), max(norm, length, coded), max(off, missed)
	}
	r.spread[run] = float32(math.Sqrt(sum / float64((to-from)*dim)))
	r.reach[run], r.norm[run], r.off[run] = up(math.Sqrt(reach)), up(math.Sqrt(max(norm, middle))), up(math.Sqrt(off))
	r.long[run] = 1
	if total > 0 {
		r.long[run] = float32(math.Sqrt(norm * float64(to-from) / total))
	}
}

// inOrder copies the rows of vecs in the order of rowAt.
func inOrder(vecs []float32, dim int, rowAt []int32, workers int) []float32 {
	arranged := make([]float32, len(vecs))
	linalg.ParallelN(len(rowAt), blockRows, workers, func(_, lo, hi int) {
		for at := lo; at < hi; at++ {
			copy(arranged[at*dim:][:dim], vecs[int(rowAt[at])*dim:][:dim])
		}
	})
	return arranged
}

// groups is how many groups there are.
func (r *runs) groups() int { return len(r.runAt) - 1 }
