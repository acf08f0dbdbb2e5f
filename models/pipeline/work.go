package pipeline

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/attune-rec/attune/features"
)

// work is the working set of one request.
type work struct {
	req      features.Request // the request as components see it
	ans      *Answer
	budget   budget
	steer    Steering // nil: no rules
	judging  bool     // rules are asked about each candidate
	asking   Filter   // the one that is asked about a candidate; nil: none is
	wanted   []features.Row
	eligible features.Bitmap
	scratch  features.Scratch
	out      []Candidate // of one source
	found    []Candidate // distinct, eligible, kept, as they came
	places   []int32     // the best place of each among a source's
	sorter   sorter
	met      index // by row: i+1 found[i], rejected or answered
	ranked   []Candidate
	picked   []Candidate
	spare    []Candidate
}

// What met says of a row that is not, or no longer, to be had.
const (
	rejected = -1
	answered = -2
)

func (p *Pipeline) begin(ctx context.Context, r *features.Request, ans *Answer) *work {
	w := p.pool.Get().(*work)
	w.req, w.ans = *r, ans
	w.req.Eligible = &w.eligible
	if w.req.Scratch == nil {
		w.req.Scratch = &w.scratch
	}
	w.req.Scratch.Reset()
	w.budget = budget{Context: ctx}
	w.found, w.places, w.ranked, w.picked = w.found[:0], w.places[:0], w.ranked[:0], w.picked[:0]
	return w
}

func (p *Pipeline) end(w *work) {
	w.met.clear()
	if w.steer != nil {
		w.steer.Done()
	}
	w.req, w.ans, w.budget, w.steer = features.Request{}, nil, budget{}, nil
	p.pool.Put(w)
}

func (w *work) degrade(component, why string) {
	for _, d := range w.ans.Degraded {
		if d.Component == component {
			return
		}
	}
	w.ans.Degraded = append(w.ans.Degraded, Degradation{Component: component, Why: why})
}

// merge takes the candidates of source i in: eligible ones that every filter
// keeps, each once. The error is a filter's.
func (w *work) merge(filters []Filter, i int, place int32, out []Candidate) (err error) {
	defer func() {
		if w.asking == nil {
			return
		}
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %w", ErrFilter, caught(w.asking.Name(), v))
		}
		w.asking = nil
	}()
	for j := range out {
		c := &out[j]
		at := place + int32(j)
		if !w.eligible.Has(c.Row) {
			continue
		}
		switch k := w.met.of(c.Row); {
		case k == rejected:
			continue
		case k > 0:
			have := &w.found[k-1]
			have.From |= 1 << i
			if have.Sponsored = have.Sponsored || c.Sponsored; at < w.places[k-1] {
				have.Main, have.Score, w.places[k-1] = uint8(i), c.Score, at
			}
			continue
		}
		if !w.keeps(filters, c.Row) || w.judging && !w.permitted(c.Row) {
			w.met.put(c.Row, rejected)
			continue
		}
		w.found = append(w.found, Candidate{
			Row: c.Row, Score: c.Score, From: 1 << i, Main: uint8(i), Propensity: 1, Sponsored: c.Sponsored,
		})
		w.places = append(w.places, at)
		w.met.put(c.Row, int32(len(w.found)))
	}
	return nil
}

// keeps asks the filters about a candidate.
func (w *work) keeps(filters []Filter, row features.Row) bool {
	for _, f := range filters {
		w.asking = f
		if !f.Keep(&w.req, row) {
			w.asking = nil
			return false
		}
	}
	w.asking = nil
	return true
}

// inOrder copies what was found to ranked in retrieval order.
func (w *work) inOrder() {
	w.ranked = w.sorter.inOrder(w.found, w.places, w.ranked[:0])
}

// byScore orders ranked: descending, ties by row, what the ranker cannot judge
// last.
func (w *work) byScore() {
	w.ranked, w.spare = w.sorter.byScore(w.ranked, w.spare)
}

// The calls below turn a panic of a component into an error.

func caught(name string, v any) error {
	return fmt.Errorf("%s panicked: %v\n%s", name, v, debug.Stack())
}

func propose(ctx context.Context, s Source, r *features.Request, n int, dst []Candidate) (out []Candidate, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, caught(s.Name(), v)
		}
	}()
	return s.Candidates(ctx, r, n, dst)
}

func mask(f Filter, r *features.Request, eligible *features.Bitmap) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %w", ErrFilter, caught(f.Name(), v))
		}
	}()
	f.Mask(r, eligible)
	return nil
}

func score(ctx context.Context, k Ranker, r *features.Request, cs []Candidate) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = caught(k.Name(), v)
		}
	}()
	return k.Rank(ctx, r, cs)
}

func choose(s Selector, r *features.Request, cs []Candidate) (out []Candidate, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, caught(s.Name(), v)
		}
	}()
	return s.Select(r, cs), nil
}

func because(q Reasoner, r *features.Request, row features.Row) (why Reason, ok bool) {
	defer func() {
		if recover() != nil {
			why, ok = Reason{}, false
		}
	}()
	return q.Reason(r, row)
}
