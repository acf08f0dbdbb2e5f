package source

import (
	"context"
	"fmt"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// favourites is what sells best, in the request's market, within the categories
// that the shopper looked at or bought from last. Charts by category are made
// once and kept; an item's category is its last.
type favourites struct {
	named
	all    *popular
	params favouritesParams
	pool   pool

	making sync.Mutex // of charts: one request makes them, others wait for it
	mu     sync.RWMutex
	charts map[string]map[string][]pipeline.Candidate // by market, then category
}

type favouritesParams struct {
	Items      int `json:"items"`      // newest items of the history looked at
	Categories int `json:"categories"` // of them, distinct ones, at most
}

func newFavourites(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	p := favouritesParams{Items: 10, Categories: 3}
	if err := pipeline.Params(spec.Params, &p); err != nil {
		return nil, err
	}
	if p.Items < 1 || p.Categories < 1 {
		return nil, fmt.Errorf("parameters %+v: expected items and categories of at least 1", p)
	}
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	return &favourites{
		named: named(spec.Name), params: p, all: &popular{named: named(spec.Name), model: m, markets: map[string]*chart{}},
		charts: map[string]map[string][]pipeline.Candidate{},
	}, nil
}

// chartLength bounds what is kept of a category.
const chartLength = 200

// Candidates implements pipeline.Source: the charts are taken from in turn.
func (s *favourites) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	if r.Catalog == nil {
		return dst, nil
	}
	b := s.pool.get()
	defer s.pool.put(b)
	var own [16][]pipeline.Candidate
	lists := own[:0]
	charts := s.of(ctx, r)
	var seen [16]string
	b.rows = newestItems(r.History(), s.params.Items, b.rows[:0])
	for _, row := range b.rows {
		c := category(r, row)
		known := c == ""
		for i := range lists {
			known = known || seen[i] == c
		}
		if known || len(lists) == min(s.params.Categories, len(own)) {
			continue
		}
		seen[len(lists)] = c
		lists = append(lists, charts[c])
	}
	for more := true; more && n > 0; {
		more = false
		for i := range lists {
			for len(lists[i]) > 0 && n > 0 {
				c := lists[i][0]
				lists[i] = lists[i][1:]
				if more = true; r.Eligible.Has(c.Row) {
					dst = append(dst, c)
					n--
					break
				}
			}
		}
	}
	return dst, nil
}

func category(r *features.Request, row features.Row) string {
	if it := r.Catalog.Item(row); it != nil && len(it.Category) > 0 {
		return it.Category[len(it.Category)-1]
	}
	return ""
}

// of is the charts of the request's market.
func (s *favourites) of(ctx context.Context, r *features.Request) map[string][]pipeline.Candidate {
	if charts, ok := s.known(r.Market); ok {
		return charts
	}
	s.making.Lock()
	defer s.making.Unlock()
	if charts, ok := s.known(r.Market); ok {
		return charts
	}
	all := s.all.chart(ctx, r)
	charts, ok := s.known("")
	if !ok || all != s.all.known("") { // the market has an order of its own
		charts = split(r, all, pace.Of(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.charts) >= chartCap {
		s.charts[""] = charts
	} else {
		s.charts[r.Market] = charts
	}
	return charts
}

// split is a chart by category.
func split(r *features.Request, all *chart, job *pace.Job) map[string][]pipeline.Candidate {
	charts := map[string][]pipeline.Candidate{}
	for i, row := range all.rows {
		job.Step()
		if c := category(r, row); c != "" && len(charts[c]) < chartLength {
			charts[c] = append(charts[c], pipeline.Candidate{Row: row, Score: all.scores[i]})
		}
	}
	return charts
}

// known is the charts of a market, where they were made; those of the unknown
// market where there are too many already.
func (s *favourites) known(market string) (map[string][]pipeline.Candidate, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	charts, ok := s.charts[market]
	if !ok && len(s.charts) >= chartCap {
		charts, ok = s.charts[""]
	}
	return charts, ok
}

// Reason implements pipeline.Reasoner: the category, where the shopper did
// something with another item of it.
func (s *favourites) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	if r.Catalog == nil {
		return pipeline.Reason{}, false
	}
	own := category(r, item)
	h := r.History()
	for i := len(h) - 1; i >= 0 && own != ""; i-- {
		if h[i].Row != item && h[i].Type.Interest() && category(r, h[i].Row) == own {
			return pipeline.Reason{Kind: pipeline.ForInterest, Item: h[i].Row, Type: h[i].Type, Name: own, Contribution: 1}, true
		}
	}
	return pipeline.Reason{}, false
}
