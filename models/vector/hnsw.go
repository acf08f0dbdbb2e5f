package vector

import (
	"cmp"
	"context"
	"fmt"
	"math"
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
// Rows lie arranged, neighbours side by side, which the walk gains by as well.
// Under a filter that lets few rows through, those are looked at one by one.
// Under others the runs of rows that promise most are looked at by their sketches, as
// Exact does but only as far as is worth it; see plan. Where that takes longer than a walk, as
// it does when the filter leaves out little and neighbourhoods are loose, the walk
// keeps only rows that pass, and where it meets too few of them it steps through
// a row that does not to the rows behind it.
//
// It is immutable and safe for concurrent use; a steady search allocates
// nothing beyond what dst needs.
type HNSW struct {
	body           // links and top speak of places
	degree int     // most links of a row
	width  int     // of a walk for calibratedTop rows
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
	// codesOff is by how many standard deviations a score by codes may be off.
	codesOff = 1.25
	// queryOff is how many times the square of what the query's codes leave out counts.
	queryOff = 1.5
	// spareRows are ranked by their numbers beyond k, and as many again as
	// k/spareShare.
	spareRows, spareShare = 32, 2
	// The same, times k, of a scan.
	scanSpare = 3
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
		body: h.body, degree: h.degree, width: max(width, 1), links: h.links, top: h.top, topQ8: h.topQ8,
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
	if err := cmp.Or(checkQuery(vec, h.dim), checkWhere(w)); err != nil {
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
	length, err := h.codes(vec, s)
	width := h.widthFor(k)
	var failed error
	switch {
	case h.runs == nil, s.mask == nil && allowed <= 4*width:
		failed = h.scan(ctx, vec, k, s)
	case h.overflows(length):
		failed = h.direct(ctx, vec, k, &s.scan)
	case s.mask == nil:
		h.scoreTop(s)
		if failed = h.walk(ctx, width, s); failed == nil {
			h.rank(vec, k, s)
		}
	default:
		failed = h.filtered(ctx, vec, k, allowed, length, err, s)
	}
	if failed != nil {
		return dst, failed
	}
	return s.hits(dst), nil
}

// codes prepares the query's codes and returns its length and how far scores by
// codes are off, as a rule: errors of coordinates are independent, so they add up
// to that of one coordinate times the square root of their number.
func (h *HNSW) codes(vec []float32, s *walk) (length float32, err bounds) {
	b := queryBounds(vec, &s.query)
	scale := float32(codesOff / math.Sqrt(float64(h.dim)))
	return b.off, bounds{off: b.off * scale, norm: b.norm * scale * float32(math.Sqrt(queryOff))}
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
	for i, place := range s.near {
		s.top.Push(h.row(place), s.scores[i])
	}
}

// scan looks at all rows by their codes, and ranks some of those that pass.
func (h *HNSW) scan(ctx context.Context, vec []float32, k int, s *walk) error {
	s.scores = resize(s.scores, h.n)
	linalg.DotInt8Rows(&s.query, h.q8, 0, s.scores)
	s.top.Reset(scanSpare*k + spareRows)
	if s.mask == nil {
		s.top.PushBlock(0, s.scores)
	} else {
		each(s.mask, func(i int) { s.top.Push(int32(i), s.scores[i]) })
	}
	s.best = s.top.Sorted(s.best[:0])
	s.near = s.near[:0]
	for _, c := range s.best {
		s.near = append(s.near, c.Index)
	}
	h.rerank(vec, k, s)
	return ctx.Err()
}

// SearchMany implements models.Index.
func (h *HNSW) SearchMany(ctx context.Context, vecs []float32, k int, w models.Where, dst [][]models.Hit) error {
	if len(vecs) != len(dst)*h.dim {
		return fmt.Errorf("%w: %d numbers for %d queries of dimension %d", ErrQuery, len(vecs), len(dst), h.dim)
	}
	if err := checkWhere(w); err != nil {
		return err
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
