package linalg

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func (s *sample) csr(r, c int, binary bool) CSR {
	m := CSR{Rows: r, Cols: c, Ptr: []int64{0}}
	for range r {
		for j := range c {
			if s.r.IntN(4) == 0 {
				m.Idx = append(m.Idx, int32(j))
				m.Val = append(m.Val, float32(s.r.NormFloat64()))
			}
		}
		m.Ptr = append(m.Ptr, int64(len(m.Idx)))
	}
	if binary {
		m.Val = nil
	}
	return m
}

func (m CSR) dense() Matrix {
	d := NewMatrix(m.Rows, m.Cols)
	for i := range m.Rows {
		cols, vals := m.Row(i)
		for e, j := range cols {
			if vals == nil {
				d.Set(i, int(j), 1)
			} else {
				d.Set(i, int(j), vals[e])
			}
		}
	}
	return d
}

func TestCSR(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		r, c, d := rapid.IntRange(0, 30).Draw(t, "r"), rapid.IntRange(0, 30).Draw(t, "c"), size(t, "d", 80)
		m := s.csr(r, c, rapid.Bool().Draw(t, "binary"))
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		tr := m.Transpose()
		if err := tr.Validate(); err != nil {
			t.Fatal(err)
		}
		if got, want := tr.dense(), transposed(m.dense()); !equal32(got.Data, want.Data) {
			t.Fatalf("got transpose %v, want %v", got, want)
		}
		s.strange = false
		b, out := s.matrix(c, d), s.matrix(r, d)
		m.MulDense(b, out, 2)
		if diff := maxDiff(out, mulTwin(m.dense(), b)); diff > 1e-4 {
			t.Fatalf("product is off by %g", diff)
		}
		x, y := s.vec(c), s.vec(r)
		m.MulVec(x, y)
		if diff := maxDiff(MatrixOf(r, 1, y), mulTwin(m.dense(), MatrixOf(c, 1, x))); diff > 1e-4 {
			t.Fatalf("product with a vector is off by %g", diff)
		}
		g := NewMatrix(c, c)
		m.Gram(tr, g, 2)
		want := mulTwin(transposed(m.dense()), m.dense())
		if diff := maxDiff(g, want); diff > 1e-4 {
			t.Fatalf("gram is off by %g", diff)
		}
		var acc Accumulator
		for j := range c {
			cols, sums := m.GramRow(tr, j, &acc)
			row := make([]float32, c)
			for _, i := range cols {
				row[i] = sums[i]
			}
			for i, v := range row {
				if math.Abs(float64(v-want.At(j, i))) > 1e-4 {
					t.Fatalf("gram row %d: got %v, want %v", j, row, want.Row(j))
				}
			}
			sorted := slices.Sorted(slices.Values(cols))
			if len(slices.Compact(sorted)) != len(cols) {
				t.Fatalf("gram row %d: a column comes twice in %v", j, cols)
			}
		}
	})
}

func TestCSRValidate(t *testing.T) {
	good := CSR{Rows: 2, Cols: 3, Ptr: []int64{0, 2, 3}, Idx: []int32{0, 2, 1}, Val: []float32{1, 2, 3}}
	for name, bad := range map[string]CSR{
		"starts":   {Rows: 2, Cols: 3, Ptr: []int64{0, 3}, Idx: good.Idx, Val: good.Val},
		"total":    {Rows: 2, Cols: 3, Ptr: []int64{0, 2, 2}, Idx: good.Idx, Val: good.Val},
		"values":   {Rows: 2, Cols: 3, Ptr: good.Ptr, Idx: good.Idx, Val: good.Val[:2]},
		"order":    {Rows: 2, Cols: 3, Ptr: good.Ptr, Idx: []int32{2, 0, 1}, Val: good.Val},
		"twice":    {Rows: 2, Cols: 3, Ptr: good.Ptr, Idx: []int32{2, 2, 1}, Val: good.Val},
		"range":    {Rows: 2, Cols: 3, Ptr: good.Ptr, Idx: []int32{0, 3, 1}, Val: good.Val},
		"negative": {Rows: 2, Cols: 3, Ptr: good.Ptr, Idx: []int32{-1, 0, 1}, Val: good.Val},
		"backward": {Rows: 2, Cols: 3, Ptr: []int64{0, 4, 3}, Idx: good.Idx, Val: good.Val},
	} {
		if err := bad.Validate(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
		}
	}
	if err := good.Validate(); err != nil {
		t.Errorf("good: got %v", err)
	}
}
