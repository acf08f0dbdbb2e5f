package source

import (
	"context"
	"math"
	"slices"
	"sync"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// popular is what is wanted most in the market, by a model whose scores depend
// on the market alone. The order of a market is made once and walked until
// enough of it is eligible, so that no filter leaves it empty.
type popular struct {
	named
	model models.Model
	pool  pool

	making  sync.Mutex // of a chart: one request makes it, others wait for it
	mu      sync.RWMutex
	markets map[string]*chart
}

// chart is the rows by descending score.
type chart struct {
	rows   []features.Row
	scores []float32
	differ bool // from the chart of the unknown market
}

// chartCap bounds the markets kept: names come from callers. Further ones get
// the order of the unknown market.
const chartCap = 256

func newPopular(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	m, err := env.Model(spec.Model)
	if err != nil {
		return nil, err
	}
	return &popular{named: named(spec.Name), model: m, markets: map[string]*chart{}}, nil
}

// Candidates implements pipeline.Source.
func (s *popular) Candidates(ctx context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	c := s.chart(ctx, r)
	for i, row := range c.rows {
		if n == 0 {
			break
		}
		if r.Eligible.Has(row) {
			dst = append(dst, pipeline.Candidate{Row: row, Score: c.scores[i]})
			n--
		}
	}
	return dst, nil
}

func (s *popular) chart(ctx context.Context, r *features.Request) *chart {
	if c := s.known(r.Market); c != nil {
		return c
	}
	s.making.Lock()
	defer s.making.Unlock()
	if c := s.known(r.Market); c != nil {
		return c
	}
	job := pace.Of(ctx)
	s.mu.RLock()
	unknown := s.markets[""]
	s.mu.RUnlock()
	if unknown == nil {
		unknown = s.count(r, "", job)
	}
	c := unknown
	if r.Market != "" {
		c = s.count(r, r.Market, job)
		if c.differ = !slices.Equal(c.scores, unknown.scores) || !slices.Equal(c.rows, unknown.rows); !c.differ {
			c = unknown
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.markets[""], s.markets[r.Market] = unknown, c
	return c
}

// known is the chart of a market, nil where it was not made; that of the unknown
// market where there are too many already.
func (s *popular) known(market string) *chart {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c := s.markets[market]
	if c == nil && len(s.markets) >= chartCap {
		c = s.markets[""]
	}
	return c
}

// countAtOnce is the rows that a model scores at a stretch.
const countAtOnce = 4096

// count asks the model about nobody in the market.
func (s *popular) count(r *features.Request, market string, job *pace.Job) *chart {
	all := make([]features.Row, s.model.Items())
	for i := range all {
		all[i] = features.Row(i)
	}
	scores := make([]float32, len(all))
	nobody := features.Request{Query: r.Query, Item: features.NoRow, Catalog: r.Catalog}
	nobody.Market = market
	for at := 0; at < len(all); at += countAtOnce {
		end := min(at+countAtOnce, len(all))
		s.model.Score(&nobody, all[at:end], scores[at:end])
		job.Look()
	}
	all = slices.DeleteFunc(all, func(row features.Row) bool {
		return math.IsNaN(float64(scores[row])) || math.IsInf(float64(scores[row]), 0)
	})
	pace.SortFunc(job, all, func(a, b features.Row) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return int(a) - int(b)
	})
	c := &chart{rows: all, scores: make([]float32, len(all))}
	for i, row := range all {
		c.scores[i] = scores[row]
	}
	job.Look()
	return c
}

// Reason implements pipeline.Reasoner. It names the market only where the
// market's order is its own. An item nobody wanted is not popular.
func (s *popular) Reason(r *features.Request, item features.Row) (pipeline.Reason, bool) {
	c := s.chart(context.Background(), r)
	b := s.pool.get()
	defer s.pool.put(b)
	if int(item) >= s.model.Items() {
		return pipeline.Reason{}, false
	}
	if len(b.score) < 1 {
		b.score = make([]float32, 1)
	}
	b.rows = append(b.rows[:0], item)
	s.model.Score(r, b.rows, b.score[:1])
	score := b.score[0]
	if !(score > 0) || len(c.scores) == 0 || score <= c.scores[len(c.scores)-1] {
		return pipeline.Reason{}, false
	}
	why := pipeline.Reason{Kind: pipeline.Popular, Item: features.NoRow, Contribution: score}
	if c.differ {
		why.Kind, why.Name = pipeline.PopularIn, r.Market
	}
	return why, true
}
