package rule

import (
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// least and most are a quota's bounds on an answer of n places.
func (a *active) least(n int) int {
	least := max(a.MinCount, int(math.Ceil(a.MinShare*float64(n)-1e-9)))
	return min(least, n)
}

func (a *active) most(n int) int {
	most := n
	if a.MaxCount > 0 {
		most = min(most, a.MaxCount)
	}
	if a.MaxShare > 0 {
		most = min(most, int(math.Floor(a.MaxShare*float64(n)+1e-9)))
	}
	return most
}

// dealer gives places away. Its memory is used again.
type dealer struct {
	pins   []pipeline.Candidate // by place; Row NoRow: free
	quotas []quota
	cs     []pipeline.Candidate
	order  []pipeline.Candidate
	member []uint64 // of each of cs: bit i is quota i
	used   []bool
}

type quota struct {
	*active
	owed, left int // places that must, and may, still go to its items
}

// maxQuotas is how many quotas one request can have: the others are left out.
const maxQuotas = 64

// Arrange implements pipeline.Steering. Pins stand where they are told to, the
// first by priority; then places are filled from the top with the first item
// that leaves no quota over its most and enough places for what the quotas
// still lack. A pin goes before a quota, and what cannot be filled gives way.
func (s *steer) Arrange(ranked, picked []pipeline.Candidate) ([]pipeline.Candidate, error) {
	d := &s.deal
	n := s.r.Limit
	d.cs = append(d.cs[:0], picked...)
	d.pins, d.quotas = d.pins[:0], d.quotas[:0]
	for i := range d.cs {
		if score, ok := s.scoreOf(d.cs[i].Row); ok {
			d.cs[i].Score = score
		}
	}
	if len(s.buried) > 0 {
		d.cs = append(d.cs[:0], s.behind(d.cs)...)
	}
	s.pin(ranked, n)
	for i := range s.active {
		if a := &s.active[i]; a.Action == Quota && len(d.quotas) < maxQuotas {
			d.quotas = append(d.quotas, quota{active: a, owed: a.least(n), left: a.most(n)})
		}
	}
	if len(d.pins) == 0 && len(d.quotas) == 0 {
		return append(picked[:0], d.cs...), nil
	}
	return s.fill(picked[:0], n), nil
}

// behind is cs with what is buried behind the others; it may be overwritten by
// the next call.
func (s *steer) behind(cs []pipeline.Candidate) []pipeline.Candidate {
	d := &s.deal
	d.order = d.order[:0]
	for _, last := range []bool{false, true} {
		for i := range cs {
			if s.isBuried(cs[i].Row) == last {
				d.order = append(d.order, cs[i])
			}
		}
	}
	return d.order
}

// pin gives places to the best items of the pins, each once.
func (s *steer) pin(ranked []pipeline.Candidate, n int) {
	d := &s.deal
	for i := range s.active {
		a := &s.active[i]
		if a.Action != Pin || a.Slot > n {
			continue
		}
		best, ok := first(d.cs, a, d.pins)
		if !ok {
			best, ok = first(ranked, a, d.pins)
		}
		if !ok {
			continue
		}
		if score, ok := s.scoreOf(best.Row); ok {
			best.Score = score
		}
		for len(d.pins) < n {
			d.pins = append(d.pins, pipeline.Candidate{Row: features.NoRow})
		}
		for at := a.Slot - 1; at < n; at++ { // the next free place, when it is taken
			if d.pins[at].Row == features.NoRow {
				best.Sponsored = best.Sponsored || a.Sponsored || s.sponsored(best.Row)
				d.pins[at] = best
				break
			}
		}
	}
}

func first(cs []pipeline.Candidate, a *active, pinned []pipeline.Candidate) (pipeline.Candidate, bool) {
	for i := range cs {
		if !has(pinned, cs[i].Row) && a.about(cs[i].Row) {
			return cs[i], true
		}
	}
	return pipeline.Candidate{}, false
}

func has(cs []pipeline.Candidate, row features.Row) bool {
	return slices.ContainsFunc(cs, func(c pipeline.Candidate) bool { return c.Row == row })
}

// fill gives the first n places away and appends what is left.
func (s *steer) fill(dst []pipeline.Candidate, n int) []pipeline.Candidate {
	d := &s.deal
	d.cs = slices.DeleteFunc(d.cs, func(c pipeline.Candidate) bool { return has(d.pins, c.Row) })
	s.enlist()
	free := n
	for i := range d.pins {
		if d.pins[i].Row == features.NoRow {
			continue
		}
		free--
		for q := range d.quotas {
			if d.quotas[q].about(d.pins[i].Row) {
				d.quotas[q].owed--
				d.quotas[q].left--
			}
		}
	}
	for q := range d.quotas { // what there is too little of gives way
		there := 0
		for i := range d.cs {
			if d.member[i]&(1<<q) != 0 {
				there++
			}
		}
		d.quotas[q].owed = min(max(d.quotas[q].owed, 0), there, max(d.quotas[q].left, 0))
	}
	for place := 0; place < n; place++ {
		if place < len(d.pins) && d.pins[place].Row != features.NoRow {
			dst = append(dst, d.pins[place])
			continue
		}
		if at := d.next(free); at >= 0 {
			d.take(at)
			dst = append(dst, d.cs[at])
		}
		free--
	}
	for i := range d.cs { // beyond the answer; never what a quota kept out
		if !d.used[i] && d.allowed(i) {
			dst = append(dst, d.cs[i])
			d.take(i)
		}
	}
	return dst
}

// enlist notes which quotas each item belongs to.
func (s *steer) enlist() {
	d := &s.deal
	d.member, d.used = d.member[:0], d.used[:0]
	for range d.cs {
		d.member, d.used = append(d.member, 0), append(d.used, false)
	}
	s.rows = s.rows[:0]
	for q := range d.quotas {
		s.members(d.quotas[q].active, d.cs)
		for i, is := range s.about {
			if is {
				d.member[i] |= 1 << q
			}
		}
	}
}

// next is the item for the next of free places; -1 when there is none.
func (d *dealer) next(free int) int {
	owed := 0
	for q := range d.quotas {
		owed += d.quotas[q].owed
	}
	best, helps := -1, -1
	for i := range d.cs {
		if d.used[i] || !d.allowed(i) {
			continue
		}
		pays := d.pays(i)
		if owed-pays <= free-1 {
			return i
		}
		if pays > helps { // more is owed than there are places: the most of it
			best, helps = i, pays
		}
	}
	return best
}

// pays is how many of the quotas that lack items item i would help.
func (d *dealer) pays(i int) (n int) {
	for q := range d.quotas {
		if d.member[i]&(1<<q) != 0 && d.quotas[q].owed > 0 {
			n++
		}
	}
	return n
}

func (d *dealer) allowed(i int) bool {
	for q := range d.quotas {
		if d.member[i]&(1<<q) != 0 && d.quotas[q].left <= 0 {
			return false
		}
	}
	return true
}

func (d *dealer) take(i int) {
	d.used[i] = true
	for q := range d.quotas {
		if d.member[i]&(1<<q) != 0 {
			d.quotas[q].left--
			d.quotas[q].owed = max(d.quotas[q].owed-1, 0)
		}
	}
}
