package vector

import (
	"math"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// plan is which runs a search looks at, and when it has seen enough. The inner
// products of a run's rows are taken to be spread normally around that of its mean,
// so that each run is expected to hold some number of rows that pass and are above a
// bar. A run of each group tells where the bar will about be; by that all runs are
// weighed, and looked at in the order of what speaks for them, until those that are left
// are expected to hold hardly any of what is asked for. What is
// expected of them falls as the bar rises, and is mended by what the last runs turned
// out to give. The groups nearest to the query are looked at whatever is expected.
type plan struct {
	shares
	r      *runs
	k      int
	length float32 // of the query
	loss   float32 // rows that may be missed
	means  []float32
	top    linalg.TopK
	best   []linalg.Scored
	group  []float32 // of each group its first run's mean
	seen   []uint64
	away   []float32 // by how many standard deviations the bar is above each run's mean
	far    []float32 // and above that of its longest rows
	bars   []float32
	most   []float32 // no row of a run is better; by bound
	met    []weighed
	order  []int32 // runs by what speaks for them, as far as there is any hope
	at     int     // runs of order before it are seen
	of     [planBuckets]bucket
	bucket int    // of the next run
	last   bucket // the runs given last
	bar    float32
	// What all runs left are expected to hold above bar, and what the last ones gave of that.
	left, expected, gained float32
	some                   []int32
}

// weighed is a run and the bucket that its promise is in.
type weighed struct{ run, bucket int32 }

const (
	// spreadTimes allows for tails that are longer than normal ones.
	spreadTimes = 1.1
	// Runs that are expected to hold less than lossShare of k rows together are left out where there are
	// lossRows rows; of fewer rows the square of that part of it, but no less than leastLoss: what is expected is
	// wrong the more, the less rows lie in neighbourhoods, and all runs of few rows are looked at in little more time.
	lossShare, leastLoss, lossRows = .04, .0003, 400_000
	// A bar is guessed to a part in 2 to the guessRounds, from runs in steps of 1/guessSteps standard deviations.
	guessRounds, guessSteps = 10, 3
	// nearGroups are looked at whatever is known of them, and firstGroups first where all are looked at.
	nearGroups, firstGroups = 4, 16
	// someRuns are looked at at a time.
	someRuns = 96
	// Of what the runs looked at before gave, this much counts as much as what the last ones did;
	// and as if they had given one row where one was expected.
	fade, sure = .5, .5
	// planBuckets of bucketStep each begin at lowestBucket, in squares of
	// standard deviations. What lies beyond the last is hopeless.
	planBuckets, bucketStep, lowestBucket = 64, .25, -1
	hopeless                              = lowestBucket + planBuckets*bucketStep
	// One row in thirty or so is taken for as long as the longest of a run:
	// longPenalty is twice the logarithm.
	longPenalty = 7
)

// begin prepares for the k best of the allowed rows under mask; nil: of all.
func (p *plan) begin(r *runs, q *linalg.QuantisedQuery, length float32, mask []uint64, allowed, k int) {
	p.r, p.k, p.length = r, k, max(length, 1e-30)
	p.order, p.at = p.order[:0], 0
	part := float32(min(len(r.rowAt), lossRows)) / lossRows
	p.loss = max(lossShare*part*part, leastLoss) * float32(k)
	p.means = resize(p.means, r.mean.N)
	linalg.DotInt8Rows(q, r.mean, 0, p.means)
	p.estimate(r, mask, float32(allowed)/float32(max(len(r.rowAt), 1)))
	p.seen = append(p.seen[:0], make([]uint64, (r.mean.N+63)/64)...)
}

// bound says what no row of a run is above.
func (p *plan) bound(err bounds, length float32) {
	p.most = append(p.most[:0], p.means...)
	linalg.Axpy(err.norm, p.r.norm, p.most)
	linalg.Axpy(up(float64(length)), p.r.reach, p.most)
}

// above is about how many rows pass of the groups whose longest bound does not keep below a bar.
func (p *plan) above(bar float32) (rows float32) {
	for g, share := range p.share {
		if p.most[p.r.runAt[g]] >= bar {
			rows += float32(p.r.start[p.r.runAt[g+1]]-p.r.start[p.r.runAt[g]]) * share
		}
	}
	return rows
}

// promising is the runs of the firstGroups of which most is expected above a bar, of groups that a filter does
// not keep back.
func (p *plan) promising(bar float32) []int32 {
	p.group = resize(p.group, p.r.groups())
	for g, run := range p.r.runAt[:len(p.group)] {
		if p.group[g] = minusInf; 2*p.share[g] >= p.overall {
			p.group[g] = (p.means[run] - bar) * p.r.narrow[run] // the longest rows of the group
		}
	}
	return p.bestGroups(firstGroups)
}

// bestGroups is the runs of so many groups, the best of p.group first.
func (p *plan) bestGroups(most int) []int32 {
	p.some = p.some[:0]
	p.top.Reset(most)
	p.top.PushBlock(0, p.group)
	p.best = p.top.Sorted(p.best[:0])
	for _, s := range p.best {
		for run := p.r.runAt[s.Index]; run < p.r.runAt[s.Index+1] && s.Score > minusInf; run++ {
			p.some = append(p.some, run)
		}
	}
	return p.some
}

// near is the runs of the groups nearest to the query.
func (p *plan) near() []int32 {
	p.group = resize(p.group, p.r.groups())
	for g := range p.group {
		p.group[g] = p.means[p.r.runAt[g]]
	}
	for _, run := range p.bestGroups(nearGroups) {
		p.mark(run)
	}
	return p.some
}

// guess is a bar that about so many rows that pass are expected above, by one run of each group; -Inf
// when there are not as many.
func (p *plan) guess(rows float32) float32 {
	r, low, high := p.r, float32(math.Inf(1)), minusInf
	one := func(g int) int32 { return r.runAt[g] + int32(g)%(r.runAt[g+1]-r.runAt[g]) }
	for g, share := range p.share {
		if share > leastShare {
			run := one(g)
			low = min(low, p.means[run])
			high = max(high, p.means[run]+2*p.length*r.scatter[run])
		}
	}
	clear(p.of[:])
	p.bucket = 0
	inv := 1 / p.length
	for g, share := range p.share {
		if share > leastShare {
			run := one(g)
			z := (high - p.means[run]) * r.narrow[run] * inv
			at := planBuckets - 1
			if z*guessSteps < planBuckets {
				at = int(max(z*guessSteps, 0))
			}
			p.of[at].add(float32(r.start[r.runAt[g+1]]-r.start[r.runAt[g]])*share, z, r.narrow[run])
		}
	}
	p.bar = high
	if p.rise(low); p.left < rows {
		return minusInf
	}
	for range guessRounds {
		bar := (low + high) / 2
		if p.rise(bar); p.left < rows {
			high = bar
		} else {
			low = bar
		}
	}
	return low
}

// weigh puts the runs that are not seen in the order of what speaks for them at that
// bar: the square of how many standard deviations it is above their mean, or, where that is less, above that
// of their longest rows and longPenalty more; and what the filter takes besides. It returns how many are
// to be looked at, as far as can be told before.
func (p *plan) weigh(bar float32) (count int) {
	p.met, p.at, p.bucket = p.met[:0], 0, 0
	p.expected, p.gained, p.last = 0, 0, bucket{}
	clear(p.of[:])
	r := p.r
	p.away, p.far, p.bars = resize(p.away, len(p.means)), resize(p.far, len(p.means)), resize(p.bars, len(p.means))
	for i := range p.bars {
		p.bars[i] = bar
	}
	linalg.Standardise(p.away, p.bars, p.means, r.narrow, math.MaxFloat32)
	linalg.MulTo(p.bars, p.bars, r.short)
	linalg.Standardise(p.far, p.bars, p.means, r.narrow, math.MaxFloat32)
	inv := 1 / p.length
	most, long := p.length*float32(math.Sqrt(hopeless)), p.length*float32(math.Sqrt(hopeless-longPenalty))
	for run := 0; run < len(p.away); run++ {
		g := r.groupOf[run]
		if p.penalty[g] >= hopeless {
			run = int(r.runAt[g+1]) - 1
			continue
		}
		z := p.away[run]
		if z > most && p.far[run] > long {
			continue
		}
		z *= inv
		y := max(z/4, lowestBucket) // of such runs half the rows and more are expected
		if z > 0 {
			if far := max(p.far[run]*inv, 0); far*far+longPenalty < z*z {
				y = far*far + longPenalty
				z = float32(math.Sqrt(float64(y)))
			} else {
				y = z * z
			}
		}
		at := (y + p.penalty[g] - lowestBucket) * (1 / bucketStep)
		if !(at < planBuckets) || p.has(int32(run)) {
			continue
		}
		p.met = append(p.met, weighed{int32(run), int32(at)})
		b := &p.of[int32(at)]
		rows := float32(r.start[run+1]-r.start[run]) * p.share[g]
		b.end++
		b.add(rows, z, r.narrow[run])
	}
	p.arrange()
	p.bar = bar
	p.rise(bar)
	left := p.left
	for i := 0; i < planBuckets && left > p.loss; i++ {
		left -= p.of[i].hold()
		count = p.of[i].end
	}
	return count
}

// arrange puts the runs that are weighed in the order of their buckets.
func (p *plan) arrange() {
	p.order = slices.Grow(p.order[:0], len(p.met))[:len(p.met)]
	from := 0
	for b := range p.of {
		p.of[b].end, from = from, from+p.of[b].end
	}
	for _, w := range p.met {
		b := &p.of[w.bucket]
		p.order[b.end] = w.run
		b.end++
	}
}

// runs is the next runs to look at, when those before gave so many rows that are among the best
// yet, of which the worst is bar; none when enough is seen.
func (p *plan) runs(gave int, bar float32) []int32 {
	if bar > p.bar {
		p.rise(bar)
	}
	p.expected, p.gained = fade*p.expected+p.last.hold(), fade*p.gained+float32(gave)
	trust := (p.gained + sure) / (p.expected + sure)
	if p.left*trust <= p.loss {
		return nil
	}
	lo, hi := p.at, min(p.at+someRuns, len(p.order))
	p.at = hi
	p.last = bucket{}
	for lo := lo; lo < hi; {
		b := &p.of[p.bucket]
		if to := min(hi, b.end); to > lo {
			b.move(float32(to-lo)/float32(b.end-lo), &p.last)
			lo = to
		}
		if lo == b.end {
			p.bucket++
		}
	}
	p.left -= p.last.hold()
	return p.order[lo:hi]
}

// rise says what the runs left are expected to hold above a higher bar.
func (p *plan) rise(bar float32) {
	p.left = 0
	up := (bar - p.bar) / p.length
	p.last.away += up * p.last.narrow
	for i := p.bucket; i < len(p.of); i++ {
		b := &p.of[i]
		b.away += up * b.narrow
		p.left += b.hold()
	}
	p.bar = bar
}

func (p *plan) has(run int32) bool { return p.seen[run>>6]&(1<<(uint(run)&63)) != 0 }

func (p *plan) mark(run int32) { p.seen[run>>6] |= 1 << (uint(run) & 63) }

// eachSeen calls f with the runs that were looked at.
func (p *plan) eachSeen(f func(run int)) {
	each(p.seen, f)
	for _, run := range p.order[:p.at] {
		f(int(run))
	}
}
