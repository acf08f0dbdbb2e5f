package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// budget is a context that ends when the time for the sources is spent. Its
// Done is the request's own: sources in the process look at Err between their
// steps, which costs no timer.
type budget struct {
	context.Context
	until time.Time // zero: no budget
}

func (b *budget) Deadline() (time.Time, bool) {
	t, ok := b.Context.Deadline()
	if b.until.IsZero() || ok && t.Before(b.until) {
		return t, ok
	}
	return b.until, true
}

func (b *budget) Err() error {
	if err := b.Context.Err(); err != nil {
		return err
	}
	if !b.until.IsZero() && !time.Now().Before(b.until) {
		return context.DeadlineExceeded
	}
	return nil
}

// ask collects the candidates of the recipe's sources: remote ones beside the
// request, the others one after the other, all within the budget.
func (p *Pipeline) ask(ctx context.Context, w *work) error {
	if p.recipe.Budget > 0 {
		w.budget.until = time.Now().Add(time.Duration(p.recipe.Budget))
	}
	var remote *calls
	if p.anyRemote {
		remote = p.send(ctx, w)
	}
	for i := range p.main {
		if p.sources[i].remote {
			continue
		}
		if err := p.askOne(w, i, 0); err != nil {
			return err
		}
	}
	if remote != nil {
		if err := p.receive(ctx, w, remote); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// askOne asks source i on the request's goroutine. The error is a filter's.
func (p *Pipeline) askOne(w *work, i int, place int32) error {
	s := &p.sources[i]
	if p.opts.Switches.Off(s.Name()) {
		p.missed(w, s, time.Time{}, "off", nil)
		return nil
	}
	if w.budget.Err() != nil {
		p.missed(w, s, time.Time{}, "timeout", nil)
		return nil //nolint:nilerr // late is no error: the answer says so
	}
	began := p.clock()
	out, err := propose(&w.budget, s.Source, &w.req, s.limit, w.out[:0])
	if out != nil {
		w.out = out
	}
	return p.took(w, i, place, out, err, began)
}

// fallBack asks a fallback source. The budget of the sources may be spent by
// then; the request's own deadline still holds.
func (p *Pipeline) fallBack(ctx context.Context, w *work, i int) error {
	w.budget.until = time.Time{}
	if err := ctx.Err(); err != nil {
		return err
	}
	return p.askOne(w, i, int32(i-p.main+1)<<20)
}

// took merges what a source gave, and says so when it did not do its part.
func (p *Pipeline) took(w *work, i int, place int32, out []Candidate, err error, began time.Time) error {
	s := &p.sources[i]
	out = out[:min(len(out), s.limit)]
	if err := w.merge(p.checks, i, place, out); err != nil {
		return err
	}
	degraded, found := errors.AsType[*models.Degraded](err)
	switch {
	case err == nil:
		p.observe(StageSource, s.Name(), began, len(out), "", nil)
	case found:
		w.degrade(degraded.Component, degraded.Why)
		p.observe(StageSource, s.Name(), began, len(out), degraded.Why, err)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		p.missed(w, s, began, "timeout", err)
	default:
		p.missed(w, s, began, "error", err)
	}
	return nil
}

func (p *Pipeline) missed(w *work, s *step, began time.Time, why string, err error) {
	w.degrade(s.Name(), why)
	p.observe(StageSource, s.Name(), began, 0, why, err)
}

// calls is the remote sources of a request under way.
type calls struct {
	replies chan reply
	cancel  context.CancelFunc
	waiting []bool // by source
	open    int
	began   time.Time
}

type reply struct {
	source int
	out    []Candidate
	err    error
}

// send starts the remote sources; nil when there are none.
func (p *Pipeline) send(ctx context.Context, w *work) *calls {
	var c *calls
	for i := range p.main {
		s := &p.sources[i]
		if !s.remote {
			continue
		}
		if p.opts.Switches.Off(s.Name()) {
			p.missed(w, s, time.Time{}, "off", nil)
			continue
		}
		if c == nil {
			c = &calls{replies: make(chan reply, p.main), waiting: make([]bool, p.main), began: p.clock()}
			if w.budget.until.IsZero() {
				ctx, c.cancel = context.WithCancel(ctx)
			} else {
				ctx, c.cancel = context.WithDeadline(ctx, w.budget.until)
			}
		}
		// The call may outlive the request: it shares nothing that is reused.
		r := w.req
		r.Scratch = new(features.Scratch)
		r.Cart, r.Exclude = slices.Clone(r.Cart), slices.Clone(r.Exclude)
		r.Eligible = w.eligible.Clone()
		c.waiting[i] = true
		c.open++
		go func() {
			out, err := propose(ctx, s.Source, &r, s.limit, nil)
			c.replies <- reply{source: i, out: out, err: err}
		}()
	}
	return c
}

// receive waits for the remote sources until the budget ends.
func (p *Pipeline) receive(ctx context.Context, w *work, c *calls) error {
	defer c.cancel()
	var spent <-chan time.Time
	if !w.budget.until.IsZero() {
		t := time.NewTimer(time.Until(w.budget.until))
		defer t.Stop()
		spent = t.C
	}
	replies := make([]*reply, p.main)
	for c.open > 0 {
		select {
		case r := <-c.replies:
			c.waiting[r.source] = false
			c.open--
			replies[r.source] = &r
			continue
		case <-spent:
		case <-ctx.Done():
			return ctx.Err()
		}
		break
	}
	for i, r := range replies { // in the recipe's order, whoever came first
		switch {
		case r != nil:
			if err := p.took(w, i, 0, r.out, r.err, c.began); err != nil {
				return err
			}
		case c.waiting[i]:
			p.missed(w, &p.sources[i], c.began, "timeout", context.DeadlineExceeded)
		}
	}
	return nil
}
