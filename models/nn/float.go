package nn

import (
	"math"

	"github.com/attune-rec/attune/models/linalg"
)

// Float is the type that a network computes in.
type Float interface{ float32 | float64 }

// Mat is a row-major view: element (i, j) is Data[i*Stride+j]. Copying the
// struct shares the data.
type Mat[F Float] struct {
	Rows, Cols, Stride int
	Data               []F
}

// MatOf is data, rows*cols numbers, as a matrix.
func MatOf[F Float](rows, cols int, data []F) Mat[F] {
	return Mat[F]{rows, cols, cols, data[:rows*cols]}
}

// Row is row i; writing to it writes to the matrix.
func (m Mat[F]) Row(i int) []F { return m.Data[i*m.Stride:][:m.Cols:m.Cols] }

// Slice is rows lo to hi, shared.
func (m Mat[F]) Slice(lo, hi int) Mat[F] {
	return Mat[F]{hi - lo, m.Cols, m.Stride, m.Data[lo*m.Stride:]}
}

// Columns is columns lo to hi, shared.
func (m Mat[F]) Columns(lo, hi int) Mat[F] {
	if m.Rows == 0 {
		return Mat[F]{0, hi - lo, m.Stride, nil}
	}
	return Mat[F]{m.Rows, hi - lo, m.Stride, m.Data[lo:]}
}

// buffer is memory that a layer keeps between steps.
type buffer[F Float] struct{ data []F }

// mat is rows*cols numbers of the buffer, with whatever they held before.
func (b *buffer[F]) mat(rows, cols int) Mat[F] { return MatOf(rows, cols, b.slice(rows*cols)) }

func (b *buffer[F]) slice(n int) []F {
	if cap(b.data) < n {
		b.data = make([]F, n+n/4)
	}
	return b.data[:n]
}

// single is x where F is float32: the door to the kernels.
func single[F Float](x []F) ([]float32, bool) {
	v, ok := any(x).([]float32)
	return v, ok
}

func sameAs[F Float](x []F) []float32 { return any(x).([]float32) }

func view32[F Float](m Mat[F]) linalg.Matrix {
	return linalg.Matrix{Rows: m.Rows, Cols: m.Cols, Stride: m.Stride, Data: sameAs(m.Data)}
}

// gemm is c = alpha·op(a)·op(b) + beta·c.
func gemm[F Float](transA, transB bool, alpha F, a, b Mat[F], beta F, c Mat[F]) {
	if c.Rows == 0 || c.Cols == 0 {
		return
	}
	if _, ok := single(c.Data); ok {
		linalg.Gemm(transA, transB, float32(alpha), view32(a), view32(b), float32(beta), view32(c))
		return
	}
	inner := a.Cols
	if transA {
		inner = a.Rows
	}
	for i := range c.Rows {
		for j := range c.Cols {
			var s F
			for k := range inner {
				x, y := i*a.Stride+k, k*b.Stride+j
				if transA {
					x = k*a.Stride + i
				}
				if transB {
					y = j*b.Stride + k
				}
				s += a.Data[x] * b.Data[y]
			}
			s *= alpha
			if beta != 0 {
				s += beta * c.Data[i*c.Stride+j]
			}
			c.Data[i*c.Stride+j] = s
		}
	}
}

func axpy[F Float](alpha F, x, y []F) {
	if y32, ok := single(y); ok {
		linalg.Axpy(float32(alpha), sameAs(x), y32)
		return
	}
	for i, v := range x {
		y[i] += alpha * v
	}
}

// axpyGather adds alpha[i] times row rows[i] of mat to y, for every i.
func axpyGather[F Float](alpha, mat []F, rows []int32, y []F) {
	if y32, ok := single(y); ok {
		linalg.AxpyGather(sameAs(alpha), sameAs(mat), rows, y32)
		return
	}
	for i, row := range rows {
		axpy(alpha[i], mat[int(row)*len(y):][:len(y)], y)
	}
}

// dotGather sets out[i] to the inner product of x and row rows[i] of mat.
func dotGather[F Float](x, mat []F, rows []int32, out []F) {
	if o, ok := single(out); ok {
		linalg.DotGather(sameAs(x), sameAs(mat), rows, o)
		return
	}
	for i, row := range rows {
		out[i] = dot(x, mat[int(row)*len(x):][:len(x)])
	}
}

func dot[F Float](x, y []F) F {
	if y32, ok := single(y); ok {
		return F(linalg.Dot(sameAs(x), y32))
	}
	var s F
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

func scale[F Float](alpha F, x []F) {
	if x32, ok := single(x); ok {
		linalg.Scale(float32(alpha), x32)
		return
	}
	for i := range x {
		x[i] *= alpha
	}
}

func addTo[F Float](dst, a, b []F) {
	if d, ok := single(dst); ok {
		linalg.AddTo(d, sameAs(a), sameAs(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func subTo[F Float](dst, a, b []F) {
	if d, ok := single(dst); ok {
		linalg.SubTo(d, sameAs(a), sameAs(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func mulTo[F Float](dst, a, b []F) {
	if d, ok := single(dst); ok {
		linalg.MulTo(d, sameAs(a), sameAs(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func mulAddTo[F Float](dst, a, b []F) {
	if d, ok := single(dst); ok {
		linalg.MulAddTo(d, sameAs(a), sameAs(b))
		return
	}
	for i := range dst {
		dst[i] += a[i] * b[i]
	}
}

func sigmoidTo[F Float](dst, x []F) {
	if d, ok := single(dst); ok {
		linalg.Sigmoid(d, sameAs(x))
		return
	}
	for i, v := range x {
		dst[i] = 1 / (1 + F(math.Exp(-float64(v))))
	}
}

func tanhTo[F Float](dst, x []F) {
	if d, ok := single(dst); ok {
		linalg.Tanh(d, sameAs(x))
		return
	}
	for i, v := range x {
		dst[i] = F(math.Tanh(float64(v)))
	}
}

// softmaxTo sets dst to the softmax of x and returns log Σ exp(x).
func softmaxTo[F Float](dst, x []F) F {
	if d, ok := single(dst); ok {
		return F(linalg.Softmax(d, sameAs(x)))
	}
	top := F(math.Inf(-1))
	for _, v := range x {
		top = max(top, v)
	}
	var sum F
	for i, v := range x {
		dst[i] = F(math.Exp(float64(v - top)))
		sum += dst[i]
	}
	for i := range dst[:len(x)] {
		dst[i] /= sum
	}
	return top + F(math.Log(float64(sum)))
}

// softplus is log(1+exp(x)) without overflow, and its slope, 1/(1+exp(-x)).
func softplus(x float64) (value, slope float64) {
	e := math.Exp(-math.Abs(x))
	slope = 1 / (1 + e)
	if x < 0 {
		slope *= e
	}
	return max(x, 0) + math.Log1p(e), slope
}

// addRows adds v to every row of m.
func addRows[F Float](m Mat[F], v []F) {
	for i := range m.Rows {
		row := m.Row(i)
		addTo(row, row, v)
	}
}

// sumRows adds every row of m to sum.
func sumRows[F Float](m Mat[F], sum []F) {
	for i := range m.Rows {
		addTo(sum, sum, m.Row(i))
	}
}

// Add adds b, of the same shape, to m. Both must be without gaps between rows.
func (m Mat[F]) Add(b Mat[F]) {
	n := m.Rows * m.Cols
	addTo(m.Data[:n], m.Data[:n], b.Data[:n])
}

// Dot is the inner product of x and y, of one length.
func Dot[F Float](x, y []F) F { return dot(x, y) }

// Axpy adds alpha times x to y, of one length.
func Axpy[F Float](alpha F, x, y []F) { axpy(alpha, x, y) }

// MulTo sets dst to a times b, element by element, all of one length.
func MulTo[F Float](dst, a, b []F) { mulTo(dst, a, b) }

// Scale multiplies every element of x by alpha.
func Scale[F Float](alpha F, x []F) { scale(alpha, x) }
