package linalg

import (
	"fmt"
	"math"
)

// SketchRows is how many rows a block of a [Sketch] has.
const SketchRows = 64

// sketchGroup is the bytes of sixteen values of the rows of a block.
const sketchGroup = 4 * SketchRows

// Sketch holds rows of D values in 2 bits each, with a scale per row, in blocks of [SketchRows]: a
// sixteenth of the numbers, to tell with which rows a product may be large. Value j of row i is
// about Scale[i]·(2·code − 3), where code is 0 to 3.
//
// The codes of a block lie as they are multiplied: sixteen values of all its rows, then the next
// sixteen; in each of those 4 bytes a row; in each byte four codes, of the values that are 4 apart.
// It takes D/4+4 bytes a row, D rounded up to a multiple of 16.
type Sketch struct {
	D     int
	Codes []uint8
	Scale []float32
}

// NewSketch returns blocks of rows that are all 0. It panics unless 0 < d ≤ 65536.
func NewSketch(blocks, d int) Sketch {
	if d <= 0 || d > maxInt8Dim {
		panic(fmt.Sprintf("linalg.NewSketch: rows of %d, want 1 to %d", d, maxInt8Dim))
	}
	return Sketch{D: d, Codes: make([]uint8, blocks*sketchGroup*(sketchWidth(d)/16)), Scale: make([]float32, blocks*SketchRows)}
}

// sketchWidth is d rounded up to whole groups.
func sketchWidth(d int) int { return (d + 15) &^ 15 }

// at is the byte of the code of value j of row i, and how far up in it.
func (m Sketch) at(i, j int) (at, shift int) {
	group := (i/SketchRows*(sketchWidth(m.D)/16) + j/16) * sketchGroup
	return group + i%SketchRows*4 + j%4, j % 16 / 4 * 2
}

// Set makes row i a sketch of row and returns the squared length of what the sketch leaves out of
// it. The levels are those that leave out least of values that are spread normally (Max, 1960), an
// eighth of their square; the scale is such that the product with row itself comes out right. A
// value that is not finite counts as 0. Rows may be set concurrently.
func (m Sketch) Set(i int, row []float32) (left float64) {
	checkLen("Sketch.Set", len(row), m.D)
	var square float64
	for _, v := range row {
		if v-v == 0 {
			square += float64(v) * float64(v)
		}
	}
	m.Scale[i] = 0
	inv := float32(1 / (.9957 * math.Sqrt(square/float64(m.D))))
	if !(inv <= math.MaxFloat32) { // nothing, or too little to tell apart
		inv = 0
	}
	var product, level float64
	for j, v := range row {
		if v-v != 0 {
			v = 0
		}
		code := int(min(max(v*inv, -1), 1) + 2) // rounded down
		if v*inv < -1 {
			code = 0
		}
		code = min(code, 3)
		product += float64(v) * float64(2*code-3)
		level += float64(2*code-3) * float64(2*code-3)
		at, shift := m.at(i, j)
		m.Codes[at] = m.Codes[at]&^(3<<shift) | uint8(code)<<shift
	}
	if scale := float32(square / product); inv > 0 && scale > 0 && scale <= math.MaxFloat32 {
		m.Scale[i] = scale
		return max(square-2*float64(scale)*product+float64(scale)*float64(scale)*level, 0)
	}
	return square
}

// Above sets bit i of out[b] when the product of the query and row i of block blocks[b] is above
// bars[b], for each of blocks. The sum of the codes is exact, so all instruction sets return the
// same bits. It panics when a block lies outside m.
func (m Sketch) Above(q *QuantisedQuery, blocks []int32, bars []float32, out []uint64) {
	checkLen("Sketch.Above", len(q.codes), m.D)
	checkLen("Sketch.Above", len(bars), len(blocks))
	checkLen("Sketch.Above", len(out), len(blocks))
	width := sketchWidth(m.D)
	checkRows("Sketch.Above", blocks, min(len(m.Codes)/(sketchGroup*(width/16)), len(m.Scale)/SketchRows))
	sketchAbove(q.codes[:width], q.bias/128*3, q.scale, m.Codes, m.Scale, blocks, bars, out)
}

func sketchAboveGeneric(q []int8, bias int32, scale float32, codes []uint8, scales []float32, blocks []int32, bars []float32, out []uint64) {
	size := len(q) / 16 * sketchGroup
	for b, block := range blocks {
		of, bar := codes[int(block)*size:][:size], bars[b]
		var word uint64
		for i, s := range scales[int(block)*SketchRows:][:SketchRows] {
			var sum int32
			for g := 0; g < len(q); g += 16 {
				x := of[g*(sketchGroup/16)+4*i:][:4]
				v := q[g:][:16]
				for j, c := range x {
					sum += int32(c&3)*int32(v[j]) + int32(c>>2&3)*int32(v[4+j]) + int32(c>>4&3)*int32(v[8+j]) + int32(c>>6)*int32(v[12+j])
				}
			}
			if float32(2*sum-bias)*(scale*s) > bar {
				word |= 1 << i
			}
		}
		out[b] = word
	}
}
