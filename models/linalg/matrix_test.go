package linalg

import (
	"slices"
	"testing"
)

func TestMatrixViews(t *testing.T) {
	m := MatrixOf(3, 4, []float32{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23})
	if got, want := m.Row(1), []float32{10, 11, 12, 13}; !slices.Equal(got, want) {
		t.Errorf("got row %v, want %v", got, want)
	}
	s := m.Sub(1, 1, 2, 3)
	if got := s.At(1, 2); got != 23 {
		t.Errorf("got %g at the end of the part, want 23", got)
	}
	s.Set(0, 0, -1)
	if got := m.At(1, 1); got != -1 {
		t.Errorf("got %g in the whole after a write to the part, want -1", got)
	}
	c := s.Clone()
	c.Set(0, 0, 5)
	if c.Stride != 3 || s.At(0, 0) != -1 {
		t.Errorf("got stride %d and %g in the original, want a copy of its own", c.Stride, s.At(0, 0))
	}
	s.Zero()
	if got, want := m.Data, []float32{0, 1, 2, 3, 10, 0, 0, 0, 20, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v after zeroing the part, want %v", got, want)
	}
	m.AddDiagonal(7)
	if got, want := m.Data, []float32{7, 1, 2, 3, 10, 7, 0, 0, 20, 0, 7, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v after adding to the diagonal, want %v", got, want)
	}
	if e := m.Sub(3, 4, 0, 0); e.Rows != 0 || e.Cols != 0 {
		t.Errorf("got %d x %d for an empty part at the end", e.Rows, e.Cols)
	}
}

func TestMirrorUpper(t *testing.T) {
	for _, n := range []int{0, 1, 5, 64, 65, 130} {
		m := NewMatrix(n, n)
		for i := range n {
			for j := range n {
				m.Set(i, j, float32(1000*i+j))
			}
		}
		m.MirrorUpper()
		for i := range n {
			for j := range n {
				if want := float32(1000*min(i, j) + max(i, j)); m.At(i, j) != want {
					t.Fatalf("n=%d: got %g at (%d, %d), want %g", n, m.At(i, j), i, j, want)
				}
			}
		}
	}
}

func TestMatrixPanics(t *testing.T) {
	m := NewMatrix(2, 3)
	for name, f := range map[string]func(){
		"part past the end": func() { m.Sub(1, 1, 2, 2) },
		"negative part":     func() { m.Sub(-1, 0, 1, 1) },
		"wrong length":      func() { MatrixOf(2, 3, make([]float32, 5)) },
		"wrong copy":        func() { m.CopyFrom(NewMatrix(3, 2)) },
		"not square":        func() { m.MirrorUpper() },
	} {
		t.Run(name, func(t *testing.T) { mustPanic(t, f) })
	}
}
