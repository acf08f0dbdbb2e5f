package vector

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/attune-rec/attune/models/linalg"
)

// pick chooses up to m of w.sorted, best first, into w.picked: not a row that is
// much nearer to one that was chosen than to the one whose links they are (the
// paper's algorithm 4), so that links lead in different directions.
func (b *builder) pick(w *hand, m int) {
	w.picked = w.picked[:0]
	for _, c := range w.sorted {
		if len(w.picked) == m {
			return
		}
		if len(w.picked) > 0 && b.crowded(c, w) {
			continue
		}
		w.picked = append(w.picked, c.row)
	}
}

// crowded says whether one of w.picked takes the place of c; d² = 2(M²-score).
func (b *builder) crowded(c ranked, w *hand) bool {
	b.h.q8.Query(int(c.row), &w.other)
	w.scores = resize(w.scores, len(w.picked))
	linalg.DotInt8Gather(&w.other, b.h.q8, w.picked, w.scores)
	ex := b.extra[c.row]
	for i, to := range w.picked {
		if crowding*(b.most-w.scores[i]-ex*b.extra[to]) < b.most-c.score {
			return true
		}
	}
	return false
}

// link adds a link from one row to another; a full list is chosen anew.
func (b *builder) link(from, to int32, w *hand) {
	b.lock(from)
	defer b.unlock(from)
	w.near = b.read(from, w.near[:0])
	if slices.Contains(w.near, to) {
		return
	}
	if len(w.near) < b.h.degree {
		atomic.StoreInt32(&b.h.links[int(from)*b.h.degree+len(w.near)], to)
		return
	}
	w.near = append(w.near, to)
	b.h.q8.Query(int(from), &w.query)
	b.score(from, w)
	w.sorted = w.sorted[:0]
	for i, row := range w.near {
		w.sorted = append(w.sorted, ranked{w.scores[i], row})
	}
	slices.SortFunc(w.sorted, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.row, y.row))
	})
	b.pick(w, b.h.degree)
	b.write(from, w.picked)
}

func (b *builder) lock(row int32)   { b.locks[uint32(row)%lockStripes].Lock() }
func (b *builder) unlock(row int32) { b.locks[uint32(row)%lockStripes].Unlock() }

// write sets a list.
func (b *builder) write(row int32, rows []int32) {
	list := b.h.list(row)
	for i := range list {
		to := int32(noLink)
		if i < len(rows) {
			to = rows[i]
		}
		atomic.StoreInt32(&list[i], to)
	}
}

// read appends a list to dst; the row is locked, or nobody writes.
func (b *builder) read(row int32, dst []int32) []int32 {
	for _, to := range b.h.list(row) {
		if to == noLink {
			break
		}
		dst = append(dst, to)
	}
	return dst
}
