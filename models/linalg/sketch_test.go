package linalg

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// A row's bit says what the values that its codes stand for say, whatever the other rows are.
func TestSketch(t *testing.T) {
	check(t, func(t *rapid.T, s *sample) {
		d, count := size(t, "d", 300)+1, rapid.IntRange(1, 3).Draw(t, "blocks")
		m := NewSketch(count, d)
		rows := make([][]float32, count*SketchRows)
		for i := range rows {
			if s.r.IntN(9) > 0 {
				rows[i] = s.vec(d)
				m.Set(i, rows[i])
			}
		}
		var q QuantisedQuery
		QuantiseQuery(s.vec(d+7), &q) // the codes of a longer one are not left behind
		QuantiseQuery(s.vec(d), &q)
		blocks := make([]int32, s.r.IntN(6))
		bars, out := s.vec(len(blocks)), make([]uint64, len(blocks))
		for i := range blocks {
			blocks[i] = int32(s.r.IntN(count))
			if s.r.IntN(4) == 0 {
				bars[i] = float32(math.Inf(-1))
			}
		}
		slack := s.vec(1)[0]
		m.Above(&q, slack, blocks, bars, out)
		for b, block := range blocks {
			for i := range SketchRows {
				row := int(block)*SketchRows + i
				var sum int32
				for j, c := range q.codes {
					at, shift := m.at(row, j)
					sum += int32(c) * (2*int32(m.Codes[at]>>shift&15) - 15)
				}
				got, want := out[b]>>i&1 == 1, float32(float32(sum)*(q.scale*m.Scale(row)))+float32(slack*m.Left(row)) > bars[b]
				if got != want {
					t.Fatalf("row %d of block %d, d=%d: got %v, want %v", i, block, d, got, want)
				}
			}
		}
	})
}

// A sketch leaves out what it says: a hundredth of normal values, and all of what is not finite.
func TestSketchSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, d := range []int{1, 2, 15, 64, 200} {
		m := NewSketch(1, d)
		var of, left float64
		for trial := range 200 {
			row := make([]float32, d)
			for j := range row {
				row[j] = float32(rng.NormFloat64() * math.Pow(10, float64(trial%9-4)))
			}
			square, off := 0., 0.
			m.Set(trial%SketchRows, row)
			said := float64(m.Left(trial % SketchRows))
			for j, v := range row {
				at, shift := m.at(trial%SketchRows, j)
				e := float64(v) - float64(m.Scale(trial%SketchRows))*float64(2*int(m.Codes[at]>>shift&15)-15)
				square += float64(v) * float64(v)
				off += e * e
			}
			off, length := math.Sqrt(off), math.Sqrt(square)
			if said < off-1e-6*length || said > 1.01*off+1e-3*length {
				t.Fatalf("d=%d: got %g left out of %g, want %g or hardly more", d, said, length, off)
			}
			of, left = of+1, left+off*off/square
		}
		if share := left / of; share > .016 {
			t.Errorf("d=%d: a sketch leaves out %.3f of rows, want about .012", d, share)
		}
	}
	m := NewSketch(1, 3)
	for _, row := range [][]float32{{0, 0, 0}, {float32(math.NaN()), float32(math.Inf(1)), 0}, {1e-44, 0, 0}} {
		if m.Set(5, row); m.Scale(5) != 0 || m.Left(5) > 1e-38 {
			t.Errorf("sketch of %v: got scale %v and %v left out", row, m.Scale(5), m.Left(5))
		}
	}
	for _, row := range [][]float32{{1e30, 0, 0}, {3e38, 3e38, -3e38}} {
		if m.Set(5, row); m.Scale(5) != m.Scale(5) || !(m.Left(5) >= 0) {
			t.Errorf("sketch of %v: got scale %v and %v left out", row, m.Scale(5), m.Left(5))
		}
	}
}

func BenchmarkSketch(b *testing.B) {
	const d, count = 64, 256
	rng := rand.New(rand.NewPCG(1, 1))
	m := NewSketch(count, d)
	row := make([]float32, d)
	random := func() []float32 {
		for j := range row {
			row[j] = float32(rng.NormFloat64())
		}
		return row
	}
	for i := range count * SketchRows {
		m.Set(i, random())
	}
	var q QuantisedQuery
	QuantiseQuery(random(), &q)
	blocks, bars, out := make([]int32, count), make([]float32, count), make([]uint64, count)
	for i := range blocks {
		blocks[i], bars[i] = int32(i), 20
	}
	eachISABench(b, "sketch/d=64", 2*d*count*SketchRows, func(b *testing.B) {
		for b.Loop() {
			m.Above(&q, 1, blocks, bars, out)
		}
	})
}
