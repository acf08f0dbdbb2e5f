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
	} else {
		s.dotInt8Words()
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
	table := GLOBL("wordTable", attr.RODATA|attr.NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i >= 8 {
			v = ^v
		}
		DATA(4*i, U32(v))
	}
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
	for i := 0; i < 8; i += 2 {
		VPHADDD(ymm[i+1], ymm[i], ymm[i])
	}
	VPHADDD(ymm[2], ymm[0], ymm[0])
	VPHADDD(ymm[6], ymm[4], ymm[4])
	VPERM2I128(U8(0x20), ymm[4], ymm[0], ymm[1])
	VPERM2I128(U8(0x31), ymm[4], ymm[0], ymm[2])
	VPADDD(ymm[2], ymm[1], ymm[0])
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
