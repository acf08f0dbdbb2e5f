package linalg

import (
	"errors"
	"fmt"
	"math"
)

// ErrMalformed says that the parts of a [CSR] contradict each other.
var ErrMalformed = errors.New("malformed sparse matrix")

// CSR is a sparse matrix by rows: row i holds columns Idx[Ptr[i]:Ptr[i+1]], strictly ascending,
// with the values at the same places of Val. Val nil means that every stored value is 1. It is
// read-only to the functions of this package.
type CSR struct {
	Rows, Cols int
	Ptr        []int64
	Idx        []int32
	Val        []float32
}

// Validate reports, as [ErrMalformed], the first contradiction it finds.
func (m CSR) Validate() error {
	switch {
	case m.Rows < 0 || m.Cols < 0 || m.Cols > math.MaxInt32:
		return fmt.Errorf("%w: %d x %d", ErrMalformed, m.Rows, m.Cols)
	case len(m.Ptr) != m.Rows+1:
		return fmt.Errorf("%w: %d row starts for %d rows, want one more than rows", ErrMalformed, len(m.Ptr), m.Rows)
	case m.Ptr[0] != 0 || m.Ptr[m.Rows] != int64(len(m.Idx)):
		return fmt.Errorf("%w: row starts run from %d to %d over %d entries", ErrMalformed, m.Ptr[0], m.Ptr[m.Rows], len(m.Idx))
	case m.Val != nil && len(m.Val) != len(m.Idx):
		return fmt.Errorf("%w: %d values for %d entries", ErrMalformed, len(m.Val), len(m.Idx))
	}
	for i := range m.Rows {
		lo, hi := m.Ptr[i], m.Ptr[i+1]
		if lo > hi || hi > int64(len(m.Idx)) {
			return fmt.Errorf("%w: row %d runs from entry %d to %d", ErrMalformed, i, lo, hi)
		}
		prev := int32(-1)
		for _, j := range m.Idx[lo:hi] {
			if j <= prev || int(j) >= m.Cols {
				return fmt.Errorf("%w: row %d has column %d after %d, want ascending and below %d", ErrMalformed, i, j, prev, m.Cols)
			}
			prev = j
		}
	}
	return nil
}

// NNZ returns the number of stored entries.
func (m CSR) NNZ() int { return len(m.Idx) }

// Row returns the columns and values of row i, to be read only; the values are nil when Val is.
func (m CSR) Row(i int) ([]int32, []float32) {
	lo, hi := m.Ptr[i], m.Ptr[i+1]
	if m.Val == nil {
		return m.Idx[lo:hi:hi], nil
	}
	return m.Idx[lo:hi:hi], m.Val[lo:hi:hi]
}

// Transpose returns the transposed matrix, with nil values when m has nil values.
func (m CSR) Transpose() CSR {
	t := CSR{Rows: m.Cols, Cols: m.Rows, Ptr: make([]int64, m.Cols+1), Idx: make([]int32, len(m.Idx))}
	if m.Val != nil {
		t.Val = make([]float32, len(m.Val))
	}
	for _, j := range m.Idx {
		t.Ptr[j+1]++
	}
	for j := range m.Cols {
		t.Ptr[j+1] += t.Ptr[j]
	}
	next := append([]int64(nil), t.Ptr[:m.Cols]...)
	for i := range m.Rows {
		cols, vals := m.Row(i)
		for e, j := range cols {
			at := next[j]
			next[j]++
			t.Idx[at] = int32(i)
			if vals != nil {
				t.Val[at] = vals[e]
			}
		}
	}
	return t
}

// MulDense sets c = m·b on up to workers goroutines, where b is m.Cols by c.Cols and c m.Rows by
// c.Cols. The bits do not depend on workers.
func (m CSR) MulDense(b, c Matrix, workers int) {
	b.check("CSR.MulDense")
	c.check("CSR.MulDense")
	checkShape("CSR.MulDense", "b", b, m.Cols, c.Cols)
	checkShape("CSR.MulDense", "c", c, m.Rows, b.Cols)
	if m.Rows == 0 || c.Cols == 0 {
		return
	}
	const rows = 64
	ones := m.ones()
	ParallelN(m.Rows, rows, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			cols, vals := m.Row(i)
			if vals == nil {
				vals = ones[:len(cols)]
			}
			out := c.Row(i)
			clear(out)
			checkRows("CSR.MulDense", cols, m.Cols)
			axpyGather(vals, b.Data, b.Stride, cols, out)
		}
	})
}

// ones returns as many ones as the longest row has entries, or nil when m has values.
func (m CSR) ones() []float32 {
	if m.Val != nil {
		return nil
	}
	longest := int64(0)
	for i := range m.Rows {
		longest = max(longest, m.Ptr[i+1]-m.Ptr[i])
	}
	x := make([]float32, longest)
	for i := range x {
		x[i] = 1
	}
	return x
}

// MulVec sets y = m·x.
func (m CSR) MulVec(x, y []float32) {
	checkLen("CSR.MulVec", len(x), m.Cols)
	checkLen("CSR.MulVec", len(y), m.Rows)
	for i := range y {
		cols, vals := m.Row(i)
		var s float32
		if vals == nil {
			for _, j := range cols {
				s += x[j]
			}
		} else {
			for e, j := range cols {
				s += vals[e] * x[j]
			}
		}
		y[i] = s
	}
}

// Gram sets c = mᵀm, dense and with both triangles, on up to workers goroutines; t is m's
// transpose. The bits do not depend on workers.
func (m CSR) Gram(t CSR, c Matrix, workers int) {
	c.check("CSR.Gram")
	checkShape("CSR.Gram", "c", c, m.Cols, m.Cols)
	m.checkTranspose("CSR.Gram", t)
	ParallelN(m.Cols, 16, workers, func(_, lo, hi int) {
		for j := lo; j < hi; j++ {
			out := c.Row(j)
			clear(out)
			users, weights := t.Row(j)
			for e, u := range users {
				w := float32(1)
				if weights != nil {
					w = weights[e]
				}
				cols, vals := m.Row(int(u))
				if vals == nil {
					for _, i := range cols {
						out[i] += w
					}
				} else {
					for f, i := range cols {
						out[i] += w * vals[f]
					}
				}
			}
		}
	})
}

func (m CSR) checkTranspose(op string, t CSR) {
	if t.Rows != m.Cols || t.Cols != m.Rows || len(t.Idx) != len(m.Idx) {
		panic(fmt.Sprintf("linalg.%s: t is %d x %d with %d entries, not the transpose of %d x %d with %d",
			op, t.Rows, t.Cols, len(t.Idx), m.Rows, m.Cols, len(m.Idx)))
	}
}

// Accumulator sums sparse rows; the zero value is ready. It serves one goroutine at a time.
type Accumulator struct {
	sum     []float32
	fresh   []uint8 // 1 where no row has touched the column, else 0
	cols    []int32 // of which touched count, and one more for what is written in vain
	touched int
}

// GramRow returns row j of mᵀm as the columns it touches, in the order of first touch, and a dense
// array in which their sums stand. Both belong to acc and last until its next use. t is m's
// transpose.
func (m CSR) GramRow(t CSR, j int, acc *Accumulator) (cols []int32, sums []float32) {
	m.checkTranspose("CSR.GramRow", t)
	acc.reset(m.Cols)
	sumOf, fresh, list, n := acc.sum, acc.fresh, acc.cols, 0
	users, weights := t.Row(j)
	for e, u := range users {
		w := float32(1)
		if weights != nil {
			w = weights[e]
		}
		at, end := m.Ptr[u], m.Ptr[u+1]
		row := m.Idx[at:end]
		// Whether a column is new is hard to foretell, so it decides how far the
		// list grows instead of a branch.
		if m.Val == nil {
			for _, i := range row {
				list[n] = i
				n += int(fresh[i])
				fresh[i] = 0
				sumOf[i] += w
			}
			continue
		}
		vals := m.Val[at:end]
		vals = vals[:len(row)]
		for f, i := range row {
			list[n] = i
			n += int(fresh[i])
			fresh[i] = 0
			sumOf[i] += w * vals[f]
		}
	}
	acc.touched = n
	return list[:n:n], sumOf
}

func (a *Accumulator) reset(n int) {
	for _, i := range a.cols[:a.touched] {
		a.sum[i], a.fresh[i] = 0, 1
	}
	a.touched = 0
	if len(a.sum) < n {
		a.sum, a.fresh, a.cols = make([]float32, n), make([]uint8, n), make([]int32, n+1)
		for i := range a.fresh {
			a.fresh[i] = 1
		}
	}
}
