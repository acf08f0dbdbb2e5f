package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func vectorFamily(s isa) {
	s.axpy()
	s.scale()
	s.sum()
	s.axpyMany(false)
	s.axpyMany(true)
	s.indexAbove()
	s.indexOf()
}

// scalar broadcasts a float32 parameter to register i.
func (s isa) scalar(name string, i int) {
	VBROADCASTSS(inMemory(name), s.v(i))
}

// each walks over n elements: four registers at a time, then one, then the rest under a mask.
// pointers advance together; body handles register r at displacement disp, masked when m is set.
func (s isa) each(n reg.GPVirtual, pointers []reg.GPVirtual, body func(r, disp int, m *mask)) {
	full, rest := s.split(n)
	step := func(regs int) {
		for _, p := range pointers {
			ADDQ(U32(regs*s.bytes()), p)
		}
	}
	Label("four")
	CMPQ(full, U8(4))
	JLT(LabelRef("one"))
	for r := range 4 {
		body(r, r*s.bytes(), nil)
	}
	step(4)
	SUBQ(U8(4), full)
	JMP(LabelRef("four"))
	Label("one")
	TESTQ(full, full)
	JZ(LabelRef("tail"))
	body(0, 0, nil)
	step(1)
	DECQ(full)
	JMP(LabelRef("one"))
	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("done"))
	m := s.tailMask(rest, 1)
	body(0, 0, &m)
	Label("done")
}

func (s isa) load(src Mem, m *mask, dst reg.VecPhysical) {
	if m == nil {
		VMOVUPS(src, dst)
	} else {
		s.loadTail(src, *m, dst)
	}
}

func (s isa) store(src reg.VecPhysical, m *mask, dst Mem) {
	if m == nil {
		VMOVUPS(src, dst)
	} else {
		s.storeTail(src, *m, dst)
	}
}

func (s isa) axpy() {
	s.text("axpy", "func(alpha float32, x, y []float32)", "axpy"+s.name+" adds alpha times x to y; y is at least as long as x.")
	x, y, n := base("x"), base("y"), length("x")
	s.scalar("alpha", 8)
	s.each(n, []reg.GPVirtual{x, y}, func(r, disp int, m *mask) {
		s.load(Mem{Base: y, Disp: disp}, m, s.v(r))
		s.load(Mem{Base: x, Disp: disp}, m, s.v(4+r))
		VFMADD231PS(s.v(4+r), s.v(8), s.v(r))
		s.store(s.v(r), m, Mem{Base: y, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

func (s isa) scale() {
	s.text("scale", "func(alpha float32, x []float32)", "scale"+s.name+" multiplies every element of x by alpha.")
	x, n := base("x"), length("x")
	s.scalar("alpha", 8)
	s.each(n, []reg.GPVirtual{x}, func(r, disp int, m *mask) {
		s.load(Mem{Base: x, Disp: disp}, m, s.v(r))
		VMULPS(s.v(8), s.v(r), s.v(r))
		s.store(s.v(r), m, Mem{Base: x, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

func (s isa) sum() {
	s.text("sum", "func(x []float32) float32", "sum"+s.name+" returns the sum of x.")
	x, n := base("x"), length("x")
	for r := range 4 {
		zero(s.v(r))
	}
	s.each(n, []reg.GPVirtual{x}, func(r, disp int, m *mask) {
		s.load(Mem{Base: x, Disp: disp}, m, s.v(4+r))
		VADDPS(s.v(4+r), s.v(r), s.v(r))
	})
	VADDPS(s.v(1), s.v(0), s.v(0))
	VADDPS(s.v(3), s.v(2), s.v(2))
	VADDPS(s.v(2), s.v(0), s.v(0))
	s.sumLanes(0, 1)
	VZEROUPPER()
	Store(reg.X0, ReturnIndex(0))
	RET()
}

// axpyMany adds weighted rows to y strip by strip, with the strip of y in registers while all rows
// pass by: eight registers wide, then four, then one, then the rest under a mask.
func (s isa) axpyMany(gather bool) {
	if gather {
		s.text("axpyGather", "func(alpha, mat []float32, stride int, rows []int32, y []float32)",
			"axpyGather"+s.name+" adds alpha[i] times the row that starts at mat[rows[i]*stride] to y.")
	} else {
		s.text("axpyRows", "func(alpha, rows []float32, stride int, y []float32)",
			"axpyRows"+s.name+" adds alpha[i] times the row that starts at rows[i*stride] to y.")
	}
	alpha, n, stride, y := base("alpha"), length("alpha"), integer("stride"), base("y")
	var mat, index reg.GPVirtual
	if gather {
		mat, index = base("mat"), base("rows")
	} else {
		mat = base("rows")
	}
	full, rest := s.split(length("y"))
	SHLQ(U8(2), stride)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	strip := func(name string, regs int, m *mask) {
		ap, count, row := GP64(), GP64(), GP64()
		ip := index
		MOVQ(alpha, ap)
		MOVQ(n, count)
		if gather {
			ip = GP64()
			MOVQ(index, ip)
		} else {
			MOVQ(mat, row)
		}
		for r := range regs {
			s.load(Mem{Base: y, Disp: r * s.bytes()}, m, s.v(r))
		}
		Label(name + "Row")
		if gather {
			MOVLQSX(Mem{Base: ip}, row)
			IMULQ(stride, row)
			ADDQ(mat, row)
			ADDQ(U8(4), ip)
		}
		VBROADCASTSS(Mem{Base: ap}, s.v(8))
		for r := range regs {
			src := Mem{Base: row, Disp: r * s.bytes()}
			if m == nil {
				VFMADD231PS(src, s.v(8), s.v(r))
			} else {
				s.loadTail(src, *m, s.v(9))
				VFMADD231PS(s.v(9), s.v(8), s.v(r))
			}
		}
		if !gather {
			ADDQ(stride, row)
		}
		ADDQ(U8(4), ap)
		DECQ(count)
		JNZ(LabelRef(name + "Row"))
		for r := range regs {
			s.store(s.v(r), m, Mem{Base: y, Disp: r * s.bytes()})
		}
		ADDQ(U32(regs*s.bytes()), y)
		ADDQ(U32(regs*s.bytes()), mat)
	}
	for _, regs := range []int{8, 4, 1} {
		name := map[int]string{8: "eight", 4: "four", 1: "one"}[regs]
		Label(name)
		CMPQ(full, U8(regs))
		JLT(LabelRef(name + "End"))
		strip(name, regs, nil)
		SUBQ(U8(regs), full)
		JMP(LabelRef(name))
		Label(name + "End")
	}
	TESTQ(rest, rest)
	JZ(LabelRef("done"))
	m := s.tailMask(rest, 1)
	strip("rest", 1, &m)
	Label("done")
	VZEROUPPER()
	RET()
}

// indexAbove compares four registers at a time and looks closer only when one of them holds a hit.
func (s isa) indexAbove() {
	s.text("indexAbove", "func(x []float32, bar float32) int",
		"indexAbove"+s.name+" returns the index of the first element above bar, len(x) when there is none.")
	x, n := base("x"), length("x")
	s.scalar("bar", 8)
	at, limit, bits := GP64(), GP64(), GP64()
	XORQ(at, at)
	const above = 0x1e // greater than, quiet: false for NaN
	element := func(r int) Mem { return Mem{Base: x, Index: at, Scale: 4, Disp: r * s.bytes()} }
	// compare leaves a bit per lane of one register in bits and jumps to found when one is set.
	compare := func() {
		if s.wide() {
			VMOVUPS(element(0), s.v(0))
			VCMPPS(U8(above), s.v(8), s.v(0), opmask[1])
			KMOVW(opmask[1], bits.As32())
		} else {
			VMOVUPS(element(0), s.v(0))
			VCMPPS(U8(above), s.v(8), s.v(0), s.v(0))
			VMOVMSKPS(s.v(0), bits.As32())
		}
		TESTL(bits.As32(), bits.As32())
		JNZ(LabelRef("found"))
	}
	Label("four")
	LEAQ(Mem{Base: at, Disp: 4 * s.lanes}, limit)
	CMPQ(limit, n)
	JGT(LabelRef("one"))
	for r := range 4 {
		VMOVUPS(element(r), s.v(r))
		if s.wide() {
			VCMPPS(U8(above), s.v(8), s.v(r), opmask[1+r])
		} else {
			VCMPPS(U8(above), s.v(8), s.v(r), s.v(r))
		}
	}
	if s.wide() {
		KORW(opmask[2], opmask[1], opmask[1])
		KORW(opmask[4], opmask[3], opmask[3])
		KORTESTW(opmask[1], opmask[3])
	} else {
		VORPS(s.v(1), s.v(0), s.v(0))
		VORPS(s.v(3), s.v(2), s.v(2))
		VORPS(s.v(2), s.v(0), s.v(0))
		VPTEST(s.v(0), s.v(0))
	}
	JNZ(LabelRef("one"))
	MOVQ(limit, at)
	JMP(LabelRef("four"))
	Label("one")
	LEAQ(Mem{Base: at, Disp: s.lanes}, limit)
	CMPQ(limit, n)
	JGT(LabelRef("scalar"))
	compare()
	MOVQ(limit, at)
	JMP(LabelRef("one"))
	Label("scalar")
	CMPQ(at, n)
	JGE(LabelRef("none"))
	VMOVSS(element(0), xmm[0])
	VUCOMISS(xmm[8], xmm[0])
	JHI(LabelRef("hit"))
	INCQ(at)
	JMP(LabelRef("scalar"))
	Label("found")
	BSFL(bits.As32(), bits.As32())
	ADDQ(bits, at)
	Label("hit")
	VZEROUPPER()
	Store(at, ReturnIndex(0))
	RET()
	Label("none")
	VZEROUPPER()
	Store(n, ReturnIndex(0))
	RET()
}

// indexOf compares two registers at a time and looks closer only when one of them holds a hit.
func (s isa) indexOf() {
	s.text("indexOf", "func(x []int32, v int32) int",
		"indexOf"+s.name+" returns the index of the first element that is v, len(x) when there is none.")
	x, n := base("x"), length("x")
	v, at, limit, bits := GP32(), GP64(), GP64(), GP64()
	Load(Param("v"), v)
	if s.wide() {
		VPBROADCASTD(v, s.v(8))
	} else {
		VMOVD(v, xmm[8])
		VPBROADCASTD(xmm[8], s.v(8))
	}
	XORQ(at, at)
	element := func(r int) Mem { return Mem{Base: x, Index: at, Scale: 4, Disp: r * s.bytes()} }
	Label("two")
	LEAQ(Mem{Base: at, Disp: 2 * s.lanes}, limit)
	CMPQ(limit, n)
	JGT(LabelRef("one"))
	if s.wide() {
		VPCMPEQD(element(0), s.v(8), opmask[1])
		VPCMPEQD(element(1), s.v(8), opmask[2])
		KORTESTW(opmask[1], opmask[2])
	} else {
		VPCMPEQD(element(0), s.v(8), s.v(0))
		VPCMPEQD(element(1), s.v(8), s.v(1))
		VORPS(s.v(1), s.v(0), s.v(0))
		VPTEST(s.v(0), s.v(0))
	}
	JNZ(LabelRef("one"))
	MOVQ(limit, at)
	JMP(LabelRef("two"))
	Label("one")
	LEAQ(Mem{Base: at, Disp: s.lanes}, limit)
	CMPQ(limit, n)
	JGT(LabelRef("scalar"))
	if s.wide() {
		VPCMPEQD(element(0), s.v(8), opmask[1])
		KMOVW(opmask[1], bits.As32())
	} else {
		VPCMPEQD(element(0), s.v(8), s.v(0))
		VMOVMSKPS(s.v(0), bits.As32())
	}
	TESTL(bits.As32(), bits.As32())
	JNZ(LabelRef("found"))
	MOVQ(limit, at)
	JMP(LabelRef("one"))
	Label("scalar")
	CMPQ(at, n)
	JGE(LabelRef("none"))
	CMPL(v, Mem{Base: x, Index: at, Scale: 4})
	JEQ(LabelRef("hit"))
	INCQ(at)
	JMP(LabelRef("scalar"))
	Label("found")
	BSFL(bits.As32(), bits.As32())
	ADDQ(bits, at)
	Label("hit")
	VZEROUPPER()
	Store(at, ReturnIndex(0))
	RET()
	Label("none")
	VZEROUPPER()
	Store(n, ReturnIndex(0))
	RET()
}
