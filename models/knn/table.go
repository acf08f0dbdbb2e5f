package knn

import (
	"fmt"
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
	if i := slices.Index(t.cols[lo:hi], to); i >= 0 {
		return t.vals[lo+int64(i)]
	}
	return 0
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

// fillRows makes a sparse table of at most k weights a row. For each row, fill
// calls push with what may be in it; the largest magnitudes stay. fill gets the
// worker's number, below workers. The table does not depend on workers.
func fillRows(items, k, workers int, fill func(worker, row int, push func(col int32, v float32))) *table {
	type kept struct {
		cols []int32
		vals []float32
	}
	rows := make([]kept, items)
	linalg.ParallelN(items, 32, workers, func(worker, lo, hi int) {
		var top linalg.TopK
		var all []linalg.Scored
		signs := make(map[int32]bool)
		for row := lo; row < hi; row++ {
			top.Reset(k)
			clear(signs)
			fill(worker, row, func(col int32, v float32) {
				if v < 0 {
					signs[col] = true
					v = -v
				}
				if v > 0 && int(col) != row {
					top.Push(col, v)
				}
			})
			all = top.Sorted(all[:0])
			for i := range all {
				if signs[all[i].Index] {
					all[i].Score = -all[i].Score
				}
			}
			slices.SortFunc(all, func(a, b linalg.Scored) int {
				switch {
				case a.Score > b.Score:
					return -1
				case a.Score < b.Score:
					return 1
				}
				return int(a.Index) - int(b.Index)
			})
			r := kept{make([]int32, len(all)), make([]float32, len(all))}
			for i, s := range all {
				r.cols[i], r.vals[i] = s.Index, s.Score
			}
			rows[row] = r
		}
	})
	t := &table{items: items, ptr: make([]int64, items+1)}
	for row, r := range rows {
		t.ptr[row+1] = t.ptr[row] + int64(len(r.cols))
	}
	t.cols, t.vals = make([]int32, t.ptr[items]), make([]float32, t.ptr[items])
	for row, r := range rows {
		copy(t.cols[t.ptr[row]:], r.cols)
		copy(t.vals[t.ptr[row]:], r.vals)
		rows[row] = kept{}
	}
	return t
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
	for _, col := range t.cols {
		if col < 0 || int(col) >= t.items {
			return fmt.Errorf("neighbours: %d is not one of %d items", col, t.items)
		}
	}
	return nil
}
