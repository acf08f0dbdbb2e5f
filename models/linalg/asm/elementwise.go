package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func elementwiseFamily(s isa) {
	c := s.constants()
	s.combine("addTo", "dst = a + b", func(a, b, dst reg.VecPhysical) { VADDPS(b, a, dst) })
	s.combine("subTo", "dst = a - b", func(a, b, dst reg.VecPhysical) { VSUBPS(b, a, dst) })
	s.combine("mulTo", "dst = a · b", func(a, b, dst reg.VecPhysical) { VMULPS(b, a, dst) })
	s.combine("mulAddTo", "dst += a · b", func(a, b, dst reg.VecPhysical) { VFMADD231PS(b, a, dst) })
	s.combine("reluGrad", "dst = b where a > 0, else 0", func(a, b, dst reg.VecPhysical) {
		const above = 0x1e
		zero(s.v(8))
		if s.wide() {
			VCMPPS(U8(above), s.v(8), a, opmask[2])
			VMOVAPS_Z(b, opmask[2], dst)
		} else {
			VCMPPS(U8(above), s.v(8), a, s.v(8))
			VANDPS(s.v(8), b, dst)
		}
	})
	s.transform("relu", "dst = x where x is not below 0, else 0", func(x reg.VecPhysical) {
		zero(s.v(8))
		VMAXPS(x, s.v(8), x) // of a NaN and a number, the operand named first comes out
	})
	s.transform("sigmoid", "dst = 1/(1+exp(-x))", func(x reg.VecPhysical) {
		zero(s.v(8))
		VSUBPS(x, s.v(8), x)
		s.exp(c, x)
		VMOVUPS(c.at(1), s.v(8))
		VADDPS(s.v(8), x, x)
		VDIVPS(x, s.v(8), x)
	})
	s.transform("tanh", "dst = tanh(x)", func(x reg.VecPhysical) { s.tanh(c, x) })
	s.standardise()
	s.expSum(c)
	s.largest(c)
	s.adam(c)
}

// constTable holds each constant once a lane, so that it can be an operand of any width.
type constTable struct {
	table Mem
	place map[uint32]int
}

func (c *constTable) at(v float32) Mem { return c.bits(math.Float32bits(v)) }

// bits returns the place of a constant.
func (c *constTable) bits(v uint32) Mem {
	i, ok := c.place[v]
	if !ok {
		panic("asm: constant missing from the table")
	}
	m := c.table
	m.Disp += 64 * i
	return m
}

// What exp rests on: x = n·ln 2 + r with |r| ≤ ½·ln 2, and the Taylor series of exp(r) to r⁷, whose
// rest is below 2⁻²⁷.
const (
	log2e     = 1 / math.Ln2
	roundUp   = 3 << 22 // added and taken off again, it rounds to a whole number
	ln2High   = 0.693359375
	ln2Low    = math.Ln2 - ln2High
	expLeast  = -86.9 // below, exp gives 0
	expMost   = 88.73 // above, exp gives +Inf
	tanhMost  = 10    // beyond, tanh gives ±1
	halfScale = 126 << 23
	fullScale = 127 << 23
)

var series = [...]float32{1. / 5040, 1. / 720, 1. / 120, 1. / 24, 1. / 6, 1. / 2, 1}

func (s isa) constants() *constTable {
	c := &constTable{place: map[uint32]int{}}
	c.table = GLOBL("elementConst"+s.name, attr.RODATA|attr.NOPTR)
	add := func(v uint32) {
		if _, ok := c.place[v]; ok {
			return
		}
		i := len(c.place)
		c.place[v] = i
		for lane := range 16 {
			DATA(64*i+4*lane, U32(v))
		}
	}
	for _, v := range []float32{log2e, roundUp, ln2High, ln2Low, expLeast, expMost, tanhMost, -tanhMost, 2, float32(math.Inf(-1))} {
		add(math.Float32bits(v))
	}
	for _, v := range series {
		add(math.Float32bits(v))
	}
	add(halfScale)
	add(fullScale)
	return c
}

// combine writes a kernel of two inputs; dst may be one of them.
func (s isa) combine(name, doc string, body func(a, b, dst reg.VecPhysical)) {
	s.text(name, "func(dst, a, b []float32)", name+s.name+" sets "+doc+", element by element.")
	dst, a, b, n := base("dst"), base("a"), base("b"), length("dst")
	s.each(n, []reg.GPVirtual{dst, a, b}, func(r, disp int, m *mask) {
		s.load(Mem{Base: a, Disp: disp}, m, s.v(0))
		s.load(Mem{Base: b, Disp: disp}, m, s.v(1))
		if name == "mulAddTo" {
			s.load(Mem{Base: dst, Disp: disp}, m, s.v(2))
		}
		body(s.v(0), s.v(1), s.v(2))
		s.store(s.v(2), m, Mem{Base: dst, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

// transform writes a kernel of one input; dst may be it.
func (s isa) transform(name, doc string, body func(x reg.VecPhysical)) {
	s.text(name, "func(dst, x []float32)", name+s.name+" sets "+doc+", element by element.")
	dst, x, n := base("dst"), base("x"), length("dst")
	s.each(n, []reg.GPVirtual{dst, x}, func(r, disp int, m *mask) {
		s.load(Mem{Base: x, Disp: disp}, m, s.v(0))
		body(s.v(0))
		s.store(s.v(0), m, Mem{Base: dst, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

func (s isa) standardise() {
	s.text("standardise", "func(dst, x, mean, scale []float32, limit float32)",
		"standardise"+s.name+" sets dst = (x - mean)·scale within -limit and limit, 0 where that is NaN.")
	dst, x, mean, scale, n := base("dst"), base("x"), base("mean"), base("scale"), length("dst")
	const ordered = 7
	s.scalar("limit", 8)
	zero(s.v(9))
	VSUBPS(s.v(8), s.v(9), s.v(9))
	s.each(n, []reg.GPVirtual{dst, x, mean, scale}, func(_, disp int, m *mask) {
		s.load(Mem{Base: x, Disp: disp}, m, s.v(0))
		s.load(Mem{Base: mean, Disp: disp}, m, s.v(1))
		s.load(Mem{Base: scale, Disp: disp}, m, s.v(2))
		VSUBPS(s.v(1), s.v(0), s.v(0))
		VMULPS(s.v(2), s.v(0), s.v(0))
		if s.wide() {
			VCMPPS(U8(ordered), s.v(0), s.v(0), opmask[2])
		} else {
			VCMPPS(U8(ordered), s.v(0), s.v(0), s.v(3))
		}
		VMINPS(s.v(8), s.v(0), s.v(0))
		VMAXPS(s.v(9), s.v(0), s.v(0))
		if s.wide() {
			VMOVAPS_Z(s.v(0), opmask[2], s.v(0))
		} else {
			VANDPS(s.v(3), s.v(0), s.v(0))
		}
		s.store(s.v(0), m, Mem{Base: dst, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

// clamp limits x from one side, by VMINPS or VMAXPS; a NaN stays a NaN.
func (s isa) clamp(op func(...Op), limit Mem, x reg.VecPhysical) {
	VMOVUPS(limit, s.v(5))
	op(x, s.v(5), x)
}

// reduce replaces x by exp(r) - 1 in register 3 and leaves n, in the low bits, in register 1.
func (s isa) reduce(c *constTable, x reg.VecPhysical) {
	n, whole, p := s.v(1), s.v(2), s.v(3)
	VMOVUPS(c.at(roundUp), n)
	VFMADD231PS(c.at(log2e), x, n)
	VSUBPS(c.at(roundUp), n, whole)
	VFNMADD231PS(c.at(ln2High), whole, x)
	VFNMADD231PS(c.at(ln2Low), whole, x)
	VMOVUPS(c.at(series[0]), p)
	for _, t := range series[1:] {
		VFMADD213PS(c.at(t), x, p)
	}
	VMULPS(x, p, p)
}

// exp replaces x by exp(x). It uses registers 1 to 5.
func (s isa) exp(c *constTable, x reg.VecPhysical) {
	n, p, given := s.v(1), s.v(3), s.v(4)
	VMOVAPS(x, given)
	s.clamp(minPS, c.at(expMost), x)
	s.clamp(maxPS, c.at(expLeast), x)
	s.reduce(c, x)
	s.shift(n)
	VPADDD(c.bits(halfScale), n, n) // 2ⁿ⁻¹, since 2ⁿ may be past the range
	VFMADD213PS(n, n, p)
	VADDPS(p, p, x)
	const notBelow = 0x05 // true for NaN
	if s.wide() {
		VCMPPS(U8(notBelow), c.at(expLeast), given, opmask[2])
		VMOVAPS_Z(x, opmask[2], x)
	} else {
		VCMPPS(U8(notBelow), c.at(expLeast), given, given)
		VANDPS(given, x, x)
	}
}

// tanh rests on exp(2x) - 1, which loses nothing near 0.
func (s isa) tanh(c *constTable, x reg.VecPhysical) {
	n, p, t := s.v(1), s.v(3), s.v(4)
	s.clamp(minPS, c.at(tanhMost), x)
	s.clamp(maxPS, c.at(-tanhMost), x)
	VADDPS(x, x, x)
	s.reduce(c, x)
	s.shift(n)
	VPADDD(c.bits(fullScale), n, n)
	VSUBPS(c.at(1), n, t)
	VFMADD213PS(t, n, p)
	VADDPS(c.at(2), p, t)
	VDIVPS(t, p, x)
}

// shift moves n to where the exponent is.
func (s isa) shift(n reg.VecPhysical) { VPSLLD(U8(23), n, n) }

func minPS(ops ...Op) { VMINPS(ops...) }
func maxPS(ops ...Op) { VMAXPS(ops...) }

func (s isa) expSum(c *constTable) {
	s.text("expSum", "func(dst, x []float32, shift float32) float32",
		"expSum"+s.name+" sets dst = exp(x-shift), element by element, and returns the sum.")
	dst, x, n := base("dst"), base("x"), length("dst")
	s.scalar("shift", 8)
	for r := range 4 {
		zero(s.v(9 + r))
	}
	s.each(n, []reg.GPVirtual{dst, x}, func(r, disp int, m *mask) {
		s.load(Mem{Base: x, Disp: disp}, m, s.v(0))
		VSUBPS(s.v(8), s.v(0), s.v(0))
		s.exp(c, s.v(0))
		s.store(s.v(0), m, Mem{Base: dst, Disp: disp})
		switch {
		case m == nil:
			VADDPS(s.v(0), s.v(9+r), s.v(9+r))
		case s.wide():
			VADDPS(s.v(0), s.v(9), m.k, s.v(9))
		default:
			VANDPS(m.y, s.v(0), s.v(0))
			VADDPS(s.v(0), s.v(9), s.v(9))
		}
	})
	VADDPS(s.v(10), s.v(9), s.v(9))
	VADDPS(s.v(12), s.v(11), s.v(11))
	VADDPS(s.v(11), s.v(9), s.v(0))
	s.sumLanes(0, 1)
	VZEROUPPER()
	Store(reg.X0, ReturnIndex(0))
	RET()
}

func (s isa) largest(c *constTable) {
	s.text("largest", "func(x []float32) float32", "largest"+s.name+" returns the largest of x, -Inf when x is empty; a NaN may or may not count.")
	x, n := base("x"), length("x")
	for r := range 4 {
		VMOVUPS(c.at(float32(math.Inf(-1))), s.v(r))
	}
	s.each(n, []reg.GPVirtual{x}, func(r, disp int, m *mask) {
		src := Mem{Base: x, Disp: disp}
		switch {
		case m == nil:
			VMAXPS(src, s.v(r), s.v(r))
		case s.wide():
			VMAXPS(src, s.v(0), m.k, s.v(0))
		default:
			s.loadTail(src, *m, s.v(4))
			VBLENDVPS(m.y, s.v(4), s.v(1), s.v(4))
			VMAXPS(s.v(4), s.v(0), s.v(0))
		}
	})
	VMAXPS(s.v(1), s.v(0), s.v(0))
	VMAXPS(s.v(3), s.v(2), s.v(2))
	VMAXPS(s.v(2), s.v(0), s.v(0))
	if s.wide() {
		VEXTRACTF64X4(U8(1), zmm[0], ymm[1])
		VMAXPS(ymm[1], ymm[0], ymm[0])
	}
	VEXTRACTF128(U8(1), ymm[0], xmm[1])
	VMAXPS(xmm[1], xmm[0], xmm[0])
	VPERMILPS(U8(0x4e), xmm[0], xmm[1])
	VMAXPS(xmm[1], xmm[0], xmm[0])
	VPERMILPS(U8(0xb1), xmm[0], xmm[1])
	VMAXPS(xmm[1], xmm[0], xmm[0])
	VZEROUPPER()
	Store(reg.X0, ReturnIndex(0))
	RET()
}

// adam reads the step's numbers in the order of adamCoefficients.
func (s isa) adam(c *constTable) {
	s.text("adam", "func(w, g, m, v []float32, c *float32)", "adam"+s.name+" is adamGeneric; c is the first of the adamCoefficients.")
	w, g, m, v, n, at := base("w"), base("g"), base("m"), base("v"), length("w"), integer("c")
	const first = 6
	coefficient := func(i int) reg.VecPhysical { return s.v(first + i) }
	for i := range 8 {
		VBROADCASTSS(Mem{Base: at, Disp: 4 * i}, coefficient(i))
	}
	b1, r1, b2, r2, rate, scale2, eps, keep := coefficient(0), coefficient(1), coefficient(2), coefficient(3),
		coefficient(4), coefficient(5), coefficient(6), coefficient(7)
	s.each(n, []reg.GPVirtual{w, g, m, v}, func(_, disp int, mk *mask) {
		grad, first, second, weight, t := s.v(0), s.v(1), s.v(2), s.v(3), s.v(4)
		s.load(Mem{Base: g, Disp: disp}, mk, grad)
		s.load(Mem{Base: m, Disp: disp}, mk, first)
		VMULPS(b1, first, first)
		VFMADD231PS(r1, grad, first)
		s.store(first, mk, Mem{Base: m, Disp: disp})
		s.load(Mem{Base: v, Disp: disp}, mk, second)
		VMULPS(b2, second, second)
		VMULPS(grad, grad, t)
		VFMADD231PS(r2, t, second)
		s.store(second, mk, Mem{Base: v, Disp: disp})
		VMULPS(scale2, second, second)
		VSQRTPS(second, second)
		VADDPS(eps, second, second)
		VDIVPS(second, first, first)
		s.load(Mem{Base: w, Disp: disp}, mk, weight)
		VMULPS(keep, weight, weight)
		VFNMADD231PS(rate, first, weight)
		s.store(weight, mk, Mem{Base: w, Disp: disp})
	})
	VZEROUPPER()
	RET()
}
