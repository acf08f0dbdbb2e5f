package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bitsFamily is for AVX2 alone: gathers of 16 take longer a row than gathers of 8.
func bitsFamily(s isa) {
	if !s.wide() {
		s.bitsAt()
		s.anyBit()
	}
}

// bitsAt gathers the 32 bits around each of eight bits. What lies outside is not read.
func (s isa) bitsAt() {
	s.text("bitsAt", "func(words []uint64, rows []int32, out []uint64)", "bitsAt"+s.name+" is bitsAtGeneric.")
	words, rows, out := base("words"), base("rows"), base("out")
	full, rest := s.split(length("rows"))
	bitsLimits()
	body := func(m *mask) {
		bits := gatherBits(words, rows, m, 0)
		found := GP32()
		VMOVMSKPS(bits, found)
		MOVB(found.As8(), Mem{Base: out})
	}
	Label("full")
	TESTQ(full, full)
	JZ(LabelRef("tail"))
	body(nil)
	ADDQ(U32(s.bytes()), rows)
	INCQ(out)
	DECQ(full)
	JMP(LabelRef("full"))
	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("done"))
	m := s.tailMask(rest, 1)
	body(&m)
	Label("done")
	VZEROUPPER()
	RET()
}

// bitsLimits sets up for gatherBits, in registers 8 and 9: above which row none is read, and 31.
func bitsLimits() {
	number := length("words")
	constant := func(r int) {
		VMOVD(number.As32(), xmm[r])
		VPBROADCASTD(xmm[r], ymm[r])
	}
	SHLQ(U8(6), number)
	DECQ(number)
	constant(8)
	MOVQ(U32(31), number)
	constant(9)
}

// gatherBits leaves the bits of eight rows, or those in a mask, in the highest bit of each lane of the register
// that it returns. It takes five registers from the one named on.
func gatherBits(words, rows reg.Register, m *mask, from int) reg.VecPhysical {
	limit, low := ymm[8], ymm[9]
	row, at, bits, shift, inside := ymm[from], ymm[from+1], ymm[from+2], ymm[from+3], ymm[from+4]
	if m == nil {
		VMOVDQU(Mem{Base: rows}, row)
	} else {
		VPMASKMOVD(Mem{Base: rows}, m.y, row)
	}
	VPMINUD(limit, row, inside)
	VPCMPEQD(inside, row, inside)
	if m != nil {
		VPAND(m.y, inside, inside)
	}
	VPSRLD(U8(5), row, at)
	VPAND(low, row, shift)
	VPSUBD(shift, low, shift)
	zero(bits)
	VPGATHERDD(inside, Mem{Base: words, Index: at, Scale: 4}, bits)
	VPSLLVD(shift, bits, bits)
	return bits
}

// bitsAhead is how many rows ahead they are asked for: what is asked about next lies there more often than not.
const bitsAhead = 512

// anyBit looks at all rows: to stop at the first that has its bit, where hardly any has, would take longer.
func (s isa) anyBit() {
	s.text("anyBit", "func(words []uint64, rows []int32) uint32", "anyBit"+s.name+" is not 0 when a row has its bit.")
	words, rows := base("words"), base("rows")
	full, rest := s.split(length("rows"))
	bitsLimits()
	found := ymm[10]
	zero(found)
	Label("full")
	TESTQ(full, full)
	JZ(LabelRef("tail"))
	PREFETCHT0(Mem{Base: rows, Disp: 4 * bitsAhead})
	VPOR(gatherBits(words, rows, nil, 0), found, found)
	ADDQ(U32(s.bytes()), rows)
	DECQ(full)
	JMP(LabelRef("full"))
	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("done"))
	m := s.tailMask(rest, 1)
	VPOR(gatherBits(words, rows, &m, 0), found, found)
	Label("done")
	lanes := GP32()
	VMOVMSKPS(found, lanes)
	VZEROUPPER()
	Store(lanes, ReturnIndex(0))
	RET()
}
