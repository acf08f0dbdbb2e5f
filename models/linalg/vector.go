package linalg

import "math"

// Axpy adds alpha times x to y, element by element. x and y have the same length and may be the
// same slice.
func Axpy(alpha float32, x, y []float32) {
	checkLen("Axpy", len(y), len(x))
	axpy(alpha, x, y)
}

// AxpyRows adds alpha[i] times row i of rows to y for every i: y += rowsᵀ·alpha, where rows is
// row-major with len(alpha) rows and len(y) columns.
func AxpyRows(alpha, rows, y []float32) {
	checkLen("AxpyRows", len(rows), len(alpha)*len(y))
	for step := rowsPerCall(len(y)); len(alpha) > step; alpha = alpha[step:] {
		axpyRows(alpha[:step], rows, len(y), y)
		rows = rows[step*len(y):]
	}
	axpyRows(alpha, rows, len(y), y)
}

// AxpyGather adds alpha[i] times row rows[i] of mat to y for every i, where mat is row-major with
// len(y) columns. It panics when a row lies outside mat.
func AxpyGather(alpha, mat []float32, rows []int32, y []float32) {
	checkLen("AxpyGather", len(alpha), len(rows))
	checkRows("AxpyGather", rows, rowsOf(len(mat), len(y)))
	axpyGather(alpha, mat, len(y), rows, y)
}

// Scale multiplies every element of x by alpha.
func Scale(alpha float32, x []float32) { scale(alpha, x) }

// Sum returns the sum of x, 0 when x is empty.
func Sum(x []float32) float32 { return sum(x) }

// Norm2 returns the Euclidean length of x. It neither overflows nor underflows as long as the
// length itself is a normal float32.
func Norm2(x []float32) float32 {
	s := dot(x, x)
	if s > 1e-30 && s <= math.MaxFloat32 {
		return float32(math.Sqrt(float64(s)))
	}
	var d float64 // squares left the range of float32: rare, so plain
	for _, v := range x {
		d += float64(v) * float64(v)
	}
	return float32(math.Sqrt(d))
}

// Normalise scales x to length 1 and returns the length it had. A vector of zeros, or one whose
// length is not finite, stays as it is.
func Normalise(x []float32) float32 {
	n := Norm2(x)
	if n > 0 && n <= math.MaxFloat32 {
		for i := range x {
			x[i] /= n
		}
	}
	return n
}

func axpyGeneric(alpha float32, x, y []float32) {
	y = y[:len(x)]
	for len(x) >= 4 && len(y) >= 4 {
		y[0] += alpha * x[0]
		y[1] += alpha * x[1]
		y[2] += alpha * x[2]
		y[3] += alpha * x[3]
		x, y = x[4:], y[4:]
	}
	for i, v := range x {
		y[i] += alpha * v
	}
}

func axpyRowsGeneric(alpha, rows []float32, stride int, y []float32) {
	for i, a := range alpha {
		axpyGeneric(a, rows[i*stride:][:len(y)], y)
	}
}

func axpyGatherGeneric(alpha, mat []float32, stride int, rows []int32, y []float32) {
	for i, r := range rows {
		axpyGeneric(alpha[i], mat[int(r)*stride:][:len(y)], y)
	}
}

func scaleGeneric(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

func sumGeneric(x []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 {
		s0 += x[0]
		s1 += x[1]
		s2 += x[2]
		s3 += x[3]
		x = x[4:]
	}
	for _, v := range x {
		s0 += v
	}
	return (s0 + s1) + (s2 + s3)
}
