package vector

import (
	"math"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// plan is the order in which a search looks at runs, and when it has seen
// enough. The inner products of a run's rows are taken to be spread normally
// around that of its mean, so that each run holds some expected number of rows
// above the k-th best found so far. The runs that hold the most are looked at
// first, until those that are left hold less than lossShare of k together. The
// bar only rises, so what is left is never more than that.
//
// Under a filter the expectation also has the share of rows that pass, which is
// estimated for each block of runs by a sample and by how differently the
// filter treats blocks: of one that passes rows at random, all blocks pass the
// same share, whatever a sample says; of one that passes whole
// neighbourhoods, the sample says it all.
type plan struct {
	r       *runs
	k       int
	length  float32 // of the query
	means   []float32
	share   []float32 // of each block
	penalty []float32 // 2 ln(1/share)
	first   []float32 // of each run what speaks for it before there is a bar; -Inf when seen
	top     linalg.TopK
	seeds   []linalg.Scored
	seed    int
	strict  bool // only runs of blocks that pass their share serve as seeds
	sorted  bool
	bar     float32 // for which buckets are
	next    []int32
	buckets [planBuckets]bucket
	bucket  int
	visits  int
	seen    []uint64
	hits    []int32
	alike   float32 // how alike the rows of a block fare: 0 at random, 1 entirely
}

// bucket is runs that are about as promising.
type bucket struct {
	head, runs          int32 // a list through plan.next
	rows, z, inv, total float32
}

const (
	lossShare = .015
	// spreadTimes allows for tails that are longer than normal ones; beyond
	// hopeless standard deviations nothing is expected.
	spreadTimes, hopeless = 1.1, 7
	// planBuckets of bucketStep each begin at lowestBucket, in squares of
	// standard deviations.
	planBuckets, bucketStep, lowestBucket = 88, .5, -2
	// One row in thirty or so is taken for as long as the longest of a run:
	// longPenalty is twice the logarithm, longZ its root.
	longPenalty, longZ = 7, 2.65
	// seedRows, times k, are scanned before there is a bar, if the filter lets
	// through what it does elsewhere.
	seedRows = 4
	// checkEvery visits it is asked whether enough is seen.
	checkEvery = 16
)

// begin prepares for the k best of the allowed rows under mask; nil: of all.
func (p *plan) begin(r *runs, q *linalg.QuantisedQuery, length float32, mask []uint64, allowed, k int) {
	count := r.mean.N
	p.r, p.k, p.length = r, k, length
	p.means = resize(p.means, count)
	linalg.DotInt8Rows(q, r.mean, 0, p.means)
	blocks := r.blocks()
	p.share, p.penalty = resize(p.share, blocks), resize(p.penalty, blocks)
	overall := float32(allowed) / float32(max(len(r.rowAt), 1))
	if p.alike = 0; mask == nil {
		for b := range p.share {
			p.share[b], p.penalty[b] = 1, 0
		}
	} else {
		p.estimate(mask, overall)
	}
	p.seen = append(p.seen[:0], make([]uint64, (count+63)/64)...)
	p.strict, p.sorted, p.seed, p.seeds, p.visits = true, false, 0, p.seeds[:0], 0
	p.first = resize(p.first, count)
	for run, m := range p.means {
		if p.share[p.r.blockOf[run]] >= overall/2 {
			p.first[run] = m + 2*length*r.scatter[run]
		} else {
			p.first[run] = minusInf
		}
	}
	p.sow(int(seedRows*float32(k)/(overall*runRows)) + 2)
}

// estimate sets the share of rows that pass in each block.
func (p *plan) estimate(mask []uint64, overall float32) {
	p.hits = slices.Grow(p.hits[:0], len(p.share))[:len(p.share)]
	from := int32(0)
	for b, to := range p.r.asked {
		hits := uint64(0)
		for _, row := range p.r.sample[from:to] {
			hits += mask[uint32(row)>>6] >> (uint32(row) & 63) & 1
		}
		p.hits[b] = int32(hits)
		from = to
	}
	// The correlation within blocks, by the variance of a beta-binomial.
	var square, chance, pairs float32
	for b, hits := range p.hits {
		n := p.r.samples(b)
		d := float32(hits) - n*overall
		square += d * d
		chance += n * overall * (1 - overall)
		pairs += n * (n - 1) * overall * (1 - overall)
	}
	p.alike = 0
	if pairs > 0 {
		p.alike = (square - chance) / pairs
	}
	p.alike = min(max(p.alike, 1e-4), 1-1e-4)
	prior := (1 - p.alike) / p.alike
	for b, hits := range p.hits {
		share := max((float32(hits)+overall*prior)/(p.r.samples(b)+prior), 1e-6)
		p.share[b], p.penalty[b] = share, -2*float32(math.Ln2)*log2(share)
	}
}

// log2 is within .09 of the logarithm of x > 0.
func log2(x float32) float32 {
	b := math.Float32bits(x)
	return float32(int32(b>>23)-127) + float32(b&(1<<23-1))/(1<<23)
}

// sow takes the next runs that are looked at without a bar.
func (p *plan) sow(count int) {
	p.top.Reset(min(count, len(p.first)))
	p.top.PushBlock(0, p.first)
	p.seeds = p.top.Sorted(p.seeds[:0])
	for len(p.seeds) > 0 && p.seeds[len(p.seeds)-1].Score == minusInf {
		p.seeds = p.seeds[:len(p.seeds)-1]
	}
	p.seed = 0
}

// run is the next run to look at, where bar is a lower bound of the k-th best
// score, or -Inf while fewer than k rows are found; -1 when enough is seen.
func (p *plan) run(bar float32) int {
	for !p.sorted {
		switch {
		case p.seed < len(p.seeds):
			run := p.seeds[p.seed].Index
			p.seed++
			p.mark(int(run))
			return int(run)
		case bar > minusInf:
			p.sort(bar)
		case p.strict || len(p.seeds) > 0:
			if p.strict {
				p.strict = false
				for run, m := range p.means {
					if !p.has(run) {
						p.first[run] = m + 2*p.length*p.r.scatter[run]
					}
				}
			}
			p.sow(4 * max(len(p.seeds), 16))
		default:
			return -1
		}
	}
	for ; p.bucket < planBuckets; p.bucket++ {
		b := &p.buckets[p.bucket]
		if b.head < 0 {
			continue
		}
		if p.visits++; p.visits%checkEvery == 0 && p.left(bar) < lossShare*float32(p.k) {
			return -1
		}
		run := b.head
		b.head = p.next[run]
		b.runs--
		b.rows = max(b.rows-p.rows(int(run)), 0)
		p.mark(int(run))
		return int(run)
	}
	return -1
}

// rows is how many rows of a run are expected to pass.
func (p *plan) rows(run int) float32 {
	return float32(p.r.start[run+1]-p.r.start[run]) * p.share[p.r.blockOf[run]]
}

func (p *plan) has(run int) bool { return p.seen[run>>6]&(1<<(uint(run)&63)) != 0 }

func (p *plan) mark(run int) {
	p.seen[run>>6] |= 1 << (uint(run) & 63)
	p.first[run] = minusInf
}

// sort puts the runs that are left into buckets.
func (p *plan) sort(bar float32) {
	p.sorted, p.bar, p.bucket = true, bar, 0
	for b := range p.buckets {
		p.buckets[b] = bucket{head: -1}
	}
	p.next = slices.Grow(p.next[:0], len(p.means))[:len(p.means)]
	for run := len(p.means) - 1; run >= 0; run-- {
		if p.has(run) {
			continue
		}
		s := p.length * p.r.scatter[run]
		away := bar - p.means[run]
		if away > hopeless*s*p.r.long[run] {
			b := &p.buckets[planBuckets-1]
			p.next[run] = b.head
			b.head = int32(run)
			b.runs++
			continue
		}
		inv := 1 / max(s, math.SmallestNonzeroFloat32*1e6)
		z := min(max(away*inv, -8), 8)
		if long := p.r.long[run]; z > 0 && long > 1 {
			// A few are longer than the others, and lie that much further out.
			if most := (bar/long - p.means[run]) * inv; most > 0 {
				z = min(z, float32(math.Sqrt(float64(most*most+longPenalty))))
			} else {
				z = min(z, longZ)
			}
		}
		y := z * z
		if z < 0 { // of such runs half the rows and more are expected
			y = z / 4
		}
		at := min(max(int((y+p.penalty[p.r.blockOf[run]]-lowestBucket)*(1/bucketStep)), 0), planBuckets-1)
		b := &p.buckets[at]
		p.next[run] = b.head
		b.head = int32(run)
		rows := p.rows(run)
		b.runs++
		b.rows += rows
		b.total += rows
		b.z += rows * z
		b.inv += rows * inv
	}
	for i := range p.buckets {
		if b := &p.buckets[i]; b.total > 0 {
			b.z /= b.total
			b.inv /= b.total
		}
	}
}

// left is how many rows above bar are expected in the runs that are left.
func (p *plan) left(bar float32) float32 {
	var sum float32
	for i := p.bucket; i < planBuckets; i++ {
		if b := &p.buckets[i]; b.rows > 0 {
			sum += b.rows * above(b.z+(bar-p.bar)*b.inv)
		}
	}
	return sum
}

// cost is how many runs are yet to be looked at if the bar stays where it is.
func (p *plan) cost() int {
	left, runs := p.left(p.bar), 0
	for i := range p.buckets {
		if left < lossShare*float32(p.k) {
			break
		}
		b := &p.buckets[i]
		left -= b.rows * above(b.z)
		runs += int(b.runs)
	}
	return runs
}

// The share of a normal distribution above z, from aboveFrom in steps.
const (
	aboveFrom, aboveTo, aboveSteps = -8, 12, 16
)

var aboveTable = func() (t [(aboveTo-aboveFrom)*aboveSteps + 2]float32) {
	for i := range t {
		z := aboveFrom + float64(i)/aboveSteps
		t[i] = float32(math.Erfc(z/math.Sqrt2) / 2)
	}
	return t
}()

func above(z float32) float32 {
	at := (min(max(z, aboveFrom), aboveTo) - aboveFrom) * aboveSteps
	i := int(at)
	if i < 0 || i >= len(aboveTable)-1 { // z is NaN
		return 1
	}
	f := at - float32(i)
	return aboveTable[i]*(1-f) + aboveTable[i+1]*f
}
