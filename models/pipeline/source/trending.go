package source

import (
	"context"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// trending is what is wanted now, as shoppers' events come: in the request's
// market by the shopper's segments, then in the market by everyone. Where too
// little is known of either, as after a start or in a replay, a model of what
// sells stands in, if the recipe names one.
type trending struct {
	named
	trends pipeline.Trends // nil: nobody counts
	span   pipeline.Span
	whole  bool     // also by everyone in the market
	stead  *popular // nil: none
	pool   pool

	mu    sync.RWMutex
	known map[audience]charted // by the newest chart that was asked for
}

// audience is whose wishes a chart is of; its names come from callers.
type audience struct{ market, segment string }

// charted is a chart with its rows; the zero value is none.
type charted struct {
	*pipeline.Trend
	rows []features.Row // NoRow for what the release does not know
}

// chartsKept bounds the charts that are known; all are forgotten beyond.
const chartsKept = 1024

// newTrending is what is wanted of late, in the market.
func newTrending(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	return makeTrending(spec, env, pipeline.OfLate, true)
}

// newSegment is what the shopper's segments have wanted for weeks.
func newSegment(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	return makeTrending(spec, env, pipeline.Lasting, false)
}

func makeTrending(spec models.SourceSpec, env pipeline.Env, span pipeline.Span, whole bool) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	s := &trending{named: named(spec.Name), trends: env.Trends, span: span, whole: whole, known: map[audience]charted{}}
	if spec.Model != "" {
		m, err := env.Model(spec.Model)
		if err != nil {
			return nil, err
		}
		s.stead = &popular{named: s.named, model: m, markets: map[string]*chart{}}
	}
	return s, nil
}

// Candidates implements pipeline.Source. Charts are taken one after the other,
// the narrowest first; scores fall with the place, since counts of charts are
// not of one scale.
func (s *trending) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	b := s.pool.get()
	defer s.pool.put(b)
	b.rows = b.rows[:0]
	first := len(dst)
	for _, t := range s.charts(r) {
		for _, row := range t.rows {
			if len(dst)-first == n {
				return dst, nil
			}
			if row != features.NoRow && r.Eligible.Has(row) && !slices.Contains(b.rows, row) {
				b.rows = append(b.rows, row)
				dst = append(dst, pipeline.Candidate{Row: row, Score: 1 / float32(len(b.rows))})
			}
		}
	}
	if len(dst) > first || s.stead == nil {
		return dst, nil
	}
	return s.stead.Candidates(ctx, r, n, dst)
}

// segmentsAsked bounds how many of a shopper's segments are looked at.
const segmentsAsked = 3

// charts are those of the shopper's segments in the market, those of the
// segments everywhere where the market has none, and that of the market.
func (s *trending) charts(r *features.Request) (all [segmentsAsked + 1]charted) {
	if s.trends == nil || r.Catalog == nil {
		return all
	}
	if r.Shopper != nil && r.Shopper.Consent.Has(features.Personalisation) {
		for i, segment := range SegmentsOf(r.Shopper.Profile) {
			if i == segmentsAsked {
				break
			}
			if all[i] = s.chart(audience{r.Market, segment}, r.Catalog); all[i].Trend == nil && r.Market != "" && !s.whole {
				all[i] = s.chart(audience{"", segment}, r.Catalog)
			}
		}
	}
	if s.whole {
		all[segmentsAsked] = s.chart(audience{r.Market, ""}, r.Catalog)
	}
	return all
}

// SegmentsOf is the segments that a shopper counts in: those the shop decided
// on, or where there are none, their place in the life of a customer.
func SegmentsOf(p *features.Profile) []string {
	switch {
	case p == nil:
		return nil
	case len(p.Segments) > 0:
		return p.Segments
	case p.Lifecycle != "":
		return []string{p.Lifecycle}
	}
	return nil
}

// chart is the newest of an audience. The one before is not held any longer.
func (s *trending) chart(of audience, items features.Catalog) charted {
	t := s.trends.Trend(s.span, of.market, of.segment)
	if t == nil {
		return charted{}
	}
	s.mu.RLock()
	c := s.known[of]
	s.mu.RUnlock()
	if c.Trend == t {
		return c
	}
	c = charted{t, make([]features.Row, len(t.Items))}
	for i, id := range t.Items {
		var ok bool
		if c.rows[i], ok = items.Row(id); !ok {
			c.rows[i] = features.NoRow
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= chartsKept {
		clear(s.known)
	}
	s.known[of] = c
	return c
}

// Reason implements pipeline.Reasoner. What is wanted in the market may be said;
// what a shopper's segment wants is told to nobody as such.
func (s *trending) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	if t := s.charts(r)[segmentsAsked]; t.Trend != nil && r.Market != "" {
		if i := slices.Index(t.rows, item); i >= 0 {
			return pipeline.Reason{Kind: pipeline.PopularIn, Item: features.NoRow, Name: r.Market, Contribution: t.Scores[i]}, true
		}
	}
	if s.stead == nil {
		return pipeline.Reason{}, false
	}
	return s.stead.Reason(r, item)
}
