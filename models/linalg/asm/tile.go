package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func tileFamily(s isa) {
	s.tile()
	s.transpose()
}

// tileRows is the number of rows of the largest tile: with two registers to a row the sums fill
// three quarters of the register file and hide the latency of the multiply-add.
func (s isa) tileRows() int {
	if s.wide() {
		return 12
	}
	return 6
}

// tileWidth is how the columns of a tile lie in registers: one or two of them, the last one full or
// under a mask.
type tileWidth struct {
	name   string
	regs   int
	masked bool
}

var tileWidths = []tileWidth{{"Full", 2, false}, {"Wide", 2, true}, {"Narrow", 1, true}}

// tile walks over the columns in strips of two registers. For each it has a body for every number
// of rows, times the forms of the columns. The arguments that change from strip to strip are kept in
// their places on the stack, which leaves the registers to the inner loop.
func (s isa) tile() {
	s.text("tile", "func(m, n, k int, alpha float32, a *float32, aP, aI int, b *float32, bP, bStrip int, c *float32, ldc int, src *float32, lds int)",
		"tile"+s.name+fmt.Sprintf(" is tileGeneric for 0 < m ≤ %d, 0 < n, 0 < k; strips are %d columns wide.", s.tileRows(), 2*s.lanes))
	Label("strip")
	n := integer("n")
	CMPQ(n, U8(2*s.lanes))
	JGE(LabelRef("chooseFull"))
	CMPQ(n, U8(s.lanes))
	JLE(LabelRef("chooseNarrow"))
	SUBQ(U8(s.lanes), n)
	JMP(LabelRef("chooseWide"))
	for _, w := range tileWidths {
		Label("choose" + w.name)
		var m mask
		if w.masked {
			left := GP64()
			MOVQ(n, left)
			m = s.tailMask(left, 1)
		}
		rows := integer("m")
		for r := 1; r < s.tileRows(); r++ {
			CMPQ(rows, U8(r))
			JEQ(LabelRef(fmt.Sprint("tile", w.name, r)))
		}
		for r := s.tileRows(); r > 0; r-- {
			s.tileBody(w, r, m)
			JMP(LabelRef("next"))
		}
	}
	Label("next")
	SUBQ(U8(2*s.lanes), inMemory("n"))
	JLE(LabelRef("done"))
	step := integer("bStrip")
	SHLQ(U8(2), step)
	ADDQ(step, inMemory("b"))
	ADDQ(U32(2*s.bytes()), inMemory("c"))
	CMPQ(inMemory("src"), U8(0))
	JEQ(LabelRef("strip"))
	ADDQ(U32(2*s.bytes()), inMemory("src"))
	JMP(LabelRef("strip"))
	Label("done")
	VZEROUPPER()
	RET()
}

// bytesOf loads a distance that is given in elements.
func bytesOf(name string) reg.GPVirtual {
	r := integer(name)
	SHLQ(U8(2), r)
	return r
}

// tileBody computes one strip of a given form.
func (s isa) tileBody(w tileWidth, rows int, m mask) {
	name := fmt.Sprint("tile", w.name, rows)
	acc := func(i, j int) reg.VecPhysical { return s.v(i*w.regs + j) }
	first := s.tileRows() * 2 // registers after the sums: columns of b, then elements of a
	col := func(j int) reg.VecPhysical { return s.v(first + j) }
	elem := func(i int) reg.VecPhysical {
		switch {
		case s.wide():
			return s.v(first + 2 + i%4)
		case w.regs == 1:
			return s.v(first + 1 + i%2)
		case !w.masked:
			return s.v(first + 2 + i%2)
		}
		return s.v(first + 2)
	}
	last := func(j int) *mask {
		if w.masked && j == w.regs-1 {
			return &m
		}
		return nil
	}

	Label(name)
	a, aP, aI, b, bP, k := integer("a"), bytesOf("aP"), bytesOf("aI"), integer("b"), bytesOf("bP"), integer("k")
	bases := []reg.GPVirtual{a}
	if rows > 4 {
		bases = append(bases, GP64())
		LEAQ(Mem{Base: a, Index: aI, Scale: 4}, bases[1])
	}
	if rows > 8 {
		bases = append(bases, GP64())
		LEAQ(Mem{Base: a, Index: aI, Scale: 8}, bases[2])
	}
	aI3 := GP64()
	if rows > 3 {
		LEAQ(Mem{Base: aI, Index: aI, Scale: 2}, aI3)
	}
	element := func(i int) Mem {
		switch at := bases[i/4]; i % 4 {
		case 1:
			return Mem{Base: at, Index: aI, Scale: 1}
		case 2:
			return Mem{Base: at, Index: aI, Scale: 2}
		case 3:
			return Mem{Base: at, Index: aI3, Scale: 1}
		default:
			return Mem{Base: at}
		}
	}
	for i := range rows {
		for j := range w.regs {
			zero(acc(i, j))
		}
	}
	Label(name + "Step")
	for j := range w.regs {
		s.load(Mem{Base: b, Disp: j * s.bytes()}, last(j), col(j))
	}
	for i := range rows {
		VBROADCASTSS(element(i), elem(i))
		for j := range w.regs {
			VFMADD231PS(col(j), elem(i), acc(i, j))
		}
	}
	for _, at := range bases {
		ADDQ(aP, at)
	}
	ADDQ(bP, b)
	DECQ(k)
	JNZ(LabelRef(name + "Step"))

	c, ldc, src, lds := integer("c"), bytesOf("ldc"), integer("src"), bytesOf("lds")
	alpha, tmp := col(0), s.v(first+1)
	VBROADCASTSS(inMemory("alpha"), alpha)
	TESTQ(src, src)
	JZ(LabelRef(name + "Store"))
	for i := range rows {
		for j := range w.regs {
			from := Mem{Base: src, Disp: j * s.bytes()}
			switch mk := last(j); {
			case mk == nil:
				VFMADD213PS(from, alpha, acc(i, j))
			case s.wide():
				VFMADD213PS(from, alpha, mk.k, acc(i, j))
			default:
				s.loadTail(from, *mk, tmp)
				VFMADD213PS(tmp, alpha, acc(i, j))
			}
			s.store(acc(i, j), last(j), Mem{Base: c, Disp: j * s.bytes()})
		}
		if i < rows-1 {
			ADDQ(ldc, c)
			ADDQ(lds, src)
		}
	}
	JMP(LabelRef("next"))
	Label(name + "Store")
	for i := range rows {
		for j := range w.regs {
			VMULPS(alpha, acc(i, j), acc(i, j))
			s.store(acc(i, j), last(j), Mem{Base: c, Disp: j * s.bytes()})
		}
		if i < rows-1 {
			ADDQ(ldc, c)
		}
	}
}

// transpose turns squares of lanes by lanes values, in registers, so that packing a transposed
// operand costs little more than copying it.
func (s isa) transpose() {
	s.text("transpose", "func(src *float32, stride, k int, dst *float32, dstStride int)",
		fmt.Sprintf("transpose%s sets dst[p*dstStride+j] = src[j*stride+p] for j < %d and p < k, a multiple of %d.", s.name, s.lanes, s.lanes))
	src, stride, k, dst, out := integer("src"), integer("stride"), integer("k"), integer("dst"), integer("dstStride")
	SHLQ(U8(2), stride)
	SHLQ(U8(2), out)
	from := GP64()
	Label("square")
	TESTQ(k, k)
	JZ(LabelRef("done"))
	MOVQ(src, from)
	for j := range s.lanes {
		VMOVUPS(Mem{Base: from}, s.v(j))
		if j < s.lanes-1 {
			ADDQ(stride, from)
		}
	}
	for _, r := range s.transposed() {
		VMOVUPS(r, Mem{Base: dst})
		ADDQ(out, dst)
	}
	ADDQ(U8(s.bytes()), src)
	SUBQ(U8(s.lanes), k)
	JMP(LabelRef("square"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transposed transposes the square held by the first registers and returns, in order, the registers
// that hold its rows. It uses twice as many registers.
func (s isa) transposed() []reg.VecPhysical {
	n := s.lanes
	in, out := make([]reg.VecPhysical, n), make([]reg.VecPhysical, n)
	for i := range n {
		in[i], out[i] = s.v(i), s.v(n+i)
	}
	for i := 0; i < n; i += 2 { // pairs of rows: columns 0 1 and 2 3 of each 128-bit lane
		VUNPCKLPS(in[i+1], in[i], out[i])
		VUNPCKHPS(in[i+1], in[i], out[i+1])
	}
	in, out = out, in
	for i := 0; i < n; i += 4 { // fours of rows: one column of each 128-bit lane
		VUNPCKLPD(in[i+2], in[i], out[i])
		VUNPCKHPD(in[i+2], in[i], out[i+1])
		VUNPCKLPD(in[i+3], in[i+1], out[i+2])
		VUNPCKHPD(in[i+3], in[i+1], out[i+3])
	}
	in, out = out, in
	if !s.wide() {
		for c := range 4 {
			VPERM2F128(U8(0x20), in[4+c], in[c], out[c])
			VPERM2F128(U8(0x31), in[4+c], in[c], out[4+c])
		}
		return out
	}
	for c := range 4 { // rows 0 to 7 and 8 to 15: lanes 0 2 and 1 3
		for h := 0; h < 16; h += 8 {
			VSHUFF32X4(U8(0x88), in[h+4+c], in[h+c], out[h+c])
			VSHUFF32X4(U8(0xdd), in[h+4+c], in[h+c], out[h+4+c])
		}
	}
	in, out = out, in
	for c := range 4 { // all rows
		VSHUFF32X4(U8(0x88), in[8+c], in[c], out[c])
		VSHUFF32X4(U8(0xdd), in[8+c], in[c], out[8+c])
		VSHUFF32X4(U8(0x88), in[12+c], in[4+c], out[4+c])
		VSHUFF32X4(U8(0xdd), in[12+c], in[4+c], out[12+c])
	}
	return out
}
