package vector

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/attune-rec/attune/models/linalg"
)

// HNSWOptions are how a graph is built. The zero value builds on one goroutine
// with the defaults, and then gives the same graph each time.
type HNSWOptions struct {
	// M is how many links a new row takes; a row has at most twice as many.
	// 0 means 16, the most is 128.
	M int
	// BuildWidth is how many rows the walk that looks for them keeps in mind;
	// 0 means 64.
	BuildWidth int
	// Width is how many rows a search for a hundred keeps in mind. 0 measures
	// which one finds Recall of the best hundred of Queries.
	Width int
	// Recall is what to measure for; 0 means .98.
	Recall float64
	// Queries is typical queries, row-major; nil takes rows as queries.
	Queries []float32
	// Workers is how many goroutines build; 0 means 1. With more, two builds
	// may differ in some links.
	Workers int
	// Progress, when not nil, is told now and then how many of the rows are in
	// the graph. It may be called from any goroutine, never from two at once.
	Progress func(done, total int)
}

const (
	mostLinks   = 128
	topRows     = 8192 // most rows of the top layer
	topShare    = 16   // one row in so many is in it, if that is fewer
	lockStripes = 1 << 12
	// crowding is how much nearer, in squared distances. The paper has 1; more links
	// are left in for queries that are unlike the rows.
	crowding = 1.3
	// buildBegins is how many rows the walk for a new row begins with.
	buildBegins = 4
)

// BuildHNSW builds a graph over vecs, row-major with dim numbers a row; row i is
// features.Row(i). vecs may be kept and must not change. It reports ErrVectors as
// NewExact does, and the context's error when that ends first.
func BuildHNSW(ctx context.Context, vecs []float32, dim int, o HNSWOptions) (*HNSW, error) {
	if err := checkVectors(vecs, dim); err != nil {
		return nil, err
	}
	o.M, o.BuildWidth, o.Workers = cmp.Or(o.M, 16), cmp.Or(o.BuildWidth, 64), max(o.Workers, 1)
	o.Recall = cmp.Or(o.Recall, .98)
	if o.M < 2 || o.M > mostLinks || o.BuildWidth < 1 || o.Width < 0 || len(o.Queries)%dim != 0 {
		return nil, fmt.Errorf("%w: M %d, build width %d, width %d, %d numbers of queries: expected M from 2 to %d, positive widths and whole queries of dimension %d",
			ErrVectors, o.M, o.BuildWidth, o.Width, len(o.Queries), mostLinks, dim)
	}
	n := len(vecs) / dim
	h := &HNSW{degree: 2 * o.M, width: o.Width, links: make([]int32, n*2*o.M)}
	if n > scanAlways {
		h.body = newBody(vecs, dim, o.Workers)
	} else {
		h.body = body{dim: dim, n: n, vecs: vecs, q8: linalg.QuantiseRows(vecs, dim, o.Workers)}
	}
	for i := range h.links {
		h.links[i] = noLink
	}
	h.pool.New = func() any { return new(walk) }
	b := &builder{h: h, o: o}
	b.extra, b.most = extraCoordinates(h.vecs, dim, o.Workers)
	b.pickTop()
	if n > scanAlways { // fewer are always scanned
		b.linkTop()
		if err := b.insertAll(ctx); err != nil {
			return nil, err
		}
		b.reach()
	}
	if h.width == 0 {
		if err := h.calibrate(ctx, o); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// extraCoordinates is sqrt(M²-|x|²) of each row, and M².
func extraCoordinates(vecs []float32, dim, workers int) (extra []float32, most float32) {
	n := len(vecs) / dim
	extra = make([]float32, n)
	linalg.ParallelN(n, blockRows, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			x := vecs[i*dim:][:dim]
			extra[i] = linalg.Dot(x, x)
		}
	})
	for _, v := range extra {
		most = max(most, v)
	}
	for i, v := range extra {
		extra[i] = float32(math.Sqrt(float64(max(most-v, 0))))
	}
	return extra, most
}

// builder is a graph in the making. Lists are read without a lock while others
// write them: their places are read and written whole, and each holds a row or
// nothing at any time.
type builder struct {
	h     *HNSW
	o     HNSWOptions
	extra []float32
	topEx []float32
	most  float32                 // M², the square of the length of all with their extra coordinate
	locks [lockStripes]sync.Mutex // of writers, by row
}

// hand is what one worker holds.
type hand struct {
	query, other linalg.QuantisedQuery
	beam         beam
	seen         seen
	near, list   []int32
	scores       []float32
	best         []linalg.Scored
	top          linalg.TopK
	sorted       []ranked
	picked       []int32
}

// insertAll puts the other rows in, in an order that mixes those that lie
// together: what is inserted at the same time does not see each other.
func (b *builder) insertAll(ctx context.Context) error {
	h := b.h
	in := make([]bool, h.n)
	for _, row := range h.top {
		in[row] = true
	}
	stride := coprime(h.n)
	var done atomic.Int64
	done.Store(int64(len(h.top)))
	var report sync.Mutex
	hands := make([]hand, b.o.Workers)
	linalg.ParallelN(h.n, 256, b.o.Workers, func(worker, lo, hi int) {
		if ctx.Err() != nil {
			return
		}
		w := &hands[worker]
		count := 0
		for i := lo; i < hi; i++ {
			if row := int32(int64(i) * int64(stride) % int64(h.n)); !in[row] {
				b.insert(row, w)
				count++
			}
		}
		now := done.Add(int64(count))
		if b.o.Progress != nil && report.TryLock() {
			b.o.Progress(int(now), h.n)
			report.Unlock()
		}
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.o.Progress != nil {
		b.o.Progress(h.n, h.n)
	}
	return nil
}

// coprime is a step that visits all of n in an order without pattern.
func coprime(n int) int {
	step := max(int(float64(n)*.6180339887), 1)
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// insert walks to where row belongs and links it there.
func (b *builder) insert(row int32, w *hand) {
	h := b.h
	b.scanTop(row, buildBegins, w)
	w.beam.reset(b.o.BuildWidth)
	w.seen.reset(h.n)
	w.seen.add(row)
	for _, c := range w.best {
		if to := h.top[c.Index]; w.seen.add(to) {
			w.beam.push(to, c.Score)
		}
	}
	for {
		from := w.beam.pop()
		if from < 0 {
			break
		}
		w.near = w.near[:0]
		list := h.list(from)
		for i := range list {
			to := atomic.LoadInt32(&list[i])
			if to == noLink {
				break
			}
			if w.seen.add(to) {
				w.near = append(w.near, to)
			}
		}
		b.score(row, w)
		bar := w.beam.bar()
		for i, s := range w.scores {
			if s > bar {
				w.beam.push(w.near[i], s)
				bar = w.beam.bar()
			}
		}
	}
	w.sorted = w.sorted[:0]
	for i, c := range w.beam.items {
		w.sorted = append(w.sorted, ranked{c.score, w.beam.row(i)})
	}
	b.pick(w, b.o.M)
	b.lock(row)
	b.write(row, w.picked)
	b.unlock(row)
	w.list = append(w.list[:0], w.picked...)
	for _, to := range w.list {
		b.link(to, row, w)
	}
}

// score sets w.scores to how near the rows of w.near are to row, which is in
// w.query.
func (b *builder) score(row int32, w *hand) {
	w.scores = resize(w.scores, len(w.near))
	linalg.DotInt8Gather(&w.query, b.h.q8, w.near, w.scores)
	ex := b.extra[row]
	for i, to := range w.near {
		w.scores[i] += ex * b.extra[to]
	}
}

// reach makes rows that no path leads to beginnings, so that each row can be
// found.
func (b *builder) reach() {
	h := b.h
	var met seen
	met.reset(h.n)
	queue := make([]int32, 0, h.n)
	spread := func(row int32) {
		if !met.add(row) {
			return
		}
		queue = append(queue[:0], row)
		for len(queue) > 0 {
			at := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			for _, to := range h.list(at) {
				if to == noLink {
					break
				}
				if met.add(to) {
					queue = append(queue, to)
				}
			}
		}
	}
	for _, row := range h.top {
		spread(row)
	}
	for row := range int32(h.n) {
		if met.words[row>>6]&(1<<(uint32(row)&63)) == 0 {
			h.top = append(h.top, row)
			spread(row)
		}
	}
	h.copyTop()
}
