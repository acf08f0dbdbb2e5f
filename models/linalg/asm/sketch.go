package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const sketchSignature = "func(q []int8, bias int32, scale, slack float32, codes []uint8, rows []uint32, blocks []int32, bars []float32, out []uint64)"

func sketchFamily(s isa) {
	if s.wide() {
		s.sketchVNNI()
	} else {
		s.sketchBytes()
	}
}

// sketchGroup is the bytes of eight values of the 64 rows of a block.
const sketchGroup = 256

// scaleBits are those of a row's word that are its scale; the others are what it leaves out.
const scaleBits = 0xffff0000

// sketchAhead is how many blocks ahead of its use one is asked for.
const sketchAhead = 3

// sketchBlocks emits what goes around a block: the names of blocks one after the other, where each
// begins, and where its word goes, which body leaves in its second argument.
func (s isa) sketchBlocks(body func(codes, rows, ahead, bar, word reg.GPVirtual)) {
	blocks, bars, out, n := base("blocks"), base("bars"), base("out"), length("blocks")
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("block")
	codes, rows, step := GP64(), GP64(), GP64()
	MOVLQSX(Mem{Base: blocks}, rows)
	MOVQ(memory(Param("q").Len()), step)
	SHLQ(U8(5), step) // sketchGroup bytes for eight values
	MOVQ(rows, codes)
	IMULQ(step, codes)
	ADDQ(memory(Param("codes").Base()), codes)
	SHLQ(U8(8), rows) // 64 words
	ADDQ(memory(Param("rows").Base()), rows)
	// The block after the next is asked for meanwhile: where blocks lie far apart, none of it is near.
	ahead := GP64()
	MOVQ(blocks, ahead)
	CMPQ(n, U8(sketchAhead))
	JLE(LabelRef("last"))
	ADDQ(U8(4*sketchAhead), ahead)
	Label("last")
	MOVLQSX(Mem{Base: ahead}, ahead)
	word := GP64()
	MOVQ(ahead, word)
	IMULQ(step, ahead)
	ADDQ(memory(Param("codes").Base()), ahead)
	SHLQ(U8(8), word)
	ADDQ(memory(Param("rows").Base()), word)
	for i := range 4 {
		PREFETCHT0(Mem{Base: word, Disp: 64 * i})
	}
	body(codes, rows, ahead, bars, word)
	MOVQ(word, Mem{Base: out})
	ADDQ(U8(4), blocks)
	ADDQ(U8(4), bars)
	ADDQ(U8(8), out)
	DECQ(n)
	JNZ(LabelRef("block"))
	Label("done")
	VZEROUPPER()
	RET()
}

// askFor asks for the lines of a group and goes on to the next.
func askFor(ahead reg.GPVirtual) {
	for i := range sketchGroup / 64 {
		PREFETCHT0(Mem{Base: ahead, Disp: 64 * i})
	}
	ADDQ(U32(sketchGroup), ahead)
}

// sketchVNNI multiplies 64 codes an instruction, four values of sixteen rows.
func (s isa) sketchVNNI() {
	s.text("sketchAbove", sketchSignature, "sketchAbove"+s.name+" is sketchAboveGeneric.")
	bias := GP32()
	Load(Param("bias"), bias)
	VPBROADCASTD(bias, zmm[30])
	VBROADCASTSS(inMemory("scale"), zmm[29])
	nibbles := GP32()
	MOVL(U32(0x0f0f0f0f), nibbles)
	VPBROADCASTD(nibbles, zmm[31])
	MOVL(U32(scaleBits), nibbles)
	VPBROADCASTD(nibbles, zmm[27])
	VBROADCASTSS(inMemory("slack"), zmm[26])
	s.sketchBlocks(func(codes, rows, ahead, bar, word reg.GPVirtual) {
		for i := range 4 {
			zero(zmm[i])
		}
		q, groups := base("q"), length("q")
		SHRQ(U8(3), groups)
		Label("group")
		VPBROADCASTD(Mem{Base: q}, zmm[8])
		VPBROADCASTD(Mem{Base: q, Disp: 4}, zmm[9])
		for i := range 4 {
			VMOVDQU32(Mem{Base: codes, Disp: 64 * i}, zmm[12+i])
			VPSRLD(U8(4), zmm[12+i], zmm[16+i])
			VPANDD(zmm[31], zmm[12+i], zmm[12+i])
			VPANDD(zmm[31], zmm[16+i], zmm[16+i])
			VPDPBUSD(zmm[8], zmm[12+i], zmm[i])
			VPDPBUSD(zmm[9], zmm[16+i], zmm[i])
		}
		ADDQ(U8(8), q)
		askFor(ahead)
		ADDQ(U32(sketchGroup), codes)
		DECQ(groups)
		JNZ(LabelRef("group"))
		VBROADCASTSS(Mem{Base: bar}, zmm[28])
		for i := range 4 {
			VPADDD(zmm[i], zmm[i], zmm[i])
			VPSUBD(zmm[30], zmm[i], zmm[i])
			VCVTDQ2PS(zmm[i], zmm[i])
			VMOVDQU32(Mem{Base: rows, Disp: 64 * i}, zmm[8+i])
			VPANDD(zmm[27], zmm[8+i], zmm[4+i])
			VMULPS(zmm[4+i], zmm[29], zmm[4+i])
			VMULPS(zmm[4+i], zmm[i], zmm[i])
			VPSLLD(U8(16), zmm[8+i], zmm[8+i])
			VMULPS(zmm[8+i], zmm[26], zmm[8+i])
			VADDPS(zmm[8+i], zmm[i], zmm[i])
			VCMPPS(U8(0x1e), zmm[28], zmm[i], opmask[1+i])
		}
		KUNPCKWD(opmask[1], opmask[2], opmask[1])
		KUNPCKWD(opmask[3], opmask[4], opmask[3])
		KUNPCKDQ(opmask[1], opmask[3], opmask[1])
		KMOVQ(opmask[1], word)
	})
}

// sketchBytes adds products of bytes in 16 bits: four of 15 times 127 at most.
func (s isa) sketchBytes() {
	s.text("sketchAbove", sketchSignature, "sketchAbove"+s.name+" is sketchAboveGeneric.")
	constant := func(v uint32, i int) {
		r := GP32()
		MOVL(U32(v), r)
		VMOVD(r, xmm[i])
		VPBROADCASTD(xmm[i], ymm[i])
	}
	constant(0x0f0f0f0f, 15)
	constant(0x00010001, 14)
	constant(scaleBits, 10)
	VBROADCASTSS(inMemory("slack"), ymm[11])
	broadcastInt("bias", 13)
	VBROADCASTSS(inMemory("scale"), ymm[12])
	s.sketchBlocks(func(codes, rows, ahead, bar, word reg.GPVirtual) {
		XORQ(word, word)
		half := GP64()
		MOVQ(U32(2), half)
		Label("half")
		for i := range 4 {
			zero(ymm[i])
		}
		q, groups, at, next := base("q"), length("q"), GP64(), GP64()
		SHRQ(U8(3), groups)
		MOVQ(codes, at)
		MOVQ(ahead, next)
		Label("group")
		VPBROADCASTD(Mem{Base: q}, ymm[8])
		VPBROADCASTD(Mem{Base: q, Disp: 4}, ymm[9])
		for i := range 4 {
			VMOVDQU(Mem{Base: at, Disp: 32 * i}, ymm[4])
			VPSRLD(U8(4), ymm[4], ymm[5])
			VPAND(ymm[15], ymm[4], ymm[6])
			VPAND(ymm[15], ymm[5], ymm[5])
			VPMADDUBSW(ymm[8], ymm[6], ymm[6])
			VPMADDUBSW(ymm[9], ymm[5], ymm[5])
			VPADDW(ymm[5], ymm[6], ymm[6])
			VPMADDWD(ymm[14], ymm[6], ymm[6])
			VPADDD(ymm[6], ymm[i], ymm[i])
		}
		askFor(next)
		ADDQ(U8(8), q)
		ADDQ(U32(sketchGroup), at)
		DECQ(groups)
		JNZ(LabelRef("group"))
		VBROADCASTSS(Mem{Base: bar}, ymm[7])
		for i := range 4 {
			VPADDD(ymm[i], ymm[i], ymm[i])
			VPSUBD(ymm[13], ymm[i], ymm[i])
			VCVTDQ2PS(ymm[i], ymm[i])
			VMOVDQU(Mem{Base: rows, Disp: 32 * i}, ymm[5])
			VPAND(ymm[10], ymm[5], ymm[4])
			VMULPS(ymm[4], ymm[12], ymm[4])
			VMULPS(ymm[4], ymm[i], ymm[i])
			VPSLLD(U8(16), ymm[5], ymm[5])
			VMULPS(ymm[5], ymm[11], ymm[5])
			VADDPS(ymm[5], ymm[i], ymm[i])
			VCMPPS(U8(0x1e), ymm[7], ymm[i], ymm[i])
			bits := GP32()
			VMOVMSKPS(ymm[i], bits)
			RORQ(U8(8), word)
			ORQ(bits.As64(), word)
		}
		ADDQ(U8(sketchGroup/2), codes)
		ADDQ(U8(sketchGroup/2), rows)
		DECQ(half)
		JNZ(LabelRef("half"))
		RORQ(U8(8), word)
	})
}
