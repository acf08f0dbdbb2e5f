package linalg

import "fmt"

// Matrix is a row-major view of Data: element (i, j) is Data[i*Stride+j]. Copying the struct
// shares the data. Stride is at least Cols, and Data reaches at least to the end of the last row.
type Matrix struct {
	Rows, Cols, Stride int
	Data               []float32
}

// NewMatrix returns an r by c matrix of zeros without gaps between its rows.
func NewMatrix(r, c int) Matrix {
	return Matrix{Rows: r, Cols: c, Stride: c, Data: make([]float32, r*c)}
}

// MatrixOf returns data, of length r*c, as an r by c matrix that shares it.
func MatrixOf(r, c int, data []float32) Matrix {
	checkLen("MatrixOf", len(data), r*c)
	return Matrix{Rows: r, Cols: c, Stride: c, Data: data}
}

// Row returns row i; writing to it writes to the matrix.
func (m Matrix) Row(i int) []float32 {
	return m.Data[i*m.Stride:][:m.Cols:m.Cols]
}

// At returns element (i, j).
func (m Matrix) At(i, j int) float32 { return m.Row(i)[j] }

// Set stores v as element (i, j).
func (m Matrix) Set(i, j int, v float32) { m.Row(i)[j] = v }

// Sub returns the r by c part of m whose first element is (i, j); it shares m's data.
func (m Matrix) Sub(i, j, r, c int) Matrix {
	if i < 0 || j < 0 || r < 0 || c < 0 || i+r > m.Rows || j+c > m.Cols {
		panic(fmt.Sprintf("linalg.Sub: %d x %d at (%d, %d) of a matrix %d x %d", r, c, i, j, m.Rows, m.Cols))
	}
	if r == 0 || c == 0 {
		return Matrix{Rows: r, Cols: c, Stride: m.Stride}
	}
	lo := i*m.Stride + j
	return Matrix{Rows: r, Cols: c, Stride: m.Stride, Data: m.Data[lo : lo+(r-1)*m.Stride+c]}
}

// Clone returns a copy of m without gaps between its rows.
func (m Matrix) Clone() Matrix {
	c := NewMatrix(m.Rows, m.Cols)
	c.CopyFrom(m)
	return c
}

// CopyFrom copies src, of the same shape, into m.
func (m Matrix) CopyFrom(src Matrix) {
	checkShape("CopyFrom", "src", src, m.Rows, m.Cols)
	for i := range m.Rows {
		copy(m.Row(i), src.Row(i))
	}
}

// Zero sets every element to 0 and leaves the gaps between rows alone.
func (m Matrix) Zero() {
	for i := range m.Rows {
		clear(m.Row(i))
	}
}

// AddDiagonal adds v to every element of the diagonal.
func (m Matrix) AddDiagonal(v float32) {
	for i := range min(m.Rows, m.Cols) {
		m.Data[i*m.Stride+i] += v
	}
}

// MirrorUpper copies the triangle above the diagonal of a square matrix onto the one below, which
// [Syrk], [SyrkGather] and [CholeskyInverse] leave unspecified.
func (m Matrix) MirrorUpper() {
	checkShape("MirrorUpper", "m", m, m.Rows, m.Rows)
	const block = 64
	for i0 := 0; i0 < m.Rows; i0 += block {
		for j0 := i0; j0 < m.Rows; j0 += block {
			for i := i0; i < min(i0+block, m.Rows); i++ {
				for j := max(j0, i+1); j < min(j0+block, m.Rows); j++ {
					m.Data[j*m.Stride+i] = m.Data[i*m.Stride+j]
				}
			}
		}
	}
}

// check panics when the view does not fit its data.
func (m Matrix) check(op string) {
	if m.Rows < 0 || m.Cols < 0 || m.Stride < m.Cols ||
		m.Rows > 0 && m.Cols > 0 && (m.Rows-1)*m.Stride+m.Cols > len(m.Data) {
		panic(fmt.Sprintf("linalg.%s: a matrix %d x %d with stride %d on %d values", op, m.Rows, m.Cols, m.Stride, len(m.Data)))
	}
}
