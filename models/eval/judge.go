package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// judge carries out one Run: workers take batches of cases, and each case
// writes its own places of values.
type judge struct {
	task    Task
	cases   *Cases
	options Options
	asker   asker
	items   []features.Row // all of them
	most    int            // the longest ranking that a metric looks at
	lengths []int          // of the metrics of the whole, distinct
	values  [][]float64
	beyond  *beyond // nil when no metric needs it
	workers []*worker
	batch   int
	done    atomic.Int64
}

// worker is the memory of one goroutine.
type worker struct {
	rs     []*features.Request
	scores []float32
	rows   []features.Row // the candidates of a sampled case
	seen   []features.Row
	top    linalg.TopK
	best   []linalg.Scored
	list   []features.Row // the ranking
	hits   []bool
	found  []float32          // the scores of the relevant items
	order  []features.Row     // under TiesDrawn: the items in the order of the case
	place  []int32            // under TiesDrawn: of each item in that order; empty: rows' own order
	drawn  []float32          // scores in that order
	alike  map[uint64]float64 // cosines of pairs of items, for diversity
	counts [][]int32          // by lengths, then item: how often it was among the first
	silent int
}

// batchFloats bounds the scores of one batch.
const batchFloats = 4 << 20

func newJudge(t Task, c *Cases, o Options) *judge {
	n := t.History.NumItems()
	j := &judge{
		task: t, cases: c, options: o, values: make([][]float64, len(o.Metrics)), items: make([]features.Row, n),
		asker: asker{task: t, cap: o.History, last: t.History.LastTimeMS()},
		batch: min(max(batchFloats/max(n, 1), 1), 64),
	}
	if o.History == 0 {
		j.asker.cap = features.HistoryCap
	}
	for i := range j.items {
		j.items[i] = features.Row(i)
	}
	for i, m := range o.Metrics {
		j.most = max(j.most, m.K)
		if m.ofWhole() {
			if !slices.Contains(j.lengths, m.K) {
				j.lengths = append(j.lengths, m.K)
			}
			continue
		}
		j.values[i] = make([]float64, len(c.User))
	}
	j.asker.limit = max(j.most, 1)
	j.beyond = newBeyond(t, o)
	if c.Sampled != nil {
		j.batch = 64
	}
	workers := o.Workers
	if workers <= 0 {
		workers = linalg.Workers()
	}
	for range workers {
		w := &worker{counts: make([][]int32, len(j.lengths)), alike: map[uint64]float64{}}
		for i := range w.counts {
			w.counts[i] = make([]int32, n)
		}
		j.workers = append(j.workers, w)
	}
	return j
}

func (j *judge) run(ctx context.Context, m models.Scorer) error {
	many, _ := m.(models.BatchScorer)
	linalg.ParallelN(len(j.cases.User), j.batch, len(j.workers), func(id, lo, hi int) {
		if ctx.Err() != nil {
			return
		}
		w := j.workers[id]
		if j.cases.Sampled != nil {
			for c := lo; c < hi; c++ {
				j.sampled(m, w, c)
			}
		} else {
			j.full(m, many, w, lo, hi)
		}
		if done := j.done.Add(int64(hi - lo)); j.options.Progress != nil {
			j.options.Progress(int(done), len(j.cases.User))
		}
	})
	return ctx.Err()
}

// full ranks the catalogue for the cases [lo, hi).
func (j *judge) full(m models.Scorer, many models.BatchScorer, w *worker, lo, hi int) {
	n := len(j.items)
	w.scores = grow(w.scores, (hi-lo)*n)
	rs := w.requests(hi - lo)
	for i, r := range rs {
		j.asker.request(int(j.cases.User[lo+i]), r)
	}
	if many != nil {
		many.ScoreMany(rs, j.items, w.scores)
	}
	for i, r := range rs {
		scores := w.scores[i*n : (i+1)*n]
		if many == nil {
			m.Score(r, j.items, scores)
		}
		if !j.options.KeepSeen {
			for _, it := range j.task.History.History(int(j.cases.User[lo+i])) {
				scores[it.Row] = float32(math.NaN())
			}
		}
		rows, ranked := j.items, scores
		if j.options.Ties == TiesDrawn {
			rows, ranked = w.deal(j.drawn(lo+i), scores)
		}
		w.top.Reset(j.most)
		w.top.PushBlock(0, ranked)
		w.best = w.top.Sorted(w.best[:0])
		w.list = w.list[:0]
		for _, b := range w.best {
			w.list = append(w.list, rows[b.Index])
		}
		j.measure(w, lo+i, j.items, scores)
	}
}

// drawn is the chance by which case c's ties are drawn, the same for every model.
func (j *judge) drawn(c int) *rand.Rand { return rand.New(rand.NewPCG(j.options.Seed, uint64(c))) } // #nosec G404 G115 -- drawn again the same

// deal is the items and their scores in an order of random.
func (w *worker) deal(random *rand.Rand, scores []float32) ([]features.Row, []float32) {
	if len(w.order) == 0 {
		w.order, w.place = make([]features.Row, len(scores)), make([]int32, len(scores))
	}
	for i := range w.order {
		w.order[i] = features.Row(i)
	}
	random.Shuffle(len(w.order), func(a, b int) { w.order[a], w.order[b] = w.order[b], w.order[a] })
	w.drawn = grow(w.drawn, len(scores))
	for at, row := range w.order {
		w.drawn[at], w.place[row] = scores[row], int32(at)
	}
	return w.order, w.drawn
}

// sampled ranks the sampled candidates of case c. Equal scores rank in the order
// of rows, so the positive goes where the rule of ties wants it.
func (j *judge) sampled(m models.Scorer, w *worker, c int) {
	r := w.requests(1)[0]
	j.asker.request(int(j.cases.User[c]), r)
	others, positive := j.cases.Sampled[c], j.cases.Relevant[c]
	at := len(others)
	switch j.options.Ties {
	case TiesFirst:
		at = 0
	case TiesRow:
		at, _ = slices.BinarySearch(others, positive[0])
	case TiesDrawn:
		at = j.drawn(c).IntN(len(others) + 1)
	}
	w.rows = append(append(append(w.rows[:0], others[:at]...), positive...), others[at:]...)
	w.scores = grow(w.scores, len(w.rows))
	m.Score(r, w.rows, w.scores)
	w.top.Reset(j.most)
	w.top.PushBlock(0, w.scores)
	w.best = w.top.Sorted(w.best[:0])
	w.list = w.list[:0]
	for _, b := range w.best {
		w.list = append(w.list, w.rows[b.Index])
	}
	j.measure(w, c, w.rows, w.scores)
}

// measure writes the values of case c, whose ranking is w.list; scores are
// those of rows, NaN for what is not ranked.
func (j *judge) measure(w *worker, c int, rows []features.Row, scores []float32) {
	relevant := j.cases.Relevant[c]
	w.hits = w.hits[:0]
	for _, row := range w.list {
		_, hit := slices.BinarySearch(relevant, row)
		w.hits = append(w.hits, hit)
	}
	if len(w.list) == 0 && allNaN(scores) {
		w.silent++
	}
	for i, k := range j.lengths {
		for _, row := range w.list[:min(k, len(w.list))] {
			w.counts[i][row]++
		}
	}
	auc, first := math.NaN(), math.NaN()
	for i, m := range j.options.Metrics {
		switch {
		case m.ofWhole():
		case m.ofRanks():
			if math.IsNaN(first) {
				auc, first = w.ranks(rows, scores, relevant)
			}
			j.values[i][c] = first
			if m.Name == AUC {
				j.values[i][c] = auc
			}
		case j.beyond.measures(m):
			j.values[i][c] = j.beyond.value(m, int(j.cases.User[c]), w, j.options.KeepSeen)
		default:
			j.values[i][c] = m.accuracy(w.hits, len(relevant))
		}
	}
}

// ranks is the AUC of a scored list and the reciprocal rank of its first
// relevant item. What has no score is not ranked, save for relevant items,
// which are then below everything.
func (w *worker) ranks(rows []features.Row, scores []float32, relevant []features.Row) (auc, first float64) {
	none := float32(math.Inf(-1))
	w.found = w.found[:0] // the scores of relevant items, ascending
	best, bestRow, scored := none, features.NoRow, 0
	for _, row := range relevant {
		at := int(row)
		if len(rows) <= at || rows[at] != row { // sampled candidates
			at = slices.Index(rows, row)
		}
		s := scores[at]
		switch {
		case s != s:
			s = none
		case s > best || bestRow == features.NoRow || s == best && w.before(row, bestRow):
			best, bestRow = s, row
			fallthrough
		default:
			scored++
		}
		w.found = append(w.found, s)
	}
	slices.Sort(w.found)
	lowest, n := w.found[0], float64(len(w.found))
	// Relevant items are counted as the others are, and taken off afterwards.
	above, others, ahead := 0., 0, 0
	for i, s := range scores {
		switch {
		case s < lowest: // as most are
			others++
			above += n
		case s == s:
			others++
			above += wins(w.found, s)
			if s > best || s == best && w.before(rows[i], bestRow) {
				ahead++
			}
		}
	}
	for _, row := range relevant {
		at := int(row)
		if len(rows) <= at || rows[at] != row {
			at = slices.Index(rows, row)
		}
		if s := scores[at]; s == s {
			above -= wins(w.found, s)
		}
	}
	others -= scored
	auc = math.NaN()
	if others > 0 {
		auc = above / float64(others) / n
	}
	if bestRow != features.NoRow {
		first = 1 / float64(1+ahead)
	}
	return auc, first
}

// before reports whether a comes before b of equal score.
func (w *worker) before(a, b features.Row) bool {
	if len(w.place) > 0 {
		return w.place[a] < w.place[b]
	}
	return a < b
}

// wins counts the scores above s, and those equal to it as halves; found
// ascends.
func wins(found []float32, s float32) float64 {
	lower, _ := slices.BinarySearch(found, s)
	upper := lower
	for upper < len(found) && found[upper] == s {
		upper++
	}
	return float64(len(found)-upper) + float64(upper-lower)/2
}

func (j *judge) result() *Result {
	res := &Result{Metrics: j.options.Metrics, User: j.cases.User, Values: j.values, Whole: make([]float64, len(j.values))}
	for _, w := range j.workers {
		res.Silent += w.silent
	}
	for i, m := range res.Metrics {
		if !m.ofWhole() {
			res.Whole[i] = mean(j.values[i])
			continue
		}
		counts := make([]int32, len(j.items))
		for _, w := range j.workers {
			for row, n := range w.counts[slices.Index(j.lengths, m.K)] {
				counts[row] += n
			}
		}
		res.Whole[i] = spread(m, counts)
	}
	return res
}

// spread is coverage or Gini of how often each item was recommended.
func spread(m Metric, counts []int32) float64 {
	if m.Name == Coverage {
		n := 0
		for _, c := range counts {
			if c > 0 {
				n++
			}
		}
		return float64(n) / float64(len(counts))
	}
	slices.Sort(counts)
	sum, weighted, n := 0., 0., float64(len(counts))
	for i, c := range counts {
		sum += float64(c)
		weighted += (2*float64(i+1) - n - 1) * float64(c)
	}
	if sum == 0 {
		return math.NaN()
	}
	return weighted / (n * sum)
}

// mean is the mean of what is not NaN.
func mean(values []float64) float64 {
	sum, n := 0., 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / float64(n)
}

func allNaN(scores []float32) bool {
	for _, s := range scores {
		if s == s {
			return false
		}
	}
	return true
}

func (w *worker) requests(n int) []*features.Request {
	for len(w.rs) < n {
		w.rs = append(w.rs, &features.Request{Shopper: new(features.Shopper), Scratch: new(features.Scratch)})
	}
	return w.rs[:n]
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
