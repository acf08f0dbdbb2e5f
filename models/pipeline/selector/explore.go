package selector

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// explore gives new items, of which a ranker knows little, a chance at some
// places, and says how great the chance was.
//
// At each place, with probability rate, a new item is drawn with weights that
// say how good it may be: how far the upper end of what its clicks allow lies
// above what the items get that would stand there. An item whose upper end lies below
// is drawn no more, so that what is given up comes to an end. One whose lower
// end lies above has been found: the found share the place whenever nothing is
// drawn, until the ranker knows them. What can be lost is bounded: rate times
// the clicks of the places.
//
// The draw is made from the request alone, and the same for the same request.
type explore struct {
	slots []int
	rate  float64
	age   time.Duration
	bound float64
}

type exploreParams struct {
	Slots []int   `json:"slots"` // places, from 1
	Rate  float64 `json:"rate"`  // share of answers that explore at a place
	Days  float64 `json:"days"`  // items are new for so long
	Bound float64 `json:"bound"` // standard deviations to the ends
}

func newExplore(spec models.ComponentSpec, _ pipeline.Env) (pipeline.Selector, error) {
	p := exploreParams{Slots: []int{6}, Rate: .2, Days: 30, Bound: 2}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	slices.Sort(p.Slots)
	if len(p.Slots) == 0 || p.Slots[0] < 1 || len(slices.Compact(slices.Clone(p.Slots))) < len(p.Slots) {
		return nil, fmt.Errorf("slots %v: expected places from 1 that differ", p.Slots)
	}
	if !(p.Rate > 0 && p.Rate < 1) || !(p.Days > 0) || !(p.Bound > 0) {
		return nil, fmt.Errorf("parameters %+v: expected a rate between 0 and 1, and days and a bound above 0", p)
	}
	return &explore{slots: p.Slots, rate: p.Rate, age: time.Duration(p.Days * 24 * float64(time.Hour)), bound: p.Bound}, nil
}

// Name implements pipeline.Selector.
func (*explore) Name() string { return "explore" }

// priorLooks is how many looks the guess counts that an item is like the others.
const priorLooks = 4

// Select implements pipeline.Selector.
func (s *explore) Select(r *features.Request, cs []pipeline.Candidate) []pipeline.Candidate {
	if r.Catalog == nil || r.Trials == nil {
		return cs
	}
	open, found := r.Scratch.Floats(len(cs)), r.Scratch.Floats(len(cs)) // weights of what is not decided, and of what is
	for _, slot := range s.slots {
		if slot > min(r.Limit, len(cs)) {
			break
		}
		at := slot - 1
		usual := s.usual(r, cs[at:])
		var mayBe, is float32
		for i := at; i < len(cs); i++ {
			open[i], found[i] = 0, 0
			if !s.isNew(r, cs[i].Row) {
				continue
			}
			if low, high := s.ends(r, cs[i].Row, usual); low > usual {
				found[i] = float32(low - usual)
				is += found[i]
			} else if high > usual {
				open[i] = float32(high - usual)
				mayBe += open[i]
			}
		}
		rate := s.rate
		if mayBe == 0 {
			rate = 0
		}
		u := uniform(r, slot)
		pick, chance := at, 1-rate
		switch {
		case u < rate:
			pick = at + draw(open[at:], mayBe*float32(u/rate))
			chance = rate * float64(open[pick]/mayBe)
		case is > 0:
			pick = at + draw(found[at:], is*float32((u-rate)/(1-rate)))
			chance *= float64(found[pick] / is)
		}
		if cs[pick].Score != cs[pick].Score { // no model can judge it yet: the place's own score
			cs[pick].Score = cs[at].Score
		}
		moveTo(cs, pick, at)
		cs[at].Propensity *= float32(chance)
	}
	return cs
}

// moveTo brings the candidate at from up to the place to.
func moveTo(cs []pipeline.Candidate, from, to int) {
	c := cs[from]
	copy(cs[to+1:from+1], cs[to:from])
	cs[to] = c
}

// draw is the first index at which the sum of the weights passes u.
func draw(weights []float32, u float32) int {
	last := 0
	for i, w := range weights {
		if w == 0 {
			continue
		}
		if last = i; u < w {
			break
		}
		u -= w
	}
	return last
}

func (s *explore) isNew(r *features.Request, row features.Row) bool {
	it := r.Catalog.Item(row)
	return it != nil && !it.Created.IsZero() && r.Now.Sub(it.Created) < s.age
}

// usual is the clicks a look of what stands there without exploring: the first
// candidates from the place on that are not new, as many as an answer has.
func (s *explore) usual(r *features.Request, cs []pipeline.Candidate) float64 {
	looks, clicks, n := 0., 0., 0
	for i := range cs {
		if n == r.Limit {
			break
		}
		if s.isNew(r, cs[i].Row) {
			continue
		}
		n++
		l, c := r.Trials.Trial(cs[i].Row)
		looks, clicks = looks+l, clicks+c
	}
	return min(1, (clicks+.1*priorLooks)/(looks+priorLooks))
}

// ends is where the item's clicks a look lie, as far as its trials say.
func (s *explore) ends(r *features.Request, row features.Row, usual float64) (low, high float64) {
	looks, clicks := r.Trials.Trial(row)
	return Interval(looks, clicks, usual, s.bound)
}

// Interval is where the clicks a look of an item lie, within bound standard
// deviations, after so many looks and clicks and with a guess of the usual
// worth a few looks: Wilson's interval.
func Interval(looks, clicks, usual, bound float64) (low, high float64) {
	n := max(looks, clicks) + priorLooks
	p := min(1, (clicks+usual*priorLooks)/n)
	z := bound
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return middle - half, middle + half
}

// uniform is a number from 0 to below 1 that the request and the place decide.
func uniform(r *features.Request, slot int) float64 {
	h := fnv.New64a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(r.Now.UnixNano()))
	binary.LittleEndian.PutUint64(b[8:], uint64(slot)) // #nosec G115 -- at least 1
	_, _ = h.Write(b[:])
	if r.Shopper != nil {
		_, _ = h.Write(r.Shopper.Key[:])
	}
	x := h.Sum64()
	x ^= x >> 30 // finalise: the low bits of FNV are weak
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}
