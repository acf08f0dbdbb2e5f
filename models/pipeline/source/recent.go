package source

import (
	"context"
	"fmt"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// recent is what the shopper looked at and did not buy since, newest first.
type recent struct {
	named
	pool pool
}

func newRecent(spec models.SourceSpec, _ pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	return &recent{named: named(spec.Name)}, nil
}

// Candidates implements pipeline.Source. The score is 1 for the newest and
// falls with the place.
func (s *recent) Candidates(_ context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	b := s.pool.get()
	defer s.pool.put(b)
	b.rows = b.rows[:0] // decided on
	h := r.History()
	for i, given := len(h)-1, 0; i >= 0 && given < n; i-- {
		row := h[i].Row
		if !h[i].Type.Interest() || slices.Contains(b.rows, row) {
			continue
		}
		b.rows = append(b.rows, row)
		if h[i].Type != features.Purchase && r.Eligible.Has(row) {
			given++
			dst = append(dst, pipeline.Candidate{Row: row, Score: 1 / float32(given)})
		}
	}
	return dst, nil
}

// Reason implements pipeline.Reasoner: the item itself, looked at before.
func (s *recent) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	t := lastType(r.History(), item)
	if t == features.EventUnknown || t == features.Purchase {
		return pipeline.Reason{}, false
	}
	return pipeline.Reason{Kind: pipeline.BecauseOf, Item: item, Type: t, Contribution: 1}, true
}

// again is what the shopper bought, the likeliest to be due first: items bought
// on several days, whose usual interval has passed, before those bought once.
type again struct {
	named
	params againParams
	pool   pool
}

type againParams struct {
	Days float64 `json:"days"` // interval taken for an item bought on one day only
}

func newAgain(spec models.SourceSpec, _ pipeline.Env) (pipeline.Source, error) {
	p := againParams{Days: 60}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if !(p.Days > 0) {
		return nil, fmt.Errorf("days %g: expected more than 0", p.Days)
	}
	return &again{named: named(spec.Name), params: p}, nil
}

const dayMS = 24 * 60 * 60 * 1000

// Candidates implements pipeline.Source. The score is how many times the item
// was bought over one plus how far, in intervals, it is from being due.
func (s *again) Candidates(_ context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	b := s.pool.get()
	defer s.pool.put(b)
	b.rows = b.rows[:0]
	b.top.Reset(n)
	h := r.History()
	for i := len(h) - 1; i >= 0; i-- {
		row := h[i].Row
		if h[i].Type != features.Purchase || !r.Eligible.Has(row) || slices.Contains(b.rows, row) {
			continue
		}
		b.rows = append(b.rows, row)
		b.top.Push(int32(row), s.due(h[:i+1], row, r.Now.UnixMilli()))
	}
	b.best = b.top.Sorted(b.best[:0])
	for _, c := range b.best {
		dst = append(dst, pipeline.Candidate{Row: features.Row(c.Index), Score: c.Score})
	}
	return dst, nil
}

// due judges an item from the purchases of it in h.
func (s *again) due(h []features.Interaction, row features.Row, nowMS int64) float32 {
	p := pipeline.PurchasesOf(h, row)
	interval := s.params.Days * dayMS
	if p.Times > 1 {
		interval = float64(p.Interval.Milliseconds())
	}
	early := 1 - float64(nowMS-p.Last)/interval
	if early < 0 {
		early = -early / 2 // overdue weighs half of being early
	}
	return float32(float64(p.Times) / (1 + early))
}

// Reason implements pipeline.Reasoner.
func (s *again) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	h := r.History()
	for i := len(h) - 1; i >= 0; i-- {
		if h[i].Row == item && h[i].Type == features.Purchase {
			return pipeline.Reason{Kind: pipeline.BuyAgain, Item: item, Type: features.Purchase, Contribution: 1}, true
		}
	}
	return pipeline.Reason{}, false
}
