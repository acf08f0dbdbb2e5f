// Package eval judges models: it replays the request of each test user, ranks
// the whole catalogue or sampled candidates, and measures the ranking.
//
// It imports models and what lies below. Start reading at Run; metric.go says
// what is measured, bootstrap.go how sure it is, report.go how it is told.
package eval

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/models"
)

// Task is what models are judged on.
type Task struct {
	// History is what shoppers had done when they were asked for: what their
	// requests show, and the seen items.
	History *dataset.Dataset
	// Test holds the items to be found: those of interactions whose weight is
	// above 0 by models.DefaultWeights. It has the users and items of History.
	Test *dataset.Dataset
	// Negatives, where given, are ranked in place of the catalogue, and each
	// line is a case of its own.
	Negatives *dataset.Negatives
}

// Options say how a task is carried out.
type Options struct {
	Metrics  []Metric
	KeepSeen bool   // rank items of the user's history as well
	History  int    // interactions a request shows at most, the newest; 0: features.HistoryCap, below 0: all
	Workers  int    // goroutines at most; 0: GOMAXPROCS
	Ties     Ties   // who comes first of equal scores
	MaxCases int    // a seeded sample of so many; 0: all
	Seed     uint64 // of that sample, and of drawn ties
	Progress func(done, total int)
}

// Ties says where a positive comes among sampled candidates of equal score. The
// catalogue is ranked by row within equal scores, save under TiesDrawn.
type Ties string

// The rules of ties. A model that gives everything the same score gets nothing
// under TiesLast and everything under TiesFirst, which is there to compare with
// figures that were made so. Under TiesDrawn, which holds for the catalogue too,
// it gets what chance gives: equal scores rank in an order drawn for each case,
// so that the order of rows, which is that of the files, tells it nothing.
const (
	TiesLast  Ties = "last" // the default
	TiesRow   Ties = "row"
	TiesFirst Ties = "first"
	TiesDrawn Ties = "drawn"
)

// Result is what Run measured, case by case: a case is a user, or a line of
// Negatives.
type Result struct {
	Metrics []Metric
	User    []int32     // of each case, ascending for users
	Values  [][]float64 // by metric, then case; NaN where the metric is undefined; nil for metrics of the whole
	Whole   []float64   // by metric: the value of metrics of the whole, the mean over cases of the others
	Silent  int         // cases for which the model scored nothing at all
	Wall    time.Duration
}

// Cases are the requests of a task.
type Cases struct {
	User     []int32
	Relevant [][]features.Row // ascending, distinct
	Sampled  [][]features.Row // candidates without the positive, distinct; nil when the catalogue is ranked
}

// ErrTask is returned for a task that cannot be carried out.
var ErrTask = errors.New("cannot evaluate")

// Plan finds the cases of a task.
func Plan(t Task, o Options) (*Cases, error) {
	if t.Test == nil {
		return nil, fmt.Errorf("%w: there is no test data", ErrTask)
	}
	if t.Test.NumUsers() != t.History.NumUsers() || t.Test.NumItems() != t.History.NumItems() {
		return nil, fmt.Errorf("%w: test has %d users and %d items, history %d and %d", ErrTask,
			t.Test.NumUsers(), t.Test.NumItems(), t.History.NumUsers(), t.History.NumItems())
	}
	for _, m := range o.Metrics {
		if m.Name == Calibration && t.History.Catalog == nil {
			return nil, fmt.Errorf("%w: %s needs categories, and the data has no catalogue", ErrTask, Calibration)
		}
	}
	switch o.Ties {
	case "", TiesLast, TiesRow, TiesFirst, TiesDrawn:
	default:
		return nil, fmt.Errorf("%w: unknown rule of ties %q: expected last, row, first or drawn", ErrTask, o.Ties)
	}
	c := &Cases{}
	if t.Negatives != nil {
		c.sampled(t.Negatives)
	} else {
		c.full(t, o.KeepSeen)
	}
	if len(c.User) == 0 {
		return nil, fmt.Errorf("%w: no user has a test item to be found", ErrTask)
	}
	if n := o.MaxCases; n > 0 && n < len(c.User) {
		keep := rand.New(rand.NewPCG(o.Seed, 0xca5e5)).Perm(len(c.User))[:n]
		slices.Sort(keep)
		c.only(keep)
	}
	return c, nil
}

func (c *Cases) full(t Task, keepSeen bool) {
	weights := models.DefaultWeights()
	var seen []features.Row
	for u := range t.Test.Users {
		var relevant []features.Row
		for _, it := range t.Test.History(u) {
			if weights.Of(&it) > 0 {
				relevant = append(relevant, it.Row)
			}
		}
		if len(relevant) == 0 {
			continue
		}
		slices.Sort(relevant)
		relevant = slices.Compact(relevant)
		if !keepSeen {
			seen = seenBy(t.History, u, seen)
			relevant = slices.DeleteFunc(relevant, func(r features.Row) bool { _, ok := slices.BinarySearch(seen, r); return ok })
			if len(relevant) == 0 {
				continue
			}
		}
		c.User = append(c.User, int32(u))
		c.Relevant = append(c.Relevant, relevant)
	}
}

// sampled: where the positive is also among its negatives, it counts once.
func (c *Cases) sampled(n *dataset.Negatives) {
	for i := range n.Len() {
		candidates := slices.Clone(n.Of(i))
		slices.Sort(candidates)
		candidates = slices.Compact(candidates)
		if at, ok := slices.BinarySearch(candidates, n.Positive[i]); ok {
			candidates = slices.Delete(candidates, at, at+1)
		}
		c.User = append(c.User, n.User[i])
		c.Relevant = append(c.Relevant, []features.Row{n.Positive[i]})
		c.Sampled = append(c.Sampled, candidates)
	}
}

func (c *Cases) only(keep []int) {
	for to, from := range keep {
		c.User[to], c.Relevant[to] = c.User[from], c.Relevant[from]
		if c.Sampled != nil {
			c.Sampled[to] = c.Sampled[from]
		}
	}
	c.User, c.Relevant = c.User[:len(keep)], c.Relevant[:len(keep)]
	if c.Sampled != nil {
		c.Sampled = c.Sampled[:len(keep)]
	}
}

// seenBy is the distinct items of user u's history, ascending.
func seenBy(d *dataset.Dataset, u int, dst []features.Row) []features.Row {
	dst = dst[:0]
	for _, it := range d.History(u) {
		dst = append(dst, it.Row)
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}

// asker builds the requests of a task.
type asker struct {
	task  Task
	cap   int
	limit int
	last  int64 // the newest time of History
}

// request is what a surface would ask for user u just before the first of their
// test interactions: the market of their newest interaction (of the test's
// first, for a cold user), Now the time of that test interaction, or the newest
// of History where the test has no times.
func (a *asker) request(u int, r *features.Request) {
	history := a.task.History.History(u)
	if a.cap > 0 && len(history) > a.cap {
		history = history[len(history)-a.cap:]
	}
	now, market, manner := a.last, a.task.History.LastMarket(u), a.task.History.Manner(u)
	if test := a.task.Test; test.Ptr[u] < test.Ptr[u+1] {
		if ms := test.Log[test.Ptr[u]].TimeMS; ms > 0 {
			now = ms
		}
		if len(history) == 0 && test.Market != nil {
			market = test.Markets[test.Market[test.Ptr[u]]]
		}
		if len(history) == 0 {
			manner = test.Manner(u)
		}
	}
	r.Query = features.Query{
		Shop: features.DefaultShop, Surface: features.SurfaceHome, Market: market, Locale: manner.Language, Channel: manner.Channel, Device: manner.Device, Limit: a.limit,
	}
	if now > 0 {
		r.Now = time.UnixMilli(now).UTC()
	}
	*r.Shopper = features.Shopper{Recent: history, Consent: features.AllPurposes}
	r.Item, r.Catalog = features.NoRow, a.task.History.Catalog
	r.Scratch.Reset()
}

// Run judges m on the cases of a task. It obeys ctx between batches.
func Run(ctx context.Context, m models.Scorer, t Task, c *Cases, o Options) (*Result, error) {
	start := time.Now()
	if len(o.Metrics) == 0 {
		return nil, fmt.Errorf("%w: no metric is asked for", ErrTask)
	}
	j := newJudge(t, c, o)
	if err := j.run(ctx, m); err != nil {
		return nil, err
	}
	res := j.result()
	res.Wall = time.Since(start)
	return res, nil
}
