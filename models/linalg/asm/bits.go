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
	}
}

// bitsAt gathers the 32 bits around each of eight bits. What lies outside is not read.
func (s isa) bitsAt() {
	s.text("bitsAt", "func(words []uint64, rows []int32, out []uint64)", "bitsAt"+s.name+" is bitsAtGeneric.")
	words, rows, out := base("words"), base("rows"), base("out")
	full, rest := s.split(length("rows"))
	limit, low := ymm[8], ymm[9]
	constant := func(r reg.GPVirtual, v reg.VecPhysical) {
		VMOVD(r.As32(), v.AsX())
		VPBROADCASTD(v.AsX(), v)
	}
	number := length("words")
	SHLQ(U8(6), number)
	DECQ(number)
	constant(number, limit) // no row above it is read
	MOVQ(U32(31), number)
	constant(number, low)
	row, at, bits, shift, inside := ymm[0], ymm[1], ymm[2], ymm[3], ymm[4]
	body := func(m *mask) {
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
