package vector

import (
	"context"
	"fmt"
	"sync"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// HNSW finds most of the best rows by walking a graph of near rows (Malkov and
// Yashunin, "Efficient and robust approximate nearest neighbor search using
// hierarchical navigable small world graphs", 2018).
//
// Graphs are for distances, and the largest inner product is none. So the graph
// is built over vectors with one more coordinate, sqrt(M²-|x|²), M being the
// largest norm: all have the same length then, and the nearest to a query whose
// additional coordinate is 0 is the one with the largest inner product
// (Bachrach et al., 2014). Queries stay as they are.
//
// The walk goes by 8-bit codes, a cache line for 64 dimensions, and the best of
// what it met are ranked by their numbers. The upper layers, which only serve
// to find where to begin, are one layer of some thousand rows that is scanned,
// and the walk goes on from the best of them, as many as it keeps in mind. Half
// of that layer is the longest rows: no graph leads to them all, since they are
// far from each other and best for many queries.
//
// Of a filter that lets few rows through, or those farthest from the query,
// what passes is scanned. Of others the walk keeps only rows that pass, and where
// it meets too few of them it steps through a row that does not to the rows
// behind it.
//
// It is immutable and safe for concurrent use; a steady search allocates
// nothing beyond what dst needs.
type HNSW struct {
	dim, n int
	degree int // most links of a row
	width  int // of a walk for calibratedTop rows
	vecs   []float32
	q8     linalg.Quantised
	links  []int32 // n lists of degree rows; a shorter one ends with noLink
	top    []int32 // rows where a walk may begin
	topQ8  linalg.Quantised
	pool   sync.Pool // of *walk
}

const (
	noLink = -1
	// calibratedTop is how many rows a search asks for that the width of a walk
	// is stated for.
	calibratedTop = 100
	// scanAlways rows are scanned faster than walked through.
	scanAlways = 4096
	// Of a filter, up to one row in scanShare is scanned, but no more than
	// scanMost.
	scanShare, scanMost = 8, 96 << 10
	// A filter is opposed to a query when the opposedBest best that pass are
	// opposedTimes further down than by chance.
	opposedBest, opposedTimes = 32, 1.5
	// spareRows are ranked by their numbers beyond k, and as many again as
	// k/spareShare.
	spareRows, spareShare = 32, 2
	// The same, times k, of a scan, and of one of rows that lie close together.
	scanSpare, borderSpare = 3, 8
	// expansions is how many rows are gone on from between two looks at the
	// context.
	expansions = 64
)

// walk is the working set of one search.
type walk struct {
	scan
	beam beam
	seen seen
	near []int32 // rows to score next
	far  []int32 // rows that do not pass
}

// Len implements models.Index.
func (h *HNSW) Len() int { return h.n }

// Dim is the dimension of the vectors.
func (h *HNSW) Dim() int { return h.dim }

// Width is how many rows a walk keeps in mind when a hundred are asked for; it
// grows with what is asked for.
func (h *HNSW) Width() int { return h.width }

// WithWidth is the same index with another width: a larger one finds more and
// takes longer.
func (h *HNSW) WithWidth(width int) *HNSW {
	other := &HNSW{
		dim: h.dim, n: h.n, degree: h.degree, width: max(width, 1), vecs: h.vecs, q8: h.q8,
		links: h.links, top: h.top, topQ8: h.topQ8,
	}
	other.pool.New = func() any { return new(walk) }
	return other
}

// Close implements models.Index.
func (h *HNSW) Close() error { return nil }

// widthFor is the width of a walk for k rows.
func (h *HNSW) widthFor(k int) int {
	return max(h.width, k, int(int64(h.width)*int64(k)/calibratedTop))
}

// Search implements models.Index.
func (h *HNSW) Search(ctx context.Context, vec []float32, k int, w models.Where, dst []models.Hit) ([]models.Hit, error) {
	if err := checkQuery(vec, h.dim); err != nil {
		return dst, err
	}
	k = min(k, h.n)
	if err := ctx.Err(); err != nil || k <= 0 {
		return dst, err
	}
	s := h.pool.Get().(*walk)
	defer h.pool.Put(s)
	allowed := s.allow(h.n, w)
	if k = min(k, allowed); k == 0 {
		return dst, nil
	}
	linalg.QuantiseQuery(vec, &s.query)
	width := h.widthFor(k)
	var err error
	if h.scans(allowed, width, s.mask != nil) {
		err = h.scan(ctx, vec, k, scanSpare, s)
	} else if h.scoreTop(s); s.mask != nil && h.narrowTop(s) {
		err = h.scan(ctx, vec, k, borderSpare, s)
	} else if err = h.walk(ctx, s.widen(width, allowed, h.n), s); err == nil {
		if len(s.beam.items) < k { // what passes lies where no path leads
			err = h.scan(ctx, vec, k, borderSpare, s)
		} else {
			h.rank(vec, k, s)
		}
	}
	if err != nil {
		return dst, err
	}
	return s.hits(dst), nil
}

// scans says whether looking at all allowed rows is the faster way.
func (h *HNSW) scans(allowed, width int, filtered bool) bool {
	if allowed <= scanAlways || allowed <= 4*width {
		return true
	}
	return filtered && allowed <= min(h.n/scanShare, scanMost)
}

// walk fills the beam with the best rows it meets.
func (h *HNSW) walk(ctx context.Context, width int, s *walk) error {
	s.beam.reset(width)
	s.seen.reset(h.n)
	h.begin(s)
	for i := 0; ; i++ {
		if i%expansions == expansions-1 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		row := s.beam.pop()
		if row < 0 {
			return nil
		}
		if s.mask == nil {
			s.near = s.near[:0]
			for _, to := range h.list(row) {
				if to == noLink {
					break
				}
				if s.seen.add(to) {
					s.near = append(s.near, to)
				}
			}
		} else {
			h.through(row, s)
		}
		h.score(s)
	}
}

// scoreTop scores the top layer.
func (h *HNSW) scoreTop(s *walk) {
	s.scores = resize(s.scores, len(h.top))
	linalg.DotInt8Rows(&s.query, h.topQ8, 0, s.scores)
}

// narrowTop keeps the scores of the top layer's rows that pass. It reports
// whether the filter lets through what the query does not want, as far as the
// top layer tells: the best of that lie scattered, along a border rather than
// around a point, and no walk finds them. Were the filter one by chance, about
// as many rows of all would be as good as the opposedBest-th best that passes as
// its share makes likely.
func (h *HNSW) narrowTop(s *walk) (opposed bool) {
	s.packed, s.near = append(s.packed[:0], s.scores...), s.near[:0]
	passing := 0
	for i, row := range h.top {
		if s.passes(row) {
			s.scores[passing] = s.scores[i]
			s.near = append(s.near, row)
			passing++
		}
	}
	s.scores = s.scores[:passing]
	if passing < 4*opposedBest {
		return true
	}
	s.top.Reset(opposedBest)
	s.top.PushBlock(0, s.scores)
	bar, asGood := s.top.Threshold(), 0
	for _, score := range s.packed {
		if score >= bar {
			asGood++
		}
	}
	return float64(asGood*passing) > opposedTimes*opposedBest*float64(len(h.top))
}

// widen is the width of a walk under a filter: what passes lies further apart.
func (s *walk) widen(width, allowed, n int) int {
	switch {
	case s.mask == nil:
		return width
	case allowed > n/3:
		return width + width/2
	}
	return 2 * width
}

// begin puts the best of the top layer that pass into the beam.
func (h *HNSW) begin(s *walk) {
	rows := h.top
	if s.mask != nil {
		rows = s.near
	}
	s.top.Reset(s.beam.width)
	s.top.PushBlock(0, s.scores)
	s.best = s.top.Sorted(s.best[:0])
	for _, c := range s.best {
		if row := rows[c.Index]; s.seen.add(row) {
			s.beam.push(row, c.Score)
		}
	}
}

// through collects the rows next to row that pass, and where those are few, the
// ones behind its neighbours that do not.
func (h *HNSW) through(row int32, s *walk) {
	s.near, s.far = s.near[:0], s.far[:0]
	met := 0
	for _, to := range h.list(row) {
		if to == noLink {
			break
		}
		if !s.passes(to) {
			s.far = append(s.far, to)
			continue
		}
		met++
		if s.seen.add(to) {
			s.near = append(s.near, to)
		}
	}
	for _, via := range s.far {
		if met >= h.degree/4 {
			return
		}
		if !s.seen.add(via) {
			continue
		}
		for _, to := range h.list(via) {
			if to == noLink {
				break
			}
			if !s.passes(to) {
				continue
			}
			met++
			if s.seen.add(to) {
				s.near = append(s.near, to)
			}
		}
	}
}

// score offers the rows next in line to the beam.
func (h *HNSW) score(s *walk) {
	if len(s.near) == 0 {
		return
	}
	s.scores = resize(s.scores, len(s.near))
	linalg.DotInt8Gather(&s.query, h.q8, s.near, s.scores)
	bar := s.beam.bar()
	for i, score := range s.scores {
		if score > bar {
			s.beam.push(s.near[i], score)
			bar = s.beam.bar()
		}
	}
}

// rank keeps the k best of the beam by their numbers.
func (h *HNSW) rank(vec []float32, k int, s *walk) {
	n := min(len(s.beam.items), k+k/spareShare+spareRows)
	s.near = s.near[:0]
	for i := range n {
		s.near = append(s.near, s.beam.row(i))
	}
	h.rerank(vec, k, s)
}

func (h *HNSW) rerank(vec []float32, k int, s *walk) {
	s.scores = resize(s.scores, len(s.near))
	linalg.DotGather(vec, h.vecs, s.near, s.scores)
	s.top.Reset(k)
	s.top.PushGather(s.near, s.scores)
}

// scan looks at all allowed rows by their codes, and ranks times k of them.
func (h *HNSW) scan(ctx context.Context, vec []float32, k, times int, s *walk) error {
	const block = 1024
	s.top.Reset(times*k + spareRows)
	s.near = s.near[:0]
	flush := func() error {
		s.scores = resize(s.scores, len(s.near))
		linalg.DotInt8Gather(&s.query, h.q8, s.near, s.scores)
		bar := s.top.Threshold()
		for i, score := range s.scores {
			if score >= bar {
				s.top.Push(s.near[i], score)
				bar = s.top.Threshold()
			}
		}
		s.near = s.near[:0]
		return ctx.Err()
	}
	if s.mask == nil {
		s.scores = resize(s.scores, h.n)
		linalg.DotInt8Rows(&s.query, h.q8, 0, s.scores)
		s.top.PushBlock(0, s.scores)
	} else {
		var err error
		each(s.mask, func(i int) {
			s.near = append(s.near, int32(i))
			if len(s.near) == block && err == nil {
				err = flush()
			}
		})
		if err != nil {
			return err
		}
		if err := flush(); err != nil {
			return err
		}
	}
	s.best = s.top.Sorted(s.best[:0])
	s.near = s.near[:0]
	for _, c := range s.best {
		s.near = append(s.near, c.Index)
	}
	h.rerank(vec, k, s)
	return nil
}

// SearchMany implements models.Index.
func (h *HNSW) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	if len(vecs) != len(dst)*h.dim {
		return fmt.Errorf("%w: %d numbers for %d queries of dimension %d", ErrQuery, len(vecs), len(dst), h.dim)
	}
	for i := range dst {
		if err := checkQuery(vecs[i*h.dim:][:h.dim], h.dim); err != nil {
			return fmt.Errorf("query %d: %w", i, err)
		}
	}
	for i := range dst {
		var err error
		if dst[i], err = h.Search(ctx, vecs[i*h.dim:][:h.dim], k, w, dst[i]); err != nil {
			return err
		}
	}
	return nil
}

// list is where the links of row are.
func (h *HNSW) list(row int32) []int32 { return h.links[int(row)*h.degree:][:h.degree] }

// passes reports whether the filter lets row through.
func (s *scan) passes(row int32) bool { return s.mask[row>>6]&(1<<(uint32(row)&63)) != 0 }

func resize(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n, n+n/4)
	}
	return x[:n]
}

var _ models.Index = (*HNSW)(nil)
