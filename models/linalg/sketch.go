package linalg

import (
	"fmt"
	"math"
)

// SketchRows is how many rows a block of a [Sketch] has.
const SketchRows = 64

// sketchGroup is the bytes of eight values of the rows of a block.
const sketchGroup = 4 * SketchRows

// Sketch holds rows of D values in 4 bits each, with a scale per row, in blocks of [SketchRows]: an
// eighth of the numbers, to tell with which rows a product may be large. Value j of row i is about
// [Sketch.Scale](i)·(2·code − 15), where code is 0 to 15.
//
// The codes of a block lie as they are multiplied: eight values of all its rows, then the next
// eight; in each of those 4 bytes a row; in each byte two codes, of the values that are 4 apart.
// The word of a row is its scale, in the upper half, and the length of what the sketch leaves out of
// it, in the lower; both are the upper halves of a float32. It takes D/2+4 bytes a row, D rounded up
// to a multiple of 8.
type Sketch struct {
	D     int
	Codes []uint8
	Rows  []uint32
}

// NewSketch returns blocks of rows that are all 0. It panics unless 0 < d ≤ 65536.
func NewSketch(blocks, d int) Sketch {
	if d <= 0 || d > maxInt8Dim {
		panic(fmt.Sprintf("linalg.NewSketch: rows of %d, want 1 to %d", d, maxInt8Dim))
	}
	return Sketch{D: d, Codes: make([]uint8, blocks*sketchGroup*(sketchWidth(d)/8)), Rows: make([]uint32, blocks*SketchRows)}
}

// sketchWidth is d rounded up to whole groups.
func sketchWidth(d int) int { return (d + 7) &^ 7 }

// at is the byte of the code of value j of row i, and how far up in it.
func (m Sketch) at(i, j int) (at, shift int) {
	group := (i/SketchRows*(sketchWidth(m.D)/8) + j/8) * sketchGroup
	return group + i%SketchRows*4 + j%4, j % 8 / 4 * 4
}

// sketchStep is the step between levels that leaves out least of values of variance 1 that are spread
// normally: 1.2 % of their square (Max, "Quantizing for minimum distortion", 1960).
const sketchStep = .3352

// Scale is the scale of row i.
func (m Sketch) Scale(i int) float32 { return math.Float32frombits(m.Rows[i] &^ 0xffff) }

// Left is the length of what the sketch leaves out of row i, or somewhat more.
func (m Sketch) Left(i int) float32 { return math.Float32frombits(m.Rows[i] << 16) }

// Set makes row i a sketch of row. The scale is such that the product with row itself comes out
// right. A value that is not finite counts as 0. Different blocks may be set concurrently.
func (m Sketch) Set(i int, row []float32) {
	checkLen("Sketch.Set", len(row), m.D)
	var square float64
	for _, v := range row {
		if v-v == 0 {
			square += float64(v) * float64(v)
		}
	}
	m.Rows[i] = half(float32(math.Sqrt(square))) // without a scale
	inv := float32(1 / (sketchStep * math.Sqrt(square/float64(m.D))))
	if !(inv <= math.MaxFloat32) { // nothing, or too little to tell apart
		return
	}
	var product float64
	var levels int
	for j, v := range row {
		if v-v != 0 {
			v = 0
		}
		code := int(min(max(v*inv+8, 0), 15)) // rounded down
		level := 2*code - 15
		product += float64(v) * float64(level)
		levels += level * level
		at, shift := m.at(i, j)
		m.Codes[at] = m.Codes[at]&^(15<<shift) | uint8(code)<<shift
	}
	scale := (math.Float32bits(float32(square/product)) + 1<<15) &^ 0xffff // to the nearest
	s := float64(math.Float32frombits(scale))
	if !(s > 0 && s <= math.MaxFloat32) {
		return
	}
	left := square - 2*s*product + s*s*float64(levels)
	m.Rows[i] = scale | half(float32(math.Sqrt(max(left, 0))))
}

// half is the upper half of a number that is at least v, which is not negative; +Inf may be.
func half(v float32) uint32 {
	if v > math.MaxFloat32 {
		return math.Float32bits(v) >> 16
	}
	return (math.Float32bits(v) + 0xffff) >> 16
}

// Above sets bit i of out[b] when the product of the query and row i of block blocks[b], and slack
// times what the row leaves out, are above bars[b], for each of blocks. The sum of the codes is
// exact, so all instruction sets return the same bits. It panics when a block lies outside m.
func (m Sketch) Above(q *QuantisedQuery, slack float32, blocks []int32, bars []float32, out []uint64) {
	checkLen("Sketch.Above", len(q.codes), m.D)
	checkLen("Sketch.Above", len(bars), len(blocks))
	checkLen("Sketch.Above", len(out), len(blocks))
	width := sketchWidth(m.D)
	checkRows("Sketch.Above", blocks, min(len(m.Codes)/(sketchGroup*(width/8)), len(m.Rows)/SketchRows))
	sketchAbove(q.codes[:width], q.bias/128*15, q.scale, slack, m.Codes, m.Rows, blocks, bars, out)
}

func sketchAboveGeneric(q []int8, bias int32, scale, slack float32, codes []uint8, rows []uint32, blocks []int32, bars []float32, out []uint64) {
	size := len(q) / 8 * sketchGroup
	for b, block := range blocks {
		of, bar := codes[int(block)*size:][:size], bars[b]
		var word uint64
		for i, row := range rows[int(block)*SketchRows:][:SketchRows] {
			var sum int32
			for g := 0; g < len(q); g += 8 {
				x, v := of[g*(sketchGroup/8)+4*i:][:4], q[g:][:8]
				for j, c := range x {
					sum += int32(c&15)*int32(v[j]) + int32(c>>4)*int32(v[4+j])
				}
			}
			product := float32(2*sum-bias) * (scale * math.Float32frombits(row&^0xffff))
			if float32(product)+float32(slack*math.Float32frombits(row<<16)) > bar {
				word |= 1 << i
			}
		}
		out[b] = word
	}
}
