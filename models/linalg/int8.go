package linalg

import (
	"fmt"
	"math"
)

// Quantised holds N rows of D values in 8 bits each, with a scale per row: value (i, j) is about
// Scale[i]·(Codes[i*D+j] − 128), off by at most Scale[i]/2. Codes are biased by 128, so they run
// from 1 to 255; the bias is what lets one VNNI instruction multiply them with a signed query. It
// takes N·(D+4) bytes. It is read-only and safe for concurrent use once made; Codes and Scale may
// lie in memory-mapped files.
type Quantised struct {
	N, D  int
	Codes []uint8
	Scale []float32
}

// QuantisedQuery is a query in 8 bits, ready for [DotInt8Rows]. The zero value is ready for
// [QuantiseQuery].
type QuantisedQuery struct {
	codes []int8 // followed by zeros up to sketchWidth
	scale float32
	bias  int32 // 128 times the sum of codes
}

// room makes room for d codes.
func (q *QuantisedQuery) room(d int) {
	if width := sketchWidth(d); cap(q.codes) < width {
		q.codes = make([]int8, width)
	}
	q.codes = q.codes[:d]
	clear(q.codes[d:sketchWidth(d)])
}

// QuantiseRows quantises rows, a row-major matrix with d columns, on up to workers goroutines. A
// value that is not finite counts as 0. It panics unless 0 < d ≤ 65536.
func QuantiseRows(rows []float32, d, workers int) Quantised {
	if d <= 0 || d > maxInt8Dim || len(rows)%d != 0 {
		panic(fmt.Sprintf("linalg.QuantiseRows: %d values in rows of %d, want whole rows of 1 to %d", len(rows), d, maxInt8Dim))
	}
	q := Quantised{N: len(rows) / d, D: d, Codes: make([]uint8, len(rows)), Scale: make([]float32, len(rows)/d)}
	ParallelN(q.N, 1024, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			q.Scale[i] = QuantiseRow(rows[i*d:][:d], q.Codes[i*d:][:d])
		}
	})
	return q
}

// maxInt8Dim keeps the largest possible sum, d·255·127, within an int32.
const maxInt8Dim = 65536

// QuantiseRow writes the biased codes of row and returns its scale, the largest magnitude divided
// by 127. A value that is not finite counts as 0.
func QuantiseRow(row []float32, codes []uint8) float32 {
	checkLen("QuantiseRow", len(codes), len(row))
	scale, inv := quantum(row)
	for j, v := range row {
		codes[j] = uint8(int32(code(v, inv)) + 128)
	}
	return scale
}

// QuantiseQuery stores q in dst, reusing its memory. A value that is not finite counts as 0.
func QuantiseQuery(q []float32, dst *QuantisedQuery) {
	dst.room(len(q))
	var inv float32
	dst.scale, inv = quantum(q)
	sum := int32(0)
	for j, v := range q {
		c := code(v, inv)
		dst.codes[j] = c
		sum += int32(c)
	}
	dst.bias = 128 * sum
}

// Left returns the squared length of what the codes leave out of vec, the query that they are of.
func (q *QuantisedQuery) Left(vec []float32) (left float64) {
	checkLen("QuantisedQuery.Left", len(vec), len(q.codes))
	scale := float64(q.scale)
	for j, v := range vec {
		e := float64(v) - scale*float64(q.codes[j])
		left += e * e
	}
	return left
}

// Query makes row i of m a query, in the codes it has, reusing the memory of dst.
func (m Quantised) Query(i int, dst *QuantisedQuery) {
	dst.room(m.D)
	sum := int32(0)
	for j, c := range m.Codes[i*m.D:][:m.D] {
		v := int8(c ^ 128)
		dst.codes[j] = v
		sum += int32(v)
	}
	dst.scale, dst.bias = m.Scale[i], 128*sum
}

// quantum returns the step of the codes of x and its inverse, both 0 when x has none.
func quantum(x []float32) (scale, inv float32) {
	var top float32
	for _, v := range x {
		if m := float32(math.Abs(float64(v))); m > top && m <= math.MaxFloat32 {
			top = m
		}
	}
	scale = top / 127
	if scale == 0 {
		return 0, 0
	}
	if inv = 127 / top; inv > math.MaxFloat32 { // top is subnormal
		return 0, 0
	}
	return scale, inv
}

// code rounds v·inv to the nearest code in [-127, 127], 0 when v is not finite.
func code(v, inv float32) int8 {
	if v-v != 0 {
		return 0
	}
	return int8(math.RoundToEven(float64(min(max(v*inv, -127), 127))))
}

// DotInt8Rows sets out[i] to the product of the query and row lo+i, of len(out) rows. The sum of
// the codes is exact, so all instruction sets return the same bits. For several queries, take the
// rows in blocks that fit the first-level cache and each block with every query.
func DotInt8Rows(q *QuantisedQuery, m Quantised, lo int, out []float32) {
	checkLen("DotInt8Rows", len(q.codes), m.D)
	codes, scales := m.Codes[lo*m.D:][:len(out)*m.D], m.Scale[lo:][:len(out)]
	for step := rowsPerCall(m.D); len(out) > step; out = out[step:] {
		dotInt8(q.codes, q.bias, q.scale, codes[:step*m.D], scales[:step], out[:step])
		codes, scales = codes[step*m.D:], scales[step:]
	}
	dotInt8(q.codes, q.bias, q.scale, codes, scales, out)
}

// DotInt8Gather sets out[i] to the product of the query and row rows[i], to the same bits as
// [DotInt8Rows]. Rows may repeat. It panics when a row lies outside m.
func DotInt8Gather(q *QuantisedQuery, m Quantised, rows []int32, out []float32) {
	checkLen("DotInt8Gather", len(q.codes), m.D)
	checkLen("DotInt8Gather", len(out), len(rows))
	checkRows("DotInt8Gather", rows, min(rowsOf(len(m.Codes), m.D), len(m.Scale)))
	for step := rowsPerCall(m.D); len(out) > step; out = out[step:] {
		dotInt8Gather(q.codes, q.bias, q.scale, m.Codes, m.Scale, rows[:step], out[:step])
		rows = rows[step:]
	}
	if n := len(rows); n > 1 && n < 8 { // the kernels take eight at a time: repeat the last
		var named [8]int32
		var sums [8]float32
		for i := range named {
			named[i] = rows[min(i, n-1)]
		}
		dotInt8Gather(q.codes, q.bias, q.scale, m.Codes, m.Scale, named[:], sums[:])
		copy(out, sums[:])
		return
	}
	dotInt8Gather(q.codes, q.bias, q.scale, m.Codes, m.Scale, rows, out)
}

func dotInt8Generic(q []int8, bias int32, scale float32, codes []uint8, scales, out []float32) {
	d := len(q)
	for i := range out {
		row := codes[i*d:][:d]
		var s0, s1 int32
		j := 0
		for ; j+2 <= d; j += 2 {
			s0 += int32(q[j]) * int32(row[j])
			s1 += int32(q[j+1]) * int32(row[j+1])
		}
		if j < d {
			s0 += int32(q[j]) * int32(row[j])
		}
		out[i] = float32(s0+s1-bias) * (scale * scales[i])
	}
}

func dotInt8GatherGeneric(q []int8, bias int32, scale float32, codes []uint8, scales []float32, rows []int32, out []float32) {
	d := len(q)
	for i, r := range rows {
		dotInt8Generic(q, bias, scale, codes[int(r)*d:][:d], scales[r:][:1], out[i:i+1])
	}
}
