package vector

import (
	"math"
	"math/bits"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// plan is which runs a search looks at, and when it has seen enough. The inner
// products of a run's rows are taken to be spread normally around that of its mean,
// so that each run holds some expected number of rows above the k-th best found
// so far. A few runs, of those that promise most, give a first bar; then come the ones
// that hold most above it, which raise it; and then all but those that hold less
// than lossShare of k together. The bar only rises, so what is left is never more
// than that.
//
// Under a filter the expectation also has the share of rows that pass, which is
// estimated for each group of runs by a sample and by how differently the filter
// treats groups: of one that passes rows at random, all groups pass the same share,
// whatever a sample says; of one that passes whole neighbourhoods, the sample says it
// all. The groups nearest to the query are looked at whatever it says.
type plan struct {
	r       *runs
	k       int
	length  float32 // of the query
	means   []float32
	share   []float32 // of each group
	live    []int32   // groups of which some pass
	penalty []float32 // of each of those 2 ln(1/share)
	met     int       // so many of those, the first, are known to have some
	near    []int32   // runs of the groups nearest to the query, yet to be looked at
	first   []float32 // of each live group what speaks for it before there is a bar; -Inf for none
	top     linalg.TopK
	seeds   []linalg.Scored
	seed    int
	sown    float32 // rows that pass in the seeds looked at
	aims    int
	seen    []uint64
	looked  []int32   // runs that are seen
	z, far  []float32 // of each live group, see zOf
	upper   []float32 // of each live group the bar up to which it is worth a look
	at      int       // live groups before it are done with
	some    []int32
	bits    []uint64
	hits    []uint8
	alike   float32 // how alike the rows of a group fare: 0 at random, 1 entirely
}

const (
	lossShare = .03
	// spreadTimes allows for tails that are longer than normal ones; beyond
	// hopeless standard deviations nothing is expected.
	spreadTimes, lowest, hopeless = 1.1, -8, 7
	// planBuckets of bucketStep each begin at lowestBucket, in squares of
	// standard deviations.
	planBuckets, bucketStep, lowestBucket = 88, .5, -2
	// One row in thirty or so is taken for as long as the longest of a run:
	// longPenalty is twice the logarithm, longZ its root.
	longPenalty, longZ = 7, 2.65
	never              = -1e12
	// seedRows, times k, are scanned before there is a bar, if the filter lets
	// through what it does elsewhere.
	seedRows = 3
	// Runs whose mean is no more than surely standard deviations below the bar hold a
	// row above it as a rule.
	surely = 2
	// nearGroups are looked at whatever is known of them.
	nearGroups = 4
	// firstRows, times k, above the bar that they set are looked for first.
	firstRows = 1
	// The runs left are weighed so often; what is expected of them is mended by what those
	// seen turned out to hold, this many times at most.
	mostAims, mostTrust = 3, 4
	// aimedGroups tell what all hold. someRuns are looked at at a time.
	aimedGroups, someRuns = 96, 32
	// A filter that treats the rows of a group no more alike than that is taken for one by chance.
	byChance, leastAlike = .03, 1e-4
	// Fewer than leastShare are none.
	leastShare = 1e-6
)

// begin prepares for the k best of the allowed rows under mask; nil: of all.
func (p *plan) begin(r *runs, q *linalg.QuantisedQuery, length float32, mask []uint64, allowed, k int) {
	count, groups := r.mean.N, r.groups()
	p.r, p.k, p.length = r, k, length
	p.means = resize(p.means, count)
	linalg.DotInt8Rows(q, r.mean, 0, p.means)
	p.share, p.live, p.penalty = resize(p.share, groups), p.live[:0], p.penalty[:0]
	overall := float32(allowed) / float32(max(len(r.rowAt), 1))
	if p.alike = 0; mask == nil {
		for g := range p.share {
			p.share[g], p.live, p.penalty = 1, append(p.live, int32(g)), append(p.penalty, 0)
		}
		p.met = groups
	} else {
		p.estimate(mask, overall)
	}
	p.seen = append(p.seen[:0], make([]uint64, (count+63)/64)...)
	p.seed, p.seeds, p.sown, p.aims, p.at, p.looked = 0, p.seeds[:0], 0, 0, 0, p.looked[:0]
	p.first = resize(p.first, groups)
	for g := range p.first {
		p.first[g] = p.means[r.runAt[g]]
	}
	p.sow(nearGroups)
	p.near = p.near[:0]
	for _, s := range p.seeds {
		for run := r.runAt[s.Index]; run < r.runAt[s.Index+1]; run++ {
			p.near = append(p.near, run)
		}
	}
	p.first = p.first[:len(p.live)]
	for i, g := range p.live {
		run := r.runAt[g] // the longest rows
		p.first[i] = p.means[run] + 2*length*r.scatter[run]
		if p.share[g] < overall/2 {
			p.first[i] = minusInf
		}
	}
	p.sow(int(seedRows*float32(k)/(overall*runRows)) + 2)
}

// estimate sets the share of rows that pass in each group.
func (p *plan) estimate(mask []uint64, overall float32) {
	groups := len(p.share)
	// The correlation within groups, by the variance of a beta-binomial.
	p.alike = p.likeness(mask, overall, aimedGroups)
	if p.alike < walkAlike { // to be sure
		p.alike = p.likeness(mask, overall, 4*aimedGroups)
	}
	if p.alike < byChance {
		penalty := float32(-2 * math.Log(float64(overall)))
		for g := range groups {
			p.share[g], p.live, p.penalty = overall, append(p.live, int32(g)), append(p.penalty, penalty)
		}
		p.met = groups
		return
	}
	p.bits = slices.Grow(p.bits[:0], (groupSample*groups+63)/64)[:(groupSample*groups+63)/64]
	linalg.BitsAt(mask, p.r.sample, p.bits)
	p.hits = slices.Grow(p.hits[:0], groups)[:groups]
	// Groups of which the first of the sample knows none stand for each other: where they
	// are many, each by itself says too little.
	var none, met int
	for g := range groups {
		word := uint32(p.bits[g/(64/groupSample)] >> (g % (64 / groupSample) * groupSample) & (1<<groupSample - 1))
		p.hits[g] = uint8(bits.OnesCount32(word))
		if word<<(32-firstSample) == 0 {
			none += againSample
			met += int(p.hits[g])
		}
	}
	prior := (1 - p.alike) / p.alike
	var share, penalty [groupSample + 1]float32
	for i := range share {
		share[i] = (float32(i) + overall*prior) / (groupSample + prior)
	}
	share[0] = min((float32(met)+overall*prior)/(float32(none)+prior), share[0])
	for i, s := range share {
		penalty[i] = float32(-2 * math.Log(float64(s)))
	}
	for g, met := range p.hits {
		if p.share[g] = leastShare; met > 0 {
			p.share[g], p.live, p.penalty = share[met], append(p.live, int32(g)), append(p.penalty, penalty[met])
		}
	}
	if p.met = len(p.live); p.met == 0 { // a filter of all but the sample
		share[0], penalty[0] = overall, float32(-2*math.Log(float64(overall)))
	}
	if share[0] <= leastShare {
		return
	}
	for g, met := range p.hits {
		if met == 0 {
			p.share[g], p.live, p.penalty = share[0], append(p.live, int32(g)), append(p.penalty, penalty[0])
		}
	}
}

// likeness is how alike the rows of a group fare, by about count groups.
func (p *plan) likeness(mask []uint64, overall float32, count int) float32 {
	const n = firstSample
	chance := n * overall * (1 - overall)
	if chance <= 0 {
		return leastAlike
	}
	var square float32
	step := max(len(p.share)/count, 1)
	asked := 0
	for g := 0; g < len(p.share); g += step {
		hits := uint64(0)
		for _, row := range p.r.sample[g*groupSample:][:n] {
			hits += mask[uint32(row)>>6] >> (uint32(row) & 63) & 1
		}
		d := float32(hits) - n*overall
		square += d*d - chance
		asked++
	}
	return min(max(square/float32(asked)/((n-1)*chance), leastAlike), 1-leastAlike)
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

// seedRun is the next run to look at while bar, a lower bound of the k-th best
// score, is -Inf for want of k rows, and of the first that serve as seeds; -1 when
// those are seen or all are.
func (p *plan) seedRun(bar float32) int {
	if last := len(p.near) - 1; last >= 0 {
		run := int(p.near[last])
		p.near = p.near[:last]
		p.sown += p.rows(run)
		p.mark(run)
		return run
	}
	for p.seed < len(p.seeds) && (bar == minusInf || p.sown < seedRows*float32(p.k)) {
		g := p.live[p.seeds[p.seed].Index]
		p.seed++
		run := int(p.r.runAt[g])
		if p.has(run) {
			continue
		}
		p.sown += p.rows(run)
		p.mark(run)
		return run
	}
	if bar > minusInf {
		p.at = 0
		return -1
	}
	for ; p.at < len(p.means); p.at++ {
		if !p.has(p.at) {
			p.mark(p.at)
			return p.at
		}
	}
	return -1
}

// aim decides which runs are worth a look at that bar, as far as some of them tell,
// and returns about how many they are. First those that hold most of the rows that
// pass and are above the bar, since they will raise it; when few are left, as many
// that the others hold lossShare of k together, and last is true.
func (p *plan) aim(bar float32) (count int, last bool) {
	var hold, met [planBuckets]float32
	ask := func(lo, hi int) {
		step := max((hi-lo)/aimedGroups, 1)
		weight := float32(step)
		for i := 0; i*step < hi-lo; i++ {
			at := min(lo+i*step+int(uint32(i)*2654435761>>16)%step, hi-1)
			g, penalty := p.live[at], p.penalty[at]
			for run := int(p.r.runAt[g]); run < int(p.r.runAt[g+1]); run++ {
				if !p.has(run) {
					y, z := p.promise(run, bar)
					b := min(max(int((y+penalty-lowestBucket)*(1/bucketStep)), 0), planBuckets-1)
					hold[b] += weight * p.rows(run) * above(z)
					met[b] += weight
				}
			}
		}
	}
	ask(0, p.met)
	ask(p.met, len(p.live))
	trust := p.trust(bar)
	left, at := lossShare*float32(p.k)/trust, planBuckets-1
	for ; at > 0 && left >= hold[at]; at-- {
		left -= hold[at]
	}
	// Some may tell too little: the groups that hold most may not be among them.
	at = max(at, int((slices.Min(p.penalty)+surely*surely-lowestBucket)*(1/bucketStep)))
	at, last = min(at, planBuckets-1), true
	if p.aims++; p.aims < mostAims {
		most := firstRows * float32(p.k) / trust
		for b := range at {
			if most -= hold[b]; most < 0 {
				at, last = b, false
				break
			}
		}
	}
	for b := 0; b <= at; b++ {
		count += int(met[b])
	}
	p.reach(float32(lowestBucket) + bucketStep*float32(at+1))
	return count, last
}

// trust is how many rows above the bar the runs seen hold, which is k, by how many are
// expected of them: neighbourhoods hold more or fewer far from their middle than a normal
// distribution has there.
func (p *plan) trust(bar float32) float32 {
	var hold float32
	for _, run := range p.looked {
		_, z := p.promise(int(run), bar)
		hold += p.rows(int(run)) * above(z)
	}
	return min(max(float32(p.k)/hold, 1/mostTrust), mostTrust)
}

// promise is by how many standard deviations the bar is above a run's mean, z, and
// the square of that for the order of runs.
func (p *plan) promise(run int, bar float32) (y, z float32) {
	s := p.length * p.r.scatter[run]
	away := bar - p.means[run]
	inv := 1 / max(s, math.SmallestNonzeroFloat32*1e6)
	z = min(max(away*inv, lowest), 8)
	if long := p.r.long[run]; z > 0 && long > 1 {
		// A few are longer than the others, and lie that much further out.
		if most := (bar/long - p.means[run]) * inv; most > 0 {
			z = min(z, float32(math.Sqrt(float64(most*most+longPenalty))))
		} else {
			z = min(z, longZ)
		}
	}
	if z < 0 { // of such runs half the rows and more are expected
		return z / 4, z
	}
	return z * z, z
}

// reach sets of each group how far it is worth a look: up to which bar its first
// run, which has the longest rows, or its last has less than most said against it.
func (p *plan) reach(most float32) {
	all := len(p.live)
	p.z, p.far, p.upper, p.at = resize(p.z, all), resize(p.far, all), resize(p.upper, all), 0
	last, z, far := float32(math.NaN()), float32(0), float32(0)
	for i, penalty := range p.penalty {
		if penalty != last {
			last = penalty
			z, far = zOf(most - penalty)
		}
		p.z[i], p.far[i] = z, far
		g := p.live[i]
		p.upper[i] = max(p.bar(int(p.r.runAt[g]), z, far), p.bar(int(p.r.runAt[g+1])-1, z, far))
	}
}

// bar is what is z standard deviations above the mean of a run, or far above that of
// its longest rows.
func (p *plan) bar(run int, z, far float32) float32 {
	m, s := p.means[run], p.length*p.r.scatter[run]
	near, away := m+z*s, (m+far*s)*p.r.long[run]
	if away > near {
		return away
	}
	return near
}

// runs is the next runs to look at at that bar; none when enough is seen.
func (p *plan) runs(bar float32) []int32 {
	p.some = p.some[:0]
	for below := math.Nextafter32(bar, minusInf); len(p.some) < someRuns; p.at++ {
		if p.at += linalg.IndexAbove(p.upper[p.at:], below); p.at == len(p.upper) {
			break
		}
		g := p.live[p.at]
		for run := p.r.runAt[g]; run < p.r.runAt[g+1]; run++ {
			if !p.has(int(run)) && p.bar(int(run), p.z[p.at], p.far[p.at]) >= bar {
				p.mark(int(run))
				p.some = append(p.some, run)
			}
		}
	}
	return p.some
}

// zOf is by how many standard deviations the bar may be above the mean of a run
// whose promise is most at most, and above that of its longest rows.
func zOf(most float32) (z, far float32) {
	switch most = min(most, hopeless*hopeless); {
	case most <= 0:
		return 4 * most, never
	case most <= longPenalty:
		return float32(math.Sqrt(float64(most))), never
	}
	return float32(math.Sqrt(float64(most))), float32(math.Sqrt(float64(most - longPenalty)))
}

// rows is how many rows of a run are expected to pass.
func (p *plan) rows(run int) float32 {
	return float32(p.r.start[run+1]-p.r.start[run]) * p.share[p.r.groupOf[run]]
}

func (p *plan) has(run int) bool { return p.seen[run>>6]&(1<<(uint(run)&63)) != 0 }

func (p *plan) mark(run int) {
	p.seen[run>>6] |= 1 << (uint(run) & 63)
	p.looked = append(p.looked, int32(run))
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
