package vector

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/models/linalg"
)

// pickTop takes the longest rows, which are often the best whatever the query
// is, and which few others are near to; and one of each stretch of rows.
func (b *builder) pickTop() {
	h := b.h
	t := min(topRows, (h.n+topShare-1)/topShare)
	long := make([]ranked, h.n)
	for i := range long {
		long[i] = ranked{b.extra[i], int32(i)}
	}
	slices.SortFunc(long, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(x.score, y.score), cmp.Compare(x.row, y.row))
	})
	var in seen
	in.reset(h.n)
	for _, c := range long[:t/2] {
		in.add(c.row)
		h.top = append(h.top, c.row)
	}
	rng := rand.New(rand.NewPCG(uint64(h.n), 7))
	for i, rest := 0, t-t/2; i < rest; i++ {
		lo, hi := i*h.n/rest, (i+1)*h.n/rest
		if row := int32(lo + rng.IntN(hi-lo)); in.add(row) {
			h.top = append(h.top, row)
		}
	}
	h.copyTop()
	b.topEx = make([]float32, len(h.top))
	for i, row := range h.top {
		b.topEx[i] = b.extra[row]
	}
}

// copyTop puts the codes of the top layer side by side.
func (h *HNSW) copyTop() {
	h.topQ8 = linalg.Quantised{N: len(h.top), D: h.dim, Codes: make([]uint8, 0, len(h.top)*h.dim)}
	for _, row := range h.top {
		h.topQ8.Codes = append(h.topQ8.Codes, h.q8.Codes[int(row)*h.dim:][:h.dim]...)
		h.topQ8.Scale = append(h.topQ8.Scale, h.q8.Scale[row])
	}
}

// linkTop links the rows of the top layer with each other: each is compared
// with all.
func (b *builder) linkTop() {
	h := b.h
	hands := make([]hand, b.o.Workers)
	linalg.ParallelN(len(h.top), 64, b.o.Workers, func(worker, lo, hi int) {
		w := &hands[worker]
		for i := lo; i < hi; i++ {
			row := h.top[i]
			b.scanTop(row, b.o.BuildWidth+1, w)
			w.sorted = w.sorted[:0]
			for _, c := range w.best {
				if to := h.top[c.Index]; to != row {
					w.sorted = append(w.sorted, ranked{c.Score, to})
				}
			}
			b.pick(w, b.o.M)
			b.write(row, w.picked)
		}
	})
	w := &hands[0]
	for _, row := range h.top {
		w.list = b.read(row, w.list[:0])
		for _, to := range slices.Clone(w.list) {
			b.link(to, row, w)
		}
	}
}

// scanTop leaves the best of the top layer for row in w.best, and row in
// w.query.
func (b *builder) scanTop(row int32, k int, w *hand) {
	h := b.h
	h.q8.Query(int(row), &w.query)
	w.scores = resize(w.scores, len(h.top))
	linalg.DotInt8Rows(&w.query, h.topQ8, 0, w.scores)
	linalg.Axpy(b.extra[row], b.topEx, w.scores)
	w.top.Reset(k)
	w.top.PushBlock(0, w.scores)
	w.best = w.top.Sorted(w.best[:0])
}
