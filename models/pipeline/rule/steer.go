package rule

import (
	"errors"
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/models/pipeline"
)

// steer is the rules that hold for one request. It implements
// pipeline.Steering and is used by one goroutine at a time.
type steer struct {
	rules  *Rules
	r      *features.Request
	active []active
	broken []string
	room   features.Bitmap // for one rule's items
	buried []buried
	low    features.Bitmap // rows of buried
	deal   dealer

	rows    []features.Row // of the candidates
	about   []bool         // of one rule, by candidate
	factors []float64      // of one boost, by candidate
}

// active is a rule at work. Its memory is used again for another rule.
type active struct {
	*compiled
	cond, factor *expr.Bound // nil: the rule has none
	check        bool        // bitmaps alone do not decide about the items

	spareCond, spareFactor *expr.Bound
}

type buried struct {
	row   features.Row
	score float32
}

// begin takes the rules that hold; false when there are none.
func (s *steer) begin(rules []*compiled, r *features.Request) bool {
	s.r = r
	for _, c := range rules {
		if !c.set.holds(r.Now) {
			continue
		}
		if c.broken {
			s.broken = append(s.broken, c.name)
			if c.Action == Filter {
				s.add(c) // and lets nothing through
			}
			continue
		}
		if c.when != nil && !c.when.Holds(r) {
			continue
		}
		s.add(c)
	}
	return len(s.active)+len(s.broken) > 0
}

func (s *steer) add(c *compiled) {
	n := len(s.active)
	if n < cap(s.active) {
		s.active = s.active[:n+1]
	} else {
		s.active = append(s.active, active{})
	}
	a := &s.active[n]
	a.compiled, a.cond, a.factor, a.check = c, nil, nil, true
	if c.broken {
		return
	}
	if c.cond != nil {
		a.spareCond = c.cond.Bind(s.r, a.spareCond)
		a.cond = a.spareCond
	}
	if c.factor != nil {
		a.spareFactor = c.factor.Bind(s.r, a.spareFactor)
		a.factor = a.spareFactor
	}
}

// Done implements pipeline.Steering.
func (s *steer) Done() {
	s.r = nil
	s.active, s.broken, s.buried = s.active[:0], s.broken[:0], s.buried[:0]
	s.rules.pool.Put(s)
}

// Broken implements pipeline.Steering.
func (s *steer) Broken() []string { return s.broken }

// Mask implements pipeline.Steering. A filter that cannot run takes all out.
func (s *steer) Mask(eligible *features.Bitmap) {
	for i := range s.active {
		a := &s.active[i]
		if a.Action != Filter {
			continue
		}
		switch {
		case a.broken:
			eligible.And(nil)
		case a.cond == nil: // for these requests, nothing
			eligible.And(nil)
		case a.Drop:
			s.room.Resize(eligible.Len())
			s.room.CopyFrom(eligible)
			if a.check = !a.cond.Narrow(&s.room); !a.check {
				eligible.AndNot(&s.room)
			}
		default:
			a.check = !a.cond.Narrow(eligible)
		}
	}
}

// Decided reports whether Keep would keep whatever Mask left.
func (s *steer) Decided() bool {
	for i := range s.active {
		if a := &s.active[i]; a.Action == Filter && a.check {
			return false
		}
	}
	return true
}

// Keep implements pipeline.Steering: what bitmaps could not decide.
func (s *steer) Keep(row features.Row) bool {
	for i := range s.active {
		a := &s.active[i]
		if a.Action == Filter && a.check && (a.broken || a.cond == nil || a.cond.Match(row) == a.Drop) {
			return false
		}
	}
	return true
}

// about reports whether a rule is about the item in row.
func (a *active) about(row features.Row) bool { return a.cond == nil || a.cond.Match(row) }

// What rules may bring in that no source proposed: so many rows of one rule, of
// so many that are looked at.
const (
	broughtIn = 32
	lookedAt  = 4096
)

// Wanted implements pipeline.Steering: for pins and least quotas that what was
// found cannot fill, eligible items they are about, the first ones by row.
func (s *steer) Wanted(eligible *features.Bitmap, found []pipeline.Candidate, dst []features.Row) []features.Row {
	for i := range s.active {
		a := &s.active[i]
		need := 0
		switch a.Action {
		case Pin:
			need = 1
		case Quota:
			need = a.least(s.r.Limit)
		}
		for j := range found {
			if need <= 0 {
				break
			}
			if a.about(found[j].Row) {
				need--
			}
		}
		if need <= 0 {
			continue
		}
		s.room.Resize(eligible.Len())
		s.room.CopyFrom(eligible)
		check := a.cond != nil && !a.cond.Narrow(&s.room)
		for j := range found {
			s.room.Clear(found[j].Row)
		}
		taken, looked := 0, 0
		s.room.Each(func(row features.Row) bool {
			looked++
			if !check || a.about(row) {
				dst = append(dst, row)
				taken++
			}
			return taken < max(broughtIn, need) && looked < lookedAt
		})
	}
	return dst
}

// Factors beyond these change nothing more.
const mostFactor = 100

// Adjust implements pipeline.Steering. A factor of f adds ln f times the
// standard deviation of the candidates' scores, whatever unit a ranker scores
// in; what is buried can no longer be judged until Arrange.
func (s *steer) Adjust(cs []pipeline.Candidate) error {
	s.buried, s.rows = s.buried[:0], s.rows[:0]
	spread := float64(0)
	var failed error
	for i := range s.active {
		a := &s.active[i]
		if a.Action != Boost {
			continue
		}
		if spread == 0 {
			spread = pipeline.Spread(cs)
		}
		s.members(a, cs)
		if a.cond == nil {
			s.factors = a.factor.Numbers(s.rows, s.factors[:0])
		} else { // whatever matches is there
			s.factors = a.factor.NumbersOfItems(s.rows, s.factors[:0])
		}
		last, log := 1., 0.
		for j, f := range s.factors {
			c := &cs[j]
			if f != f || f == 1 || !s.about[j] {
				continue // not known, or no boost
			}
			f = min(max(f, 1/float64(mostFactor)), mostFactor)
			if f != last { // few factors are about many items
				last, log = f, math.Log(f)
			}
			if score := float64(c.Score) + log*spread; !math.IsInf(score, 0) {
				c.Score = float32(score)
			} else {
				failed = errors.New("a boost leaves the numbers there are")
			}
			if f > 1 && s.sponsored(c.Row) {
				c.Sponsored = true
			}
		}
	}
	for i := range s.active {
		a := &s.active[i]
		if a.Action != Bury {
			continue
		}
		if s.r.Catalog == nil {
			break // then a rule is about no item
		}
		if len(s.buried) == 0 {
			s.low.Resize(s.r.Catalog.Len())
		}
		s.members(a, cs)
		for j := range cs {
			if c := &cs[j]; s.about[j] && !s.isBuried(c.Row) {
				s.low.Set(c.Row)
				s.buried = append(s.buried, buried{c.Row, c.Score})
				c.Score = float32(math.NaN())
			}
		}
	}
	return failed
}

// members sets rows to those of cs and about to which of them a is about.
func (s *steer) members(a *active, cs []pipeline.Candidate) {
	if len(s.rows) != len(cs) { // candidates are the same for all rules of one Adjust
		s.rows = s.rows[:0]
		for j := range cs {
			s.rows = append(s.rows, cs[j].Row)
		}
	}
	s.about = s.about[:0]
	if a.cond == nil {
		for range cs {
			s.about = append(s.about, true)
		}
		return
	}
	s.about = a.cond.Matches(s.rows, s.about)
}

func (s *steer) isBuried(row features.Row) bool { return len(s.buried) > 0 && s.low.Has(row) }

// scoreOf is the score of something buried.
func (s *steer) scoreOf(row features.Row) (float32, bool) {
	if !s.isBuried(row) {
		return 0, false
	}
	for i := range s.buried {
		if s.buried[i].row == row {
			return s.buried[i].score, true
		}
	}
	return 0, false
}

// coded is a catalogue that says what it knows of items without a look into
// them. catalog.Snapshot is one.
type coded interface {
	Codes(row features.Row) (catalog.Codes, bool)
}

// sponsored reports whether somebody pays for the item to be pushed.
func (s *steer) sponsored(row features.Row) bool {
	if s.r.Catalog == nil {
		return false
	}
	if c, ok := s.r.Catalog.(coded); ok {
		codes, _ := c.Codes(row)
		return codes.Sponsored
	}
	it := s.r.Catalog.Item(row)
	return it != nil && it.Sponsor != ""
}
