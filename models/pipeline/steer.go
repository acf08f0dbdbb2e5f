package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
)

// RulesName is what rules are called where components have names: in
// degradations, in figures, and as the source of what they bring in.
const RulesName = "rules"

// byRules stands for the rules among the sources.
type byRules struct{}

func (byRules) Name() string { return RulesName }

func (byRules) Candidates(_ context.Context, _ *features.Request, _ int, dst []Candidate) ([]Candidate, error) {
	return dst, nil
}

// broke says that a part of the rules did not do its part.
func (p *Pipeline) broke(w *work, began time.Time, name string, err error) {
	w.degrade(name, "error")
	p.observe(StageRule, name, began, 0, "error", err)
}

// forbid takes out what rules keep back. What cannot be judged is kept back.
func (p *Pipeline) forbid(w *work) {
	if w.judging = w.steer != nil; !w.judging {
		return
	}
	began := p.clock()
	for _, name := range w.steer.Broken() {
		p.broke(w, began, "rule "+name, nil)
	}
	err := guarded(func() error { w.steer.Mask(&w.eligible); return nil })
	if err != nil {
		w.eligible.And(nil)
		p.broke(w, began, RulesName, err)
		return
	}
	if d, ok := w.steer.(decided); ok {
		w.judging = !d.Decided()
	}
	if p.opts.Observer != nil {
		p.observe(StageRule, RulesName, began, w.eligible.Count(), "", nil)
	}
}

// decided is rules that may know, once they have masked, that they keep all that
// is left.
type decided interface{ Decided() bool }

// permitted asks the rules about a candidate. What cannot be judged is not.
func (w *work) permitted(row features.Row) (ok bool) {
	defer func() {
		if recover() != nil {
			w.degrade(RulesName, "error")
			ok = false
		}
	}()
	return w.steer.Keep(row)
}

// rulesPlace is behind every place that a source gives.
const rulesPlace = 1 << 30

// wanted brings in what rules have a place for.
func (p *Pipeline) wanted(w *work) error {
	if w.steer == nil {
		return nil
	}
	began := p.clock()
	w.wanted = w.wanted[:0]
	err := guarded(func() error {
		w.wanted = w.steer.Wanted(&w.eligible, w.found, w.wanted)
		return nil
	})
	if err != nil {
		p.broke(w, began, RulesName, err)
		return nil // the answer says so
	}
	w.out = w.out[:0]
	for _, row := range w.wanted {
		w.out = append(w.out, Candidate{Row: row})
	}
	return w.merge(p.checks, p.last, rulesPlace, w.out)
}

// adjust lets rules change the scores, and orders.
func (p *Pipeline) adjust(w *work) {
	if w.steer == nil {
		return
	}
	began := p.clock()
	w.spare = append(w.spare[:0], w.ranked...)
	if err := guarded(func() error { return w.steer.Adjust(w.ranked) }); err != nil {
		w.ranked = append(w.ranked[:0], w.spare...)
		p.broke(w, began, RulesName, err)
	}
	w.byScore()
}

// arrange lets rules have the last word on the order.
func (p *Pipeline) arrange(w *work) {
	if w.steer == nil {
		return
	}
	began := p.clock()
	w.spare = append(w.spare[:0], w.picked...)
	var picked []Candidate
	err := guarded(func() (err error) {
		picked, err = w.steer.Arrange(w.ranked, w.picked)
		return err
	})
	if err != nil {
		w.picked = append(w.picked[:0], w.spare...)
		p.broke(w, began, RulesName, err)
		return
	}
	w.picked = picked
	if p.opts.Observer != nil {
		p.observe(StageRule, RulesName, began, len(picked), "", nil)
	}
}

// guarded turns a panic of the rules into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w", caught(RulesName, v))
		}
	}()
	return f()
}
