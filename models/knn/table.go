package knn

import (
	"fmt"
	"math"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/linalg"
)

// table is the item-to-item weights: row i holds the items that i speaks for,
// by descending weight, ties by row, the item itself left out. It is sparse, or
// dense when cols is nil.
type table struct {
	items int
	ptr   []int64
	cols  []int32
	vals  []float32
}

// add adds weight times row of each history item to sums.
func (t *table) add(rows []int32, weights, sums []float32) {
	if t.cols == nil {
		linalg.AxpyGather(weights, t.vals, rows, sums)
		return
	}
	for i, row := range rows {
		w := weights[i]
		lo, hi := t.ptr[row], t.ptr[row+1]
		vals := t.vals[lo:hi]
		for j, col := range t.cols[lo:hi] {
			sums[col] += w * vals[j]
		}
	}
}

// at is the weight that item from gives to item to.
func (t *table) at(from, to int32) float32 {
	if t.cols == nil {
		return t.vals[int(from)*t.items+int(to)]
	}
	lo, hi := t.ptr[from], t.ptr[from+1]
	if i := lo + int64(linalg.IndexOf(t.cols[lo:hi], to)); i < hi {
		return t.vals[i]
	}
	return 0
}

// against is the sum of the weights of row from, and of their products with
// what sums has for each item.
func (t *table) against(from int32, sums []float32) (total, product float32) {
	if t.cols == nil {
		row := t.vals[int(from)*t.items:][:t.items]
		return linalg.Sum(row), linalg.Dot(row, sums)
	}
	for i := t.ptr[from]; i < t.ptr[from+1]; i++ {
		total += t.vals[i]
		product += t.vals[i] * sums[t.cols[i]]
	}
	return total, product
}

// neighbours appends the k largest weights above 0 of row that allow has.
func (t *table) neighbours(row features.Row, k int, allow *features.Bitmap, dst []models.Neighbour) []models.Neighbour {
	if row < 0 || int(row) >= t.items || k <= 0 {
		return dst
	}
	if t.cols == nil {
		var top linalg.TopK
		top.Reset(k)
		for col, v := range t.vals[int(row)*t.items:][:t.items] {
			if v > 0 && (allow == nil || allow.Has(features.Row(col))) {
				top.Push(int32(col), v)
			}
		}
		for _, s := range top.Sorted(nil) {
			dst = append(dst, models.Neighbour{Row: features.Row(s.Index), Score: s.Score})
		}
		return dst
	}
	found := 0
	for i := t.ptr[row]; i < t.ptr[row+1] && found < k && t.vals[i] > 0; i++ {
		if col := features.Row(t.cols[i]); allow == nil || allow.Has(col) {
			dst = append(dst, models.Neighbour{Row: col, Score: t.vals[i]})
			found++
		}
	}
	return dst
}

// fillColumns makes a sparse table in which each item has at most k items that
// speak for it: as the neighbours that vote on it. For each item, fill offers
// what may vote, the item itself left out, each once, with the weight of the
// vote; the largest magnitudes stay. fill gets the worker's number, below
// workers. The table does not depend on workers.
func fillColumns(items, k, workers int, fill func(worker, item int, votes *picker)) *table {
	const chunk = 32
	votes, ends := make([][]uint64, (items+chunk-1)/chunk), make([]int32, items) // of each chunk's items, and where each item's end
	pickers, piles := make([]picker, max(workers, 1)), make([][]uint64, max(workers, 1))
	linalg.ParallelN(items, chunk, workers, func(worker, lo, hi int) {
		best, pile := &pickers[worker], piles[worker][:0]
		for item := lo; item < hi; item++ {
			best.reset(k)
			fill(worker, item, best)
			pile = append(pile, best.picked()...)
			ends[item] = int32(len(pile)) // #nosec G115 -- at most a chunk's items times all of them
		}
		votes[lo/chunk], piles[worker] = slices.Clone(pile), pile
	})
	t := &table{items: items, ptr: make([]int64, items+1)}
	for _, all := range votes {
		for _, key := range all {
			from, _ := unpacked(key)
			t.ptr[from+1]++
		}
	}
	for row := range items {
		t.ptr[row+1] += t.ptr[row]
	}
	rows := make([]uint64, t.ptr[items])
	next := slices.Clone(t.ptr[:items])
	for part, all := range votes {
		item := int32(part * chunk) // #nosec G115 -- rows are int32 by contract
		for at, key := range all {
			for int32(at) >= ends[item] { // #nosec G115 -- as above
				item++
			}
			from, v := unpacked(key)
			rows[next[from]] = rank(item, v)
			next[from]++
		}
		votes[part] = nil
	}
	t.cols, t.vals = make([]int32, len(rows)), make([]float32, len(rows))
	linalg.ParallelN(items, 256, workers, func(_, lo, hi int) {
		var order sorter
		for row := lo; row < hi; row++ {
			part := rows[t.ptr[row]:t.ptr[row+1]]
			order.sort(part)
			for i, key := range part {
				t.cols[t.ptr[row]+int64(i)], t.vals[t.ptr[row]+int64(i)] = unranked(key)
			}
		}
	})
	return t
}

// rank is a number that ascends as weights descend, ties by item: the weight's
// bits, turned so that they order as numbers do, and the item's row.
func rank(item int32, v float32) uint64 {
	bits := math.Float32bits(v)
	if bits>>31 == 0 {
		bits = ^bits &^ (1 << 31)
	}
	return uint64(bits)<<32 | uint64(uint32(item))
}

// unranked takes a rank apart.
func unranked(key uint64) (item int32, v float32) {
	bits := uint32(key >> 32)
	if bits>>31 == 0 {
		bits = ^bits &^ (1 << 31)
	}
	return int32(uint32(key)), math.Float32frombits(bits)
}

// byScore orders by descending score, ties by index.
func byScore(a, b linalg.Scored) int {
	switch {
	case a.Score > b.Score:
		return -1
	case a.Score < b.Score:
		return 1
	}
	return int(a.Index) - int(b.Index)
}

func (t *table) save(w models.Writer) error {
	if t.cols == nil {
		return w.Tensor("weights", models.TensorOf(t.vals, t.items, t.items))
	}
	if err := w.Tensor("starts", models.TensorOf(t.ptr, t.items+1)); err != nil {
		return err
	}
	if err := w.Tensor("neighbours", models.TensorOf(t.cols, len(t.cols))); err != nil {
		return err
	}
	return w.Tensor("weights", models.TensorOf(t.vals, len(t.vals)))
}

func openTable(r models.Reader, items int, dense bool) (*table, error) {
	t := &table{items: items}
	weights, err := r.Tensor("weights")
	if err != nil {
		return nil, err
	}
	if dense {
		if t.vals, err = models.View[float32](weights, items, items); err != nil {
			return nil, fmt.Errorf("weights: %w", err)
		}
		return t, nil
	}
	starts, err := r.Tensor("starts")
	if err != nil {
		return nil, err
	}
	if t.ptr, err = models.View[int64](starts, items+1); err != nil {
		return nil, fmt.Errorf("starts: %w", err)
	}
	cols, err := r.Tensor("neighbours")
	if err != nil {
		return nil, err
	}
	if t.cols, err = models.View[int32](cols, -1); err != nil {
		return nil, fmt.Errorf("neighbours: %w", err)
	}
	if t.vals, err = models.View[float32](weights, len(t.cols)); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	if t.cols == nil {
		t.cols = []int32{}
	}
	return t, t.validate()
}

func (t *table) validate() error {
	if t.ptr[0] != 0 || t.ptr[t.items] != int64(len(t.cols)) {
		return fmt.Errorf("neighbours: rows span %d to %d of %d", t.ptr[0], t.ptr[t.items], len(t.cols))
	}
	for row := range t.items {
		if t.ptr[row] > t.ptr[row+1] {
			return fmt.Errorf("neighbours: row %d ends before it begins", row)
		}
	}
	most := uint32(0)
	for _, col := range t.cols {
		most = max(most, uint32(col)) // #nosec G115 -- what is below 0 is above every item
	}
	if len(t.cols) > 0 && int64(most) >= int64(t.items) {
		return fmt.Errorf("neighbours: %d is not one of %d items", int32(most), t.items) // #nosec G115 -- as it was
	}
	return nil
}
