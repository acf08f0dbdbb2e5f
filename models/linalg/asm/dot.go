package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func dotFamily(s isa) {
	s.dot()
	s.dotRows()
	s.dotGather()
}

// dot keeps four accumulators so that the additions of one do not wait for each other.
func (s isa) dot() {
	s.text("dot", "func(a, b []float32) float32", "dot"+s.name+" returns the inner product of a and b; b is at least as long as a.")
	a, b, n := base("a"), base("b"), length("a")
	full, rest := s.split(n)
	for i := range 4 {
		zero(s.v(i))
	}
	Label("four")
	CMPQ(full, U8(4))
	JLT(LabelRef("one"))
	for i := range 4 {
		VMOVUPS(Mem{Base: a, Disp: i * s.bytes()}, s.v(4+i))
	}
	for i := range 4 {
		VFMADD231PS(Mem{Base: b, Disp: i * s.bytes()}, s.v(4+i), s.v(i))
	}
	ADDQ(U32(4*s.bytes()), a)
	ADDQ(U32(4*s.bytes()), b)
	SUBQ(U8(4), full)
	JMP(LabelRef("four"))
	Label("one")
	TESTQ(full, full)
	JZ(LabelRef("tail"))
	VMOVUPS(Mem{Base: a}, s.v(4))
	VFMADD231PS(Mem{Base: b}, s.v(4), s.v(0))
	ADDQ(U32(s.bytes()), a)
	ADDQ(U32(s.bytes()), b)
	DECQ(full)
	JMP(LabelRef("one"))
	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("sum"))
	m := s.tailMask(rest, 1)
	s.loadTail(Mem{Base: a}, m, s.v(4))
	s.fmaTail(Mem{Base: b}, s.v(4), m, s.v(1), s.v(5))
	Label("sum")
	VADDPS(s.v(1), s.v(0), s.v(0))
	VADDPS(s.v(3), s.v(2), s.v(2))
	VADDPS(s.v(2), s.v(0), s.v(0))
	s.sumLanes(0, 1)
	VZEROUPPER()
	Store(reg.X0, ReturnIndex(0))
	RET()
}

// blockRows is how many rows are summed side by side: enough to hide the latency of the
// multiply-add, and as many sums as fill one register of results.
const blockRows = 8

// dotRows takes blocks of eight rows. When the last block is not full it starts earlier and
// computes some rows twice, to the same bits; fewer than eight rows go one by one, in the same
// order of additions, so that a result does not depend on how many rows a call has.
func (s isa) dotRows() {
	s.text("dotRows", "func(q, rows []float32, stride int, out []float32)",
		"dotRows"+s.name+" sets out[i] to the inner product of q and the row that starts at rows[i*stride].")
	q, rows, stride, out, n := base("q"), base("rows"), integer("stride"), base("out"), length("out")
	full, rest := s.split(length("q"))
	SHLQ(U8(2), stride)
	left := GP64()
	MOVQ(rest, left)
	m := s.tailMask(left, 1)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	CMPQ(n, U8(blockRows))
	JLT(LabelRef("single"))

	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	Label("block")
	lo, hi := GP64(), GP64()
	MOVQ(rows, lo)
	LEAQ(Mem{Base: rows, Index: stride, Scale: 4}, hi)
	row := rowsFrom(lo, hi, stride, stride3)
	for i := range blockRows {
		zero(s.v(i))
	}
	qp, count := GP64(), GP64()
	MOVQ(q, qp)
	MOVQ(full, count)
	TESTQ(count, count)
	JZ(LabelRef("blockTail"))
	Label("blockChunk")
	VMOVUPS(Mem{Base: qp}, s.v(8))
	for i := range blockRows {
		VFMADD231PS(row(i), s.v(8), s.v(i))
	}
	ADDQ(U32(s.bytes()), qp)
	ADDQ(U32(s.bytes()), lo)
	ADDQ(U32(s.bytes()), hi)
	DECQ(count)
	JNZ(LabelRef("blockChunk"))
	Label("blockTail")
	TESTQ(rest, rest)
	JZ(LabelRef("blockSum"))
	s.loadTail(Mem{Base: qp}, m, s.v(8))
	for i := range blockRows {
		s.fmaTail(row(i), s.v(8), m, s.v(i), s.v(9))
	}
	Label("blockSum")
	s.sumRows()
	VMOVUPS(reg.Y0, Mem{Base: out})
	s.nextBlock(n, func(step reg.GPVirtual) {
		LEAQ(Mem{Base: out, Index: step, Scale: 4}, out)
		IMULQ(stride, step)
		ADDQ(step, rows)
	})

	Label("single")
	lo = GP64()
	MOVQ(rows, lo)
	s.singleRow(q, lo, full, rest, m)
	VMOVSS(reg.X0, Mem{Base: out})
	ADDQ(stride, rows)
	ADDQ(U8(4), out)
	DECQ(n)
	JNZ(LabelRef("single"))
	Label("done")
	VZEROUPPER()
	RET()
}

// rowsFrom returns the places of eight rows that are stride bytes apart; hi is four strides past lo.
func rowsFrom(lo, hi, stride, stride3 reg.GPVirtual) func(i int) Mem {
	return func(i int) Mem {
		b := lo
		if i >= 4 {
			b = hi
		}
		switch i % 4 {
		case 1:
			return Mem{Base: b, Index: stride, Scale: 1}
		case 2:
			return Mem{Base: b, Index: stride, Scale: 2}
		case 3:
			return Mem{Base: b, Index: stride3, Scale: 1}
		}
		return Mem{Base: b}
	}
}

// nextBlock counts a finished block of eight off n and goes back to "block": after a whole step
// when eight or more remain, after a shorter one when fewer do. advance moves the pointers by step
// rows and may clobber it.
func (s isa) nextBlock(n reg.GPVirtual, advance func(step reg.GPVirtual)) {
	SUBQ(U8(blockRows), n)
	JZ(LabelRef("done"))
	step, eight := GP64(), GP64()
	MOVQ(n, step)
	MOVQ(U32(blockRows), eight)
	CMPQ(n, eight)
	CMOVQGT(eight, step)
	CMOVQLT(eight, n)
	advance(step)
	JMP(LabelRef("block"))
}

// singleRow leaves the inner product of q and the row at row in X0; it clobbers row.
func (s isa) singleRow(q, row, full, rest reg.GPVirtual, m mask) {
	qp, count := GP64(), GP64()
	MOVQ(q, qp)
	MOVQ(full, count)
	zero(s.v(0))
	TESTQ(count, count)
	JZ(LabelRef("singleTail"))
	Label("singleChunk")
	VMOVUPS(Mem{Base: qp}, s.v(8))
	VFMADD231PS(Mem{Base: row}, s.v(8), s.v(0))
	ADDQ(U32(s.bytes()), qp)
	ADDQ(U32(s.bytes()), row)
	DECQ(count)
	JNZ(LabelRef("singleChunk"))
	Label("singleTail")
	TESTQ(rest, rest)
	JZ(LabelRef("singleSum"))
	s.loadTail(Mem{Base: qp}, m, s.v(8))
	s.fmaTail(Mem{Base: row}, s.v(8), m, s.v(0), s.v(9))
	Label("singleSum")
	s.sumLanes(0, 1)
}

// dotGather is dotRows over rows that are named, not neighbours. The general registers all go to
// the row pointers, so the matrix and its stride are read from the arguments.
func (s isa) dotGather() {
	s.text("dotGather", "func(q, mat []float32, stride int, rows []int32, out []float32)",
		"dotGather"+s.name+" sets out[i] to the inner product of q and the row that starts at mat[rows[i]*stride].")
	q, rows, out, n := base("q"), base("rows"), base("out"), length("rows")
	rest := length("q")
	ANDQ(U32(s.lanes-1), rest)
	m := s.tailMask(rest, 1)
	pointer := func(i int) reg.GPVirtual {
		p := GP64()
		MOVLQSX(Mem{Base: rows, Disp: 4 * i}, p)
		IMULQ(inMemory("stride"), p)
		SHLQ(U8(2), p)
		ADDQ(memory(Param("mat").Base()), p)
		return p
	}
	TESTQ(n, n)
	JZ(LabelRef("done"))
	CMPQ(n, U8(blockRows))
	JLT(LabelRef("single"))

	Label("block")
	var rp [blockRows]reg.GPVirtual
	for i := range rp {
		rp[i] = pointer(i)
		zero(s.v(i))
	}
	end, off := GP64(), GP64()
	Load(Param("q").Len(), end)
	ANDQ(I8(-s.lanes), end)
	XORQ(off, off)
	CMPQ(off, end)
	JGE(LabelRef("blockTail"))
	Label("blockChunk")
	VMOVUPS(Mem{Base: q, Index: off, Scale: 4}, s.v(8))
	for i := range rp {
		VFMADD231PS(Mem{Base: rp[i], Index: off, Scale: 4}, s.v(8), s.v(i))
	}
	ADDQ(U8(s.lanes), off)
	CMPQ(off, end)
	JLT(LabelRef("blockChunk"))
	Label("blockTail")
	CMPQ(off, memory(Param("q").Len()))
	JGE(LabelRef("blockSum"))
	s.loadTail(Mem{Base: q, Index: off, Scale: 4}, m, s.v(8))
	for i := range rp {
		s.fmaTail(Mem{Base: rp[i], Index: off, Scale: 4}, s.v(8), m, s.v(i), s.v(9))
	}
	Label("blockSum")
	s.sumRows()
	VMOVUPS(reg.Y0, Mem{Base: out})
	s.nextBlock(n, func(step reg.GPVirtual) {
		LEAQ(Mem{Base: out, Index: step, Scale: 4}, out)
		LEAQ(Mem{Base: rows, Index: step, Scale: 4}, rows)
	})

	Label("single")
	full, left := s.split(length("q"))
	s.singleRow(q, pointer(0), full, left, m)
	VMOVSS(reg.X0, Mem{Base: out})
	ADDQ(U8(4), rows)
	ADDQ(U8(4), out)
	DECQ(n)
	JNZ(LabelRef("single"))
	Label("done")
	VZEROUPPER()
	RET()
}
