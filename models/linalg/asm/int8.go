package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const int8Signature = "func(q []int8, bias int32, scale float32, codes []uint8, scales, out []float32)"

func int8Family(s isa) {
	if s.wide() {
		s.dotInt8VNNI()
		s.dotInt8GatherVNNI()
	} else {
		s.dotInt8Words()
		s.dotInt8GatherWords()
	}
}

// broadcastInt fills register i with an int32 parameter.
func broadcastInt(name string, i int) {
	r := GP32()
	Load(Param(name), r)
	VMOVD(r, xmm[i])
	VPBROADCASTD(xmm[i], ymm[i])
}

// dotInt8VNNI multiplies 64 codes an instruction. Sums are exact, so blocks may overlap as in
// dotRows.
func (s isa) dotInt8VNNI() {
	s.text("dotInt8", int8Signature, "dotInt8"+s.name+" is dotInt8Generic for 8 rows or more.")
	q, codes, scales, out, n := base("q"), base("codes"), base("scales"), base("out"), length("out")
	d := length("q")
	full, rest := GP64(), GP64()
	MOVQ(d, full)
	SHRQ(U8(6), full)
	MOVQ(d, rest)
	ANDQ(U8(63), rest)
	tail := opmask[1]
	one := GP64()
	MOVQ(U32(1), one)
	SHLXQ(rest, one, one)
	DECQ(one)
	KMOVQ(one, tail)
	broadcastInt("bias", 13)
	VBROADCASTSS(inMemory("scale"), ymm[14])
	d3 := GP64()
	LEAQ(Mem{Base: d, Index: d, Scale: 2}, d3)

	Label("block")
	lo, hi, qp, count := GP64(), GP64(), GP64(), GP64()
	MOVQ(codes, lo)
	LEAQ(Mem{Base: codes, Index: d, Scale: 4}, hi)
	row := rowsFrom(lo, hi, d, d3)
	for i := range blockRows {
		VPXORD(zmm[i], zmm[i], zmm[i])
	}
	MOVQ(q, qp)
	MOVQ(full, count)
	TESTQ(count, count)
	JZ(LabelRef("blockTail"))
	Label("blockChunk")
	VMOVDQU8(Mem{Base: qp}, zmm[8])
	for i := range blockRows {
		VMOVDQU8(row(i), zmm[16+i])
		VPDPBUSD(zmm[8], zmm[16+i], zmm[i])
	}
	ADDQ(U8(64), qp)
	ADDQ(U8(64), lo)
	ADDQ(U8(64), hi)
	DECQ(count)
	JNZ(LabelRef("blockChunk"))
	Label("blockTail")
	TESTQ(rest, rest)
	JZ(LabelRef("blockSum"))
	VMOVDQU8_Z(Mem{Base: qp}, tail, zmm[8])
	for i := range blockRows {
		VMOVDQU8_Z(row(i), tail, zmm[16+i])
		VPDPBUSD(zmm[8], zmm[16+i], zmm[i])
	}
	Label("blockSum")
	sumInts512()
	VPSUBD(ymm[13], ymm[0], ymm[0])
	VCVTDQ2PS(ymm[0], ymm[0])
	VMULPS(Mem{Base: scales}, ymm[14], ymm[1])
	VMULPS(ymm[1], ymm[0], ymm[0])
	VMOVUPS(ymm[0], Mem{Base: out})
	s.nextBlock(n, func(step reg.GPVirtual) {
		LEAQ(Mem{Base: out, Index: step, Scale: 4}, out)
		LEAQ(Mem{Base: scales, Index: step, Scale: 4}, scales)
		IMULQ(d, step)
		ADDQ(step, codes)
	})
	Label("done")
	VZEROUPPER()
	RET()
}

// dotInt8Words widens the codes to 16 bits, since the byte product of AVX2 saturates. What is left
// of a row is read as its last 16 codes, with zeros in the query where they were counted already.
func (s isa) dotInt8Words() {
	table := wordTable()
	s.text("dotInt8", int8Signature, "dotInt8"+s.name+" is dotInt8Generic for 8 rows or more of 16 codes or more.")
	q, codes, scales, out, n := base("q"), base("codes"), base("scales"), base("out"), length("out")
	d := length("q")
	rest := GP64()
	MOVQ(d, rest)
	ANDQ(U8(15), rest)
	words := GP64()
	LEAQ(table, words)
	VMOVDQU(Mem{Base: words, Index: rest, Scale: 2}, ymm[15])
	VPMOVSXBW(Mem{Base: q, Index: d, Scale: 1, Disp: -16}, ymm[14])
	VPAND(ymm[15], ymm[14], ymm[14]) // the query's last codes
	broadcastInt("bias", 13)
	VBROADCASTSS(inMemory("scale"), ymm[12])
	d3 := GP64()
	LEAQ(Mem{Base: d, Index: d, Scale: 2}, d3)

	Label("block")
	lo, hi, off := GP64(), GP64(), GP64()
	MOVQ(codes, lo)
	LEAQ(Mem{Base: codes, Index: d, Scale: 4}, hi)
	row := rowsFrom(lo, hi, d, d3)
	for i := range blockRows {
		VPXOR(ymm[i], ymm[i], ymm[i])
	}
	accumulate := func(query reg.VecPhysical) {
		for i := range blockRows {
			VPMOVZXBW(row(i), ymm[9])
			VPMADDWD(query, ymm[9], ymm[9])
			VPADDD(ymm[9], ymm[i], ymm[i])
		}
	}
	MOVQ(q, off)
	end := GP64()
	MOVQ(d, end)
	SHRQ(U8(4), end)
	Label("blockChunk")
	VPMOVSXBW(Mem{Base: off}, ymm[8])
	accumulate(ymm[8])
	ADDQ(U8(16), off)
	ADDQ(U8(16), lo)
	ADDQ(U8(16), hi)
	DECQ(end)
	JNZ(LabelRef("blockChunk"))
	TESTQ(rest, rest)
	JZ(LabelRef("blockSum"))
	SUBQ(U8(16), lo)
	SUBQ(U8(16), hi)
	ADDQ(rest, lo)
	ADDQ(rest, hi)
	accumulate(ymm[14])
	Label("blockSum")
	sumInts256()
	VPSUBD(ymm[13], ymm[0], ymm[0])
	VCVTDQ2PS(ymm[0], ymm[0])
	VMULPS(Mem{Base: scales}, ymm[12], ymm[1])
	VMULPS(ymm[1], ymm[0], ymm[0])
	VMOVUPS(ymm[0], Mem{Base: out})
	s.nextBlock(n, func(step reg.GPVirtual) {
		LEAQ(Mem{Base: out, Index: step, Scale: 4}, out)
		LEAQ(Mem{Base: scales, Index: step, Scale: 4}, scales)
		IMULQ(d, step)
		ADDQ(step, codes)
	})
	Label("done")
	VZEROUPPER()
	RET()
}

// wordTable returns sixteen words of zeros followed by sixteen of ones.
func wordTable() Mem {
	if m, ok := tables["word"]; ok {
		return m
	}
	m := GLOBL("wordTable", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i >= 8 {
			v = ^v
		}
		DATA(4*i, U32(v))
	}
	tables["word"] = m
	return m
}

// sumInts512 leaves the sums of Z0 to Z7 in the eight lanes of Y0. It uses Z8, Z9 and Z16 to Z23.
func sumInts512() {
	for i := 0; i < 8; i += 2 {
		VPUNPCKLDQ(zmm[i+1], zmm[i], zmm[16+i])
		VPUNPCKHDQ(zmm[i+1], zmm[i], zmm[17+i])
		VPADDD(zmm[17+i], zmm[16+i], zmm[i])
	}
	for i := 0; i < 8; i += 4 {
		VPUNPCKLQDQ(zmm[i+2], zmm[i], zmm[16+i])
		VPUNPCKHQDQ(zmm[i+2], zmm[i], zmm[17+i])
		VPADDD(zmm[17+i], zmm[16+i], zmm[i])
	}
	VSHUFI32X4(U8(0x44), zmm[4], zmm[0], zmm[8])
	VSHUFI32X4(U8(0xee), zmm[4], zmm[0], zmm[9])
	VPADDD(zmm[9], zmm[8], zmm[0])
	VSHUFI32X4(U8(0x08), zmm[0], zmm[0], zmm[8])
	VSHUFI32X4(U8(0x0d), zmm[0], zmm[0], zmm[9])
	VPADDD(ymm[9], ymm[8], ymm[0])
}

// sumInts256 leaves the sums of Y0 to Y7 in the eight lanes of Y0.
func sumInts256() {
	for i := 0; i < 8; i += 2 {
		VPHADDD(ymm[i+1], ymm[i], ymm[i])
	}
	VPHADDD(ymm[2], ymm[0], ymm[0])
	VPHADDD(ymm[6], ymm[4], ymm[4])
	VPERM2I128(U8(0x20), ymm[4], ymm[0], ymm[1])
	VPERM2I128(U8(0x31), ymm[4], ymm[0], ymm[2])
	VPADDD(ymm[2], ymm[1], ymm[0])
}

const int8GatherSignature = "func(q []int8, bias int32, scale float32, codes []uint8, scales []float32, rows []int32, out []float32)"

// codePointer returns where the i-th of the named rows begins.
func codePointer(rows reg.GPVirtual, i int) reg.GPVirtual {
	p := GP64()
	MOVLQSX(Mem{Base: rows, Disp: 4 * i}, p)
	IMULQ(memory(Param("q").Len()), p)
	ADDQ(memory(Param("codes").Base()), p)
	return p
}

// rowsAhead is how many rows before they are multiplied named rows are asked for: further than the
// processor looks ahead by itself.
const rowsAhead = 32

// askAhead asks for the first line, and the scale, of eight of the rows that come later, where there are as many.
func askAhead(rows, n reg.GPVirtual) {
	CMPQ(n, U32(rowsAhead+blockRows))
	JL(LabelRef("near"))
	for i := range blockRows {
		p := GP64()
		MOVLQSX(Mem{Base: rows, Disp: 4 * (rowsAhead + i)}, p)
		scale := GP64()
		MOVQ(p, scale)
		IMULQ(memory(Param("q").Len()), p)
		ADDQ(memory(Param("codes").Base()), p)
		PREFETCHT0(Mem{Base: p})
		SHLQ(U8(2), scale)
		ADDQ(memory(Param("scales").Base()), scale)
		PREFETCHT0(Mem{Base: scale})
	}
	Label("near")
}

// storeGathered scales the sums in Y0 by the named rows' scales, which it fetches, and goes on.
func (s isa) storeGathered(rows, out, n reg.GPVirtual) {
	scales := GP64()
	Load(Param("scales").Base(), scales)
	VMOVDQU(Mem{Base: rows}, ymm[10])
	VPCMPEQD(ymm[11], ymm[11], ymm[11])
	VGATHERDPS(ymm[11], Mem{Base: scales, Index: ymm[10], Scale: 4}, ymm[1])
	VPSUBD(ymm[13], ymm[0], ymm[0])
	VCVTDQ2PS(ymm[0], ymm[0])
	VMULPS(ymm[1], ymm[12], ymm[1])
	VMULPS(ymm[1], ymm[0], ymm[0])
	VMOVUPS(ymm[0], Mem{Base: out})
	s.nextBlock(n, func(step reg.GPVirtual) {
		LEAQ(Mem{Base: out, Index: step, Scale: 4}, out)
		LEAQ(Mem{Base: rows, Index: step, Scale: 4}, rows)
	})
}

// dotInt8GatherVNNI is dotInt8VNNI over rows that are named: the eight of a block are fetched side
// by side, which hides most of the memory's latency.
func (s isa) dotInt8GatherVNNI() {
	s.text("dotInt8Gather", int8GatherSignature, "dotInt8Gather"+s.name+" is dotInt8GatherGeneric for 8 rows or more.")
	q, rows, out, n := base("q"), base("rows"), base("out"), length("rows")
	rest, one := length("q"), GP64()
	ANDQ(U8(63), rest)
	MOVQ(U32(1), one)
	SHLXQ(rest, one, one)
	DECQ(one)
	tail := opmask[1]
	KMOVQ(one, tail)
	broadcastInt("bias", 13)
	VBROADCASTSS(inMemory("scale"), ymm[12])

	Label("block")
	askAhead(rows, n)
	var rp [blockRows]reg.GPVirtual
	for i := range rp {
		rp[i] = codePointer(rows, i)
		VPXORD(zmm[i], zmm[i], zmm[i])
	}
	end, off := GP64(), GP64()
	Load(Param("q").Len(), end)
	ANDQ(I8(-64), end)
	XORQ(off, off)
	CMPQ(off, end)
	JGE(LabelRef("blockTail"))
	Label("blockChunk")
	VMOVDQU8(Mem{Base: q, Index: off, Scale: 1}, zmm[8])
	for i := range rp {
		VMOVDQU8(Mem{Base: rp[i], Index: off, Scale: 1}, zmm[16+i])
		VPDPBUSD(zmm[8], zmm[16+i], zmm[i])
	}
	ADDQ(U8(64), off)
	CMPQ(off, end)
	JLT(LabelRef("blockChunk"))
	Label("blockTail")
	CMPQ(off, memory(Param("q").Len()))
	JGE(LabelRef("blockSum"))
	VMOVDQU8_Z(Mem{Base: q, Index: off, Scale: 1}, tail, zmm[8])
	for i := range rp {
		VMOVDQU8_Z(Mem{Base: rp[i], Index: off, Scale: 1}, tail, zmm[16+i])
		VPDPBUSD(zmm[8], zmm[16+i], zmm[i])
	}
	Label("blockSum")
	sumInts512()
	s.storeGathered(rows, out, n)
	Label("done")
	VZEROUPPER()
	RET()
}

// dotInt8GatherWords is dotInt8Words over rows that are named.
func (s isa) dotInt8GatherWords() {
	table := wordTable()
	s.text("dotInt8Gather", int8GatherSignature, "dotInt8Gather"+s.name+" is dotInt8GatherGeneric for 8 rows or more of 16 codes or more.")
	q, rows, out, n := base("q"), base("rows"), base("out"), length("rows")
	d, rest, words := length("q"), GP64(), GP64()
	MOVQ(d, rest)
	ANDQ(U8(15), rest)
	LEAQ(table, words)
	VMOVDQU(Mem{Base: words, Index: rest, Scale: 2}, ymm[15])
	VPMOVSXBW(Mem{Base: q, Index: d, Scale: 1, Disp: -16}, ymm[14])
	VPAND(ymm[15], ymm[14], ymm[14]) // the query's last codes
	broadcastInt("bias", 13)
	VBROADCASTSS(inMemory("scale"), ymm[12])

	Label("block")
	askAhead(rows, n)
	var rp [blockRows]reg.GPVirtual
	for i := range rp {
		rp[i] = codePointer(rows, i)
		VPXOR(ymm[i], ymm[i], ymm[i])
	}
	accumulate := func(query reg.VecPhysical, off reg.GPVirtual, disp int) {
		for i := range rp {
			VPMOVZXBW(Mem{Base: rp[i], Index: off, Scale: 1, Disp: disp}, ymm[9])
			VPMADDWD(query, ymm[9], ymm[9])
			VPADDD(ymm[9], ymm[i], ymm[i])
		}
	}
	end, off := GP64(), GP64()
	Load(Param("q").Len(), end)
	ANDQ(I8(-16), end)
	XORQ(off, off)
	Label("blockChunk")
	VPMOVSXBW(Mem{Base: q, Index: off, Scale: 1}, ymm[8])
	accumulate(ymm[8], off, 0)
	ADDQ(U8(16), off)
	CMPQ(off, end)
	JLT(LabelRef("blockChunk"))
	Load(Param("q").Len(), off)
	CMPQ(off, end)
	JEQ(LabelRef("blockSum"))
	accumulate(ymm[14], off, -16)
	Label("blockSum")
	sumInts256()
	s.storeGathered(rows, out, n)
	Label("done")
	VZEROUPPER()
	RET()
}
