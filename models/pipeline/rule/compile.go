package rule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models/pipeline"
)

// What the rules that may meet in one request may be and cost: MaxRules of
// them, and MaxCost, in the units of expr.MaxCost, for all that has to be
// evaluated for each candidate.
const (
	MaxRules = 200
	MaxCost  = 4 * expr.MaxCost
)

// Rules are rule sets ready to run. They are immutable and safe for concurrent
// use.
type Rules struct {
	surfaces map[string][]*compiled // those with rules of their own, with the general ones
	general  []*compiled
	pool     sync.Pool // of *steer
}

// compiled is a rule ready to run.
type compiled struct {
	Rule
	name   string // set/rule
	set    *Set
	when   *expr.Program // nil: all requests
	cond   *expr.Program // nil: all items
	factor *expr.Program
	broken bool
}

// Compile makes sets ready to run. What is wrong with them is joined in the
// error, each a *Fault; the Rules are there all the same, and a rule that is
// wrong does what one does that cannot run. A rule that is off is compiled and
// left out.
func Compile(engine *expr.Engine, sets []Set) (*Rules, error) {
	r := &Rules{surfaces: map[string][]*compiled{}}
	r.pool.New = func() any { return &steer{rules: r} }
	var all []*compiled
	var faults []error
	for i := range sets {
		set := sets[i]
		for n := range set.Rules {
			c, err := compile(engine, &set, n)
			if err != nil {
				faults = append(faults, err)
			}
			if c.Off {
				continue
			}
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b *compiled) int {
		if c := cmp.Compare(b.Priority, a.Priority); c != 0 {
			return c
		}
		return strings.Compare(a.set.ID, b.set.ID)
	})
	for _, c := range all {
		if c.set.Surface != "" {
			r.surfaces[c.set.Surface] = nil
		} else {
			r.general = append(r.general, c)
		}
	}
	for surface := range r.surfaces {
		for _, c := range all {
			if c.set.Surface == "" || c.set.Surface == surface {
				r.surfaces[surface] = append(r.surfaces[surface], c)
			}
		}
	}
	faults = append(faults, tooMuch("", r.general))
	for surface, rules := range r.surfaces {
		faults = append(faults, tooMuch(surface, rules))
	}
	return r, errors.Join(faults...)
}

func compile(engine *expr.Engine, set *Set, n int) (*compiled, error) {
	c := &compiled{Rule: set.Rules[n], name: set.ID + "/" + set.Rules[n].Name, set: set}
	fault := func(field string, err error) (*compiled, error) {
		c.broken = true
		return c, &Fault{Set: set.ID, Rule: c.Name, Index: n, Field: field, Err: err}
	}
	if field, err := c.check(); err != nil {
		return fault(field, err)
	}
	for _, part := range []struct {
		field, source string
		kind          expr.Kind
		to            **expr.Program
	}{{"when", c.When, expr.Segment, &c.when}, {"condition", c.Condition, expr.Rule, &c.cond}, {"factor", c.Factor, expr.Number, &c.factor}} {
		if strings.TrimSpace(part.source) == "" {
			continue
		}
		p, err := engine.Compile(part.source, part.kind)
		if err != nil {
			return fault(part.field, err)
		}
		*part.to = p
	}
	return c, nil
}

// tooMuch is the fault of the rules of a surface that cost too much together.
func tooMuch(surface string, rules []*compiled) error {
	cost, dearest := uint64(0), (*compiled)(nil)
	for _, c := range rules {
		cost += c.residual()
		if dearest == nil || c.residual() > dearest.residual() {
			dearest = c
		}
	}
	where := "all surfaces"
	if surface != "" {
		where = fmt.Sprintf("surface %q", surface)
	}
	fault := func(c *compiled, err error) error {
		return &Fault{Set: c.set.ID, Rule: c.Name, Index: slices.IndexFunc(c.set.Rules, func(r Rule) bool { return r.Name == c.Name }), Field: "", Err: err}
	}
	switch {
	case len(rules) > MaxRules:
		return fault(rules[len(rules)-1], fmt.Errorf("%d rules may meet on %s, at most %d", len(rules), where, MaxRules))
	case cost > MaxCost:
		return fault(dearest, fmt.Errorf("what the rules on %s evaluate for each candidate may cost %d together, at most %d: this one costs most; compare fewer lists of the item with those of the shopper", where, cost, uint64(MaxCost)))
	}
	return nil
}

// residual is what evaluating a rule for one candidate may cost.
func (c *compiled) residual() uint64 {
	cost := uint64(0)
	for _, p := range []*expr.Program{c.cond, c.factor} {
		if p != nil && p.Residues() > 0 {
			cost += p.Cost()
		}
	}
	return cost
}

// Warm makes what the rules keep of a catalogue and markets, so that the first
// request need not.
func (r *Rules) Warm(items features.Catalog, markets ...string) { r.Prepare(nil, items, markets...) }

// Prepare is Warm at the pace of a job.
func (r *Rules) Prepare(job *pace.Job, items features.Catalog, markets ...string) {
	warm := func(rules []*compiled) {
		for _, c := range rules {
			for _, p := range []*expr.Program{c.cond, c.factor} {
				if p != nil {
					p.Prepare(job, items, markets...)
				}
			}
		}
	}
	warm(r.general)
	for _, rules := range r.surfaces {
		warm(rules)
	}
}

// Len is how many rules there are that are not off.
func (r *Rules) Len() int {
	n, seen := 0, map[*compiled]bool{}
	count := func(rules []*compiled) {
		for _, c := range rules {
			if !seen[c] {
				seen[c] = true
				n++
			}
		}
	}
	count(r.general)
	for _, rules := range r.surfaces {
		count(rules)
	}
	return n
}

// Steer implements pipeline.Steerer. It is nil when no rule holds.
func (r *Rules) Steer(q *features.Request) pipeline.Steering {
	rules, ok := r.surfaces[q.Surface]
	if !ok {
		rules = r.general
	}
	if len(rules) == 0 {
		return nil
	}
	s := r.pool.Get().(*steer)
	if !s.begin(rules, q) {
		s.Done()
		return nil
	}
	return s
}

// Effect is what one rule costs and does.
type Effect struct {
	Set, Rule string
	Cost      uint64 // the most one evaluation may cost
	Residues  int    // parts that run for each candidate
	Requests  int    // of those given, it held for
	Counted   int    // of those, the ones whose items were counted
	Items     int    // it is about, summed over the counted
}

// Effects says what each rule of a set does to requests, whatever the hour, in
// the order of the rules' names. It counts the items of the first count
// requests: that looks at the whole catalogue.
func (r *Rules) Effects(set string, requests []*features.Request, count int) []Effect {
	var out []Effect
	seen := map[*compiled]bool{}
	each := func(rules []*compiled) {
		for _, c := range rules {
			if c.set.ID != set || seen[c] {
				continue
			}
			seen[c] = true
			e := Effect{Set: set, Rule: c.Name}
			for _, p := range []*expr.Program{c.when, c.cond, c.factor} {
				if p != nil {
					e.Cost += p.Cost()
				}
			}
			for _, p := range []*expr.Program{c.cond, c.factor} {
				if p != nil {
					e.Residues += p.Residues()
				}
			}
			for _, q := range requests {
				if c.set.Surface != "" && c.set.Surface != q.Surface || c.when != nil && !c.when.Holds(q) || q.Catalog == nil {
					continue
				}
				e.Requests++
				if e.Counted < count {
					e.Counted++
					e.Items += about(c, q)
				}
			}
			out = append(out, e)
		}
	}
	each(r.general)
	for _, rules := range r.surfaces {
		each(rules)
	}
	slices.SortStableFunc(out, func(a, b Effect) int { return strings.Compare(a.Rule, b.Rule) })
	return out
}

// about counts the items of the catalogue that a rule is about.
func about(c *compiled, q *features.Request) (n int) {
	var b *expr.Bound
	if c.cond != nil {
		b = c.cond.Bind(q, nil)
	}
	for row := range features.Row(q.Catalog.Len()) {
		if q.Catalog.Item(row) != nil && (b == nil || b.Match(row)) {
			n++
		}
	}
	return n
}
