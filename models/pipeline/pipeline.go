package pipeline

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// Pipeline answers the requests of one surface as its recipe says. It is
// immutable and safe for concurrent use.
type Pipeline struct {
	recipe    models.Recipe
	sources   []step // those of the recipe, then the fallbacks, then what rules bring in
	main      int    // how many of them are no fallbacks
	last      int    // the one of the rules, which is not asked
	anyRemote bool   // one of those is remote
	worded    bool   // one of all sources is
	filters   []Filter
	checks    []Filter // those that are asked about each candidate
	ranker    Ranker
	selectors []Selector
	opts      Options
	pool      sync.Pool // of *work
}

// step is a source with what the recipe says of it.
type step struct {
	Source
	limit    int
	remote   bool
	reasoner Reasoner // nil: it gives none
}

// Options is what surrounds a pipeline.
type Options struct {
	Observer Observer  // nil: nobody watches
	Switches *Switches // nil: all is on
	Rules    Steerer   // nil: none
	Rows     int       // how many rows there are where a request has neither Catalog nor Eligible
}

// defaultLimit is asked of a source whose recipe names no limit.
const defaultLimit = 100

// New makes the parts of a recipe. It reports models.ErrRecipe, with the surface
// and the component, when one cannot be made or names repeat.
func New(recipe models.Recipe, parts Components, opts Options) (*Pipeline, error) {
	p := &Pipeline{recipe: recipe, main: len(recipe.Sources), opts: opts}
	bad := func(part, name string, err error) error {
		return fmt.Errorf("%w: surface %q: %s %q: %w", models.ErrRecipe, recipe.Surface, part, name, err)
	}
	if recipe.Surface == "" {
		return nil, fmt.Errorf("%w: it names no surface", models.ErrRecipe)
	}
	specs := append(slices.Clone(recipe.Sources), recipe.Fallback...)
	if len(specs) == 0 || len(specs) > MaxSources {
		return nil, fmt.Errorf("%w: surface %q: got %d sources, want 1 to %d", models.ErrRecipe, recipe.Surface, len(specs), MaxSources)
	}
	seen := map[string]bool{}
	for _, spec := range specs {
		if spec.Name == "" || seen[spec.Name] {
			return nil, bad("source", spec.Name, fmt.Errorf("expected names that are not empty and differ"))
		}
		seen[spec.Name] = true
		if spec.Limit < 0 {
			return nil, bad("source", spec.Name, fmt.Errorf("limit %d: expected 0 or more", spec.Limit))
		}
		s, err := parts.Source(spec)
		if err != nil {
			return nil, bad("source", spec.Name, err)
		}
		st := step{Source: s, limit: spec.Limit}
		if st.limit == 0 {
			st.limit = defaultLimit
		}
		if r, ok := s.(Remote); ok {
			st.remote = r.Remote()
		}
		st.reasoner, _ = s.(Reasoner)
		p.anyRemote = p.anyRemote || st.remote && len(p.sources) < p.main
		p.worded = p.worded || st.remote
		p.sources = append(p.sources, st)
	}
	p.last = len(p.sources)
	p.sources = append(p.sources, step{Source: byRules{}})
	p.filters = append(p.filters, asked{})
	for _, spec := range recipe.Filters {
		f, err := parts.Filter(spec)
		if err != nil {
			return nil, bad("filter", spec.Name, err)
		}
		p.filters = append(p.filters, f)
	}
	for _, f := range p.filters {
		if _, ok := f.(MaskOnly); !ok {
			p.checks = append(p.checks, f)
		}
	}
	var err error
	if p.ranker, err = parts.Ranker(recipe.Ranker); err != nil {
		return nil, bad("ranker", recipe.Ranker.Ranker, err)
	}
	if k, ok := p.ranker.(Sourced); ok {
		names := make([]string, 0, len(specs))
		for _, spec := range specs {
			names = append(names, spec.Name)
		}
		p.ranker = k.Among(names)
	}
	for _, spec := range recipe.Selectors {
		s, err := parts.Selector(spec)
		if err != nil {
			return nil, bad("selector", spec.Name, err)
		}
		p.selectors = append(p.selectors, s)
	}
	p.pool.New = func() any { return new(work) }
	return p, nil
}

// Recipe is what the pipeline was made from; it is shared and read-only.
func (p *Pipeline) Recipe() models.Recipe { return p.recipe }

// Answer fills ans, reusing its memory. r is only read, and not kept; where it
// brings a Scratch, that is reset and used.
//
// It fails for a bad request (ErrRequest), a broken filter (ErrFilter) and an
// ended context. Sources, the ranker and selectors fail open: ans.Degraded says
// which did not do its part.
func (p *Pipeline) Answer(ctx context.Context, r *features.Request, ans *Answer) error {
	return p.AnswerWith(ctx, r, p.opts.Rules, ans)
}

// AnswerWith is Answer under other rules than those of the Options; nil for
// none.
func (p *Pipeline) AnswerWith(ctx context.Context, r *features.Request, rules Steerer, ans *Answer) error {
	ans.Items, ans.Degraded, ans.Considered = ans.Items[:0], ans.Degraded[:0], 0
	if r.Limit < 1 {
		return fmt.Errorf("%w: limit %d: expected at least 1", ErrRequest, r.Limit)
	}
	w := p.begin(ctx, r, ans)
	defer p.end(w)
	if rules != nil {
		w.steer = rules.Steer(&w.req)
	}

	if err := p.narrow(w, r.Eligible); err != nil {
		return err
	}
	if err := p.ask(ctx, w); err != nil {
		return err
	}
	if err := p.wanted(w); err != nil {
		return err
	}
	for next := p.main; ; {
		for ; len(w.found) < r.Limit && next < p.last; next++ {
			if err := p.fallBack(ctx, w, next); err != nil {
				return err
			}
		}
		p.rank(ctx, w)
		p.adjust(w)
		p.choose(w)
		p.arrange(w)
		if len(w.picked) >= r.Limit || next == p.last {
			break
		}
		// Selectors left too few: more to choose from may help.
		if err := p.fallBack(ctx, w, next); err != nil {
			return err
		}
		next++
	}
	p.fill(w)
	ans.Considered = len(w.found)
	return ctx.Err()
}

// Propose appends the candidates that a request would be answered from, in
// retrieval order and without ranking: what a ranker learns on.
func (p *Pipeline) Propose(ctx context.Context, r *features.Request, ans *Answer, dst []Candidate) ([]Candidate, error) {
	ans.Items, ans.Degraded, ans.Considered = ans.Items[:0], ans.Degraded[:0], 0
	w := p.begin(ctx, r, ans)
	defer p.end(w)
	if err := p.narrow(w, r.Eligible); err != nil {
		return dst, err
	}
	if err := p.ask(ctx, w); err != nil {
		return dst, err
	}
	w.inOrder()
	ans.Considered = len(w.found)
	return append(dst, w.ranked...), ctx.Err()
}

// Eligible appends the rows that a request may be answered with, rules aside:
// what its sources choose from.
func (p *Pipeline) Eligible(ctx context.Context, r *features.Request, dst []features.Row) ([]features.Row, error) {
	var ans Answer
	w := p.begin(ctx, r, &ans)
	defer p.end(w)
	if err := p.narrow(w, r.Eligible); err != nil {
		return dst, err
	}
	return w.eligible.AppendRows(dst), ctx.Err()
}

// Score sets the scores of cs, candidates as Propose gives them, to what the
// ranker makes of them for r: to ask what a score rests on.
func (p *Pipeline) Score(ctx context.Context, r *features.Request, cs []Candidate) error {
	again := *r
	if again.Scratch == nil {
		again.Scratch = new(features.Scratch)
	}
	again.Scratch.Reset()
	return score(ctx, p.ranker, &again, cs)
}

// narrow makes the eligible set: what may be sold, what the request allows,
// without what it excludes, and what every filter leaves.
func (p *Pipeline) narrow(w *work, allowed *features.Bitmap) error {
	began := p.clock()
	w.base(allowed, p.opts.Rows)
	if p.opts.Observer != nil {
		p.observe(StageEligible, "base", began, w.eligible.Count(), "", nil)
	}
	for _, f := range p.filters {
		began := p.clock()
		if err := mask(f, &w.req, &w.eligible); err != nil {
			p.observe(StageFilter, f.Name(), began, 0, "error", err)
			return err
		}
		if p.opts.Observer != nil {
			p.observe(StageFilter, f.Name(), began, w.eligible.Count(), "", nil)
		}
	}
	p.forbid(w)
	p.say(w)
	return nil
}

// rank scores what was found and, where no rules are about to change scores,
// orders it: descending, ties by row, what the ranker cannot judge last.
func (p *Pipeline) rank(ctx context.Context, w *work) {
	began := p.clock()
	w.inOrder()
	why, err := "", error(nil)
	switch {
	case p.opts.Switches.Off(p.ranker.Name()):
		why = "off"
	default:
		if err = score(ctx, p.ranker, &w.req, w.ranked); err != nil {
			why = "error"
			w.inOrder()
		}
	}
	if why != "" {
		for i := range w.ranked {
			w.ranked[i].Score = 1 / float32(i+1)
		}
		w.degrade(p.ranker.Name(), why)
	}
	if w.steer == nil { // adjust orders what rules have changed
		w.byScore()
	}
	p.observe(StageRank, p.ranker.Name(), began, len(w.ranked), why, err)
}

func byScore(a, b Candidate) int {
	an, bn := a.Score != a.Score, b.Score != b.Score
	switch {
	case an != bn:
		if an {
			return 1
		}
		return -1
	case !an && a.Score > b.Score:
		return -1
	case !an && a.Score < b.Score:
		return 1
	}
	return int(a.Row) - int(b.Row)
}

// choose lets the selectors order and cut a copy of what was ranked.
func (p *Pipeline) choose(w *work) {
	w.picked = append(w.picked[:0], w.ranked...)
	for _, s := range p.selectors {
		if p.opts.Switches.Off(s.Name()) {
			w.degrade(s.Name(), "off")
			p.observe(StageSelect, s.Name(), time.Time{}, len(w.picked), "off", nil)
			continue
		}
		began := p.clock()
		w.spare = append(w.spare[:0], w.picked...)
		picked, err := choose(s, &w.req, w.picked)
		if err != nil {
			w.picked = append(w.picked[:0], w.spare...)
			w.degrade(s.Name(), "error")
			p.observe(StageSelect, s.Name(), began, len(w.picked), "error", err)
			continue
		}
		w.picked = picked
		p.observe(StageSelect, s.Name(), began, len(w.picked), "", nil)
	}
}

// fill writes the answer: what was picked and found, once each, with reasons.
func (p *Pipeline) fill(w *work) {
	began := p.clock()
	for i := range w.picked {
		if len(w.ans.Items) == w.req.Limit {
			break
		}
		c := w.picked[i]
		if c.Row < 0 || int(c.Row) >= w.eligible.Len() || w.met.of(c.Row) <= 0 {
			continue // a selector invented or repeated it
		}
		w.met.put(c.Row, answered)
		w.ans.Items = append(w.ans.Items, Answered{
			Candidate: c, Source: p.sources[c.Main].Name(), Reason: p.reason(w, c),
		})
	}
	p.observe(StageReason, "reasons", began, len(w.ans.Items), "", nil)
}

// reason is the first personal reason that holds, asked of the ranker, of the
// source the item is shown for and of the others; only then one that would be
// the same for everyone.
func (p *Pipeline) reason(w *work, c Candidate) Reason {
	var plain Reason
	judge, _ := p.ranker.(Judge)
	ranker, _ := p.ranker.(Reasoner)
	ask := func(q Reasoner) (Reason, bool) {
		if q == nil {
			return Reason{}, false
		}
		why, ok := because(q, &w.req, c.Row)
		switch {
		case !ok:
			return Reason{}, false
		case !why.Kind.personal():
			if plain.Kind == "" {
				plain = why
			}
			return Reason{}, false
		case judge != nil && q != ranker && inHistory(&w.req, why.Item) && why.Item != c.Row && !judge.RestsOn(&w.req, c.Row, why.Item):
			return Reason{}, false
		}
		return why, true
	}
	if why, ok := ask(ranker); ok {
		return why
	}
	if why, ok := ask(p.sources[c.Main].reasoner); ok {
		return why
	}
	for i := range p.sources {
		if c.From&(1<<i) != 0 && i != int(c.Main) {
			if why, ok := ask(p.sources[i].reasoner); ok {
				return why
			}
		}
	}
	return plain
}

func inHistory(r *features.Request, row features.Row) bool {
	for _, it := range r.History() {
		if it.Row == row {
			return true
		}
	}
	return false
}

// personal tells reasons that rest on the shopper or the page from those that
// hold for everyone.
func (k ReasonKind) personal() bool {
	return k != PopularIn && k != Popular && k != NewArrival
}

func (p *Pipeline) clock() time.Time {
	if p.opts.Observer == nil {
		return time.Time{}
	}
	return time.Now()
}

func (p *Pipeline) observe(stage Stage, name string, began time.Time, items int, why string, err error) {
	if p.opts.Observer == nil {
		return
	}
	o := Observation{Surface: p.recipe.Surface, Stage: stage, Component: name, Items: items, Why: why, Err: err}
	if !began.IsZero() {
		o.Took = time.Since(began)
	}
	p.opts.Observer.Observe(o)
}
