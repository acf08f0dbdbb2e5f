package source

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// Newest is a catalogue that keeps its items in the order of their creation,
// newest first. catalog.Snapshot is one.
type Newest interface{ Newest() []features.Row }

// arrivals is the newest eligible items, at most days old.
type arrivals struct {
	named
	params arrivalsParams
}

type arrivalsParams struct {
	Days float64 `json:"days"` // 0: of any age
}

func newArrivals(spec models.SourceSpec, _ pipeline.Env) (pipeline.Source, error) {
	p := arrivalsParams{Days: 30}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if p.Days < 0 {
		return nil, fmt.Errorf("days %g: expected 0 or more", p.Days)
	}
	return &arrivals{named: named(spec.Name), params: p}, nil
}

// Candidates implements pipeline.Source. The score falls from 1 by a day's
// hundredth.
func (s *arrivals) Candidates(_ context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	cat, ok := r.Catalog.(Newest)
	if !ok {
		return dst, nil
	}
	for _, row := range cat.Newest() {
		if n == 0 {
			break
		}
		if !r.Eligible.Has(row) {
			continue
		}
		age, ok := s.age(r, row)
		if !ok {
			break // all others are older still, or of the future
		}
		if age < 0 {
			continue
		}
		dst = append(dst, pipeline.Candidate{Row: row, Score: float32(1 - age/100)})
		n--
	}
	return dst, nil
}

// age is in days; false when it is above the limit.
func (s *arrivals) age(r *features.Request, row features.Row) (float64, bool) {
	it := r.Catalog.Item(row)
	if it == nil || it.Created.IsZero() {
		return 0, false
	}
	age := r.Now.Sub(it.Created).Hours() / 24
	return age, s.params.Days == 0 || age <= s.params.Days
}

// Reason implements pipeline.Reasoner.
func (s *arrivals) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	if r.Catalog == nil {
		return pipeline.Reason{}, false
	}
	age, ok := s.age(r, item)
	if !ok || age < 0 || s.params.Days == 0 {
		return pipeline.Reason{}, false
	}
	return pipeline.Reason{Kind: pipeline.NewArrival, Item: features.NoRow, Contribution: float32(1 - age/s.params.Days)}, true
}
