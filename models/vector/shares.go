package vector

import (
	"math"
	"math/bits"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// shares is how many rows of each group pass a filter, estimated by a sample of each
// and by how differently the filter treats groups: of one that passes rows at random,
// all groups pass the same share, whatever a sample says; of one that passes whole
// neighbourhoods, the sample says it all.
type shares struct {
	overall float32
	alike   float32   // how alike the rows of a group fare: 0 at random, 1 entirely
	share   []float32 // of each group
	penalty []float32 // of each group 2 ln(1/share)
	bits    []uint64
}

const (
	// A filter that treats the rows of a group no more alike than that is taken for one by chance.
	byChance, leastAlike = .02, 1e-4
	// Fewer than leastShare are none.
	leastShare = 1e-6
)

// estimate sets the share of rows that pass in each group; nil: all do.
func (p *shares) estimate(r *runs, mask []uint64, overall float32) {
	groups := r.groups()
	p.share, p.penalty = resize(p.share, groups), resize(p.penalty, groups)
	p.overall, p.alike = overall, 0
	words := len(r.sample) / 64
	p.bits = slices.Grow(p.bits[:0], words+1)[:(len(r.sample)+63)/64]
	var of [1 << groupSample]int32 // groups by who passes of their sample
	if mask != nil {
		linalg.BitsAt(mask, r.sample, p.bits)
		for g := range groups {
			of[p.who(g)]++
		}
		p.alike = likeness(&of, groups, overall)
	}
	if p.alike < byChance {
		penalty := penaltyOf(overall)
		for g := range p.share {
			p.share[g], p.penalty[g] = overall, penalty
		}
		return
	}
	// Groups of which the first of the sample knows none stand for each other: where they
	// are many, each by itself says too little.
	var none, met int32
	for who := 0; who < len(of); who += 1 << firstSample {
		none += againSample * of[who]
		met += int32(bits.OnesCount(uint(who))) * of[who]
	}
	prior := (1 - p.alike) / p.alike
	var share, penalty [groupSample + 1]float32
	for i := range share {
		share[i] = (float32(i) + overall*prior) / (groupSample + prior)
	}
	share[0] = min((float32(met)+overall*prior)/(float32(none)+prior), share[0])
	if int(of[0]) == groups { // a filter of all but the sample
		share[0] = overall
	}
	for i, s := range share {
		penalty[i] = penaltyOf(s)
	}
	for g := range groups {
		hits := bits.OnesCount8(p.who(g))
		p.share[g], p.penalty[g] = share[hits], penalty[hits]
	}
}

// who passes of the sample of a group.
func (p *shares) who(g int) uint8 { return uint8(p.bits[g/8] >> (g % 8 * groupSample)) }

func penaltyOf(share float32) float32 {
	if share <= leastShare {
		return 2 * hopeless
	}
	return float32(-2 * math.Log(float64(share)))
}

// likeness is how alike the rows of a group fare: the correlation within groups, by the variance
// of a beta-binomial distribution.
func likeness(of *[1 << groupSample]int32, groups int, overall float32) float32 {
	const n = groupSample
	chance := n * overall * (1 - overall)
	if chance <= 0 {
		return leastAlike
	}
	var square float32
	for who, count := range of {
		d := float32(bits.OnesCount(uint(who))) - n*overall
		square += float32(count) * (d*d - chance)
	}
	return min(max(square/float32(groups)/((n-1)*chance), leastAlike), 1-leastAlike)
}
