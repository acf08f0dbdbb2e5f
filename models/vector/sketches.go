package vector

import (
	"math"
	"math/bits"
	"runtime"
	"slices"
	"sync"

	"github.com/attune-rec/attune/models/linalg"
)

// sketches are arranged rows less the mean of their run, in four bits a value: half
// the memory of their codes, and compared with a bar 64 rows at a time. What they
// leave out of a row is bounded as what its codes do. They follow from the codes, and are
// made when a search first asks for them.
type sketches struct {
	once sync.Once
	rows linalg.Sketch // a block for each run; no rows where a run has fewer
}

// sketched is the sketches of the rows.
func (x *body) sketched() *sketches {
	k := x.sketches
	k.once.Do(func() { k.make(x) })
	return k
}

func (k *sketches) make(x *body) {
	r, dim := x.runs, x.dim
	count := len(r.blockOf)
	k.rows = linalg.NewSketch(count, dim)
	workers := runtime.GOMAXPROCS(0)
	memory := make([][]float32, workers)
	linalg.ParallelN(count, 64, workers, func(worker, lo, hi int) {
		from := resize(memory[worker], 2*dim)
		memory[worker] = from
		mean, away := from[:dim], from[dim:]
		for run := lo; run < hi; run++ {
			decode(r.mean, run, mean)
			first, end := r.span(run)
			for place := first; place < end; place++ {
				decode(x.q8, place, away)
				linalg.Axpy(-1, mean, away)
				k.rows.Set(run*runRows+place-first, away)
			}
		}
	})
}

// decode writes what the codes of row i stand for.
func decode(m linalg.Quantised, i int, dst []float32) {
	scale := m.Scale[i]
	for j, c := range m.Codes[i*m.D:][:m.D] {
		dst[j] = scale * float32(int(c)-128)
	}
}

// slack is how far below the bar the product of a row with the query may be by
// its sketch.
type slack struct {
	off    float32 // times what the sketch leaves out
	strict bool    // so far that none is missed
}

// trusting allows for sketchTimes standard deviations of what a sketch may be off.
func (x *body) trusting(length float32) slack {
	return slack{off: sketchTimes * length / float32(math.Sqrt(float64(x.dim)))}
}

// doubting misses none. Sums of sketches are rounded as those of codes are.
func doubting(err bounds) slack { return slack{off: max(err.off+err.norm, smallestStep), strict: true} }

const (
	sketchTimes = 1.2
	// What a sketch is made from is rounded by that share of the longest row of a run.
	sketchRounds = 1e-6
)

// compare keeps the rows of runs whose sketches say that they may be among the
// best in s.picked, and scores them by their codes when there are many. A search of
// a mapped file does with the codes: sketches would take half as much memory again.
func (x *body) compare(runs []int32, err bounds, allow slack, s *scan) {
	if x.numbers != nil {
		for _, run := range runs {
			x.look(int(run), err, s)
		}
		return
	}
	k, r := x.sketched(), x.runs
	s.bars, s.passed = resize(s.bars, len(runs)), s.passed[:0]
	bar := s.bar()
	for i, run := range runs {
		var less float32
		if allow.strict {
			less = err.of(r.off[run]+sketchRounds*r.norm[run], r.norm[run])
		}
		s.bars[i] = math.Nextafter32(bar-s.plan.means[run]-less, minusInf)
		s.passed = append(s.passed, 0)
	}
	k.rows.Above(&s.query, allow.off, runs, s.bars, s.passed)
	for i, word := range s.passed {
		lo, hi := r.span(int(runs[i]))
		s.pickFrom(runs[i], lo, word&(^uint64(0)>>(runRows-(hi-lo))), r.rowAt[lo:hi])
	}
	x.score(err, s)
}

// pickFrom appends to s.picked the places of the rows of a run that are in word and pass. Whether one
// does cannot be foretold, so it is counted rather than asked.
func (s *scan) pickFrom(run int32, lo int, word uint64, rows []int32) {
	at := len(s.picked)
	s.picked = slices.Grow(s.picked, runRows)[:at+runRows]
	s.inRun = slices.Grow(s.inRun[:at], runRows)[:at+runRows]
	picked, inRun := s.picked[at:], s.inRun[at:]
	n := 0
	if s.mask == nil {
		for ; word != 0; word &= word - 1 {
			picked[n&(runRows-1)], inRun[n&(runRows-1)] = int32(lo+bits.TrailingZeros64(word)), run
			n++
		}
	} else {
		for ; word != 0; word &= word - 1 {
			i := bits.TrailingZeros64(word)
			row := uint32(rows[i])
			picked[n&(runRows-1)], inRun[n&(runRows-1)] = int32(lo+i), run
			n += int(s.mask[row>>6] >> (row & 63) & 1)
		}
	}
	s.picked, s.inRun = s.picked[:at+n], s.inRun[:at+n]
}

// score offers the rows of s.picked, whose runs are in s.inRun, to s.top, by the least that their inner products may be, and
// keeps those that may be among the best.
func (x *body) score(err bounds, s *scan) {
	s.scores = resize(s.scores, len(s.picked))
	linalg.DotInt8Gather(&s.query, x.q8, s.picked, s.scores)
	off, norm := x.runs.off, x.runs.norm
	bar, at := s.bar(), len(s.candidates)
	s.candidates = slices.Grow(s.candidates, len(s.picked)+1)[:at+len(s.picked)+1]
	for i, score := range s.scores {
		run := s.inRun[i]
		margin := err.of(off[run], norm[run])
		s.candidates[at] = candidate{s.picked[i], score + margin}
		if score+margin >= bar {
			at++
		}
		if score-margin > bar {
			s.top.Push(s.picked[i], score-margin)
			s.gained++
			bar = s.bar()
		}
	}
	s.candidates, s.picked = s.candidates[:at], s.picked[:0]
}

// scoreFew is score for rows from anywhere, most of which cannot be among the best.
func (x *body) scoreFew(err bounds, s *scan) {
	s.scores = resize(s.scores, len(s.picked))
	linalg.DotInt8Gather(&s.query, x.q8, s.picked, s.scores)
	most, bar := err.of(x.mostOff, x.mostNorm), s.bar()
	for i, score := range s.scores {
		if score+most < bar {
			continue
		}
		run := x.runs.runOf(s.picked[i])
		margin := err.of(x.runs.off[run], x.runs.norm[run])
		if score+margin < bar {
			continue
		}
		s.candidates = append(s.candidates, candidate{s.picked[i], score + margin})
		if score-margin > bar {
			s.top.Push(s.picked[i], score-margin)
			s.gained++
			bar = s.bar()
		}
	}
	s.picked = s.picked[:0]
}

// bar is a lower bound of the k-th best score; -Inf while fewer than k are found.
func (s *scan) bar() float32 { return max(s.floor, s.top.Threshold()) }
