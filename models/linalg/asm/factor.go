package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// factorFamily writes the step of the Cholesky factor that cannot be a product: one row after the
// other is divided by the root of its pivot and taken out of the rows below it. All rows of a tile
// stay in registers meanwhile.
func factorFamily(s isa) {
	lanes := GLOBL("laneTable"+s.name, attr.RODATA|attr.NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i))
	}
	consts := GLOBL("factorConst"+s.name, attr.RODATA|attr.NOPTR)
	for i, v := range []float32{math.MaxFloat32, 0.5, 1} {
		DATA(4*i, U32(math.Float32bits(v)))
	}
	constant := func(i int) Mem { m := consts; m.Disp += 4 * i; return m }
	rows := s.tileRows()
	s.text("factorRows", "func(m, n int, a *float32, stride int) int",
		fmt.Sprintf("factorRows%s is factorRowsGeneric for m = %d, or m = n < %d.", s.name, rows, rows))
	m, n, a, stride := integer("m"), integer("n"), integer("a"), bytesOf("stride")
	inverse := AllocLocal(4 * rows)
	inv := func(i int) Mem { x := inverse; x.Disp += 4 * i; return x }

	// The first strip holds the pivots. A row past m is zeros and changes nothing.
	index := func(i int) reg.VecPhysical { return s.v(map[bool]int{true: 20, false: 10}[s.wide()] + i) }
	tmp := func(i int) reg.VecPhysical { return s.v(rows + i) }
	slot := 1
	if !s.wide() {
		slot = 16 - rows
	}
	firstMask := func() mask {
		count, most := GP64(), GP64()
		MOVQ(U32(s.lanes), most)
		MOVQ(n, count)
		CMPQ(count, most)
		CMOVQGT(most, count)
		return s.tailMask(count, slot)
	}
	for i := range rows {
		zero(s.v(i))
		at := lanes
		at.Disp += 4 * i
		VPBROADCASTD(at, index(i))
	}
	k := firstMask()
	p := GP64()
	MOVQ(a, p)
	for i := range rows {
		if i > 0 {
			CMPQ(m, U8(i))
			JLE(LabelRef("loaded"))
			ADDQ(stride, p)
		}
		s.loadTail(Mem{Base: p}, k, s.v(i))
	}
	Label("loaded")
	bad := GP64()
	for i := range rows {
		if i > 0 {
			CMPQ(m, U8(i))
			JLE(LabelRef("factored"))
		}
		row, pivot := s.v(i), tmp(0)
		MOVQ(U32(i), bad)
		VPERMPS(row, index(i), pivot)
		zero(tmp(1))
		VUCOMISS(xmm[rows+1], xmm[rows])
		JLS(LabelRef("bad"))
		VMOVSS(constant(0), xmm[rows+1])
		VUCOMISS(xmm[rows], xmm[rows+1])
		JCS(LabelRef("bad"))
		s.inverseRoot(pivot, constant)
		VMOVSS(pivot.(reg.Vec).AsX(), inv(i))
		VMULPS(pivot, row, row)
		for t := i + 1; t < rows; t++ {
			u := tmp(1 + t%2)
			VPERMPS(row, index(t), u)
			VFNMADD231PS(u, row, s.v(t))
		}
	}
	Label("factored")
	k = firstMask()
	MOVQ(a, p)
	for i := range rows {
		if i > 0 {
			CMPQ(m, U8(i))
			JLE(LabelRef("stored"))
			ADDQ(stride, p)
		}
		s.storeTail(s.v(i), k, Mem{Base: p})
	}
	Label("stored")

	// In the other strips a row is scaled and taken out of those below it all the same.
	stride3 := GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
	bases := []reg.GPVirtual{a}
	for i := 4; i < rows; i += 4 {
		b := GP64()
		LEAQ(Mem{Base: a, Index: stride, Scale: uint8(i)}, b)
		bases = append(bases, b)
	}
	factor := func(i, t int) Mem {
		e := Mem{Base: bases[i/4], Disp: 4 * t}
		switch i % 4 {
		case 1:
			e.Index, e.Scale = stride, 1
		case 2:
			e.Index, e.Scale = stride, 2
		case 3:
			e.Index, e.Scale = stride3, 1
		}
		return e
	}
	c := GP64()
	LEAQ(Mem{Base: a, Disp: s.bytes()}, c)
	SUBQ(U8(s.lanes), n)
	strip := func(regs int, mk *mask) {
		walk := func(f func(i, r int, at Mem)) {
			MOVQ(c, p)
			for i := range rows {
				for r := range regs {
					f(i, r, Mem{Base: p, Disp: r * s.bytes()})
				}
				if i < rows-1 {
					ADDQ(stride, p)
				}
			}
		}
		x := func(i, r int) reg.VecPhysical { return s.v(i*regs + r) }
		scalar := func(t int) reg.VecPhysical { return s.v(rows*regs + t%2) }
		walk(func(i, r int, at Mem) { s.load(at, mk, x(i, r)) })
		for i := range rows {
			VBROADCASTSS(inv(i), scalar(i))
			for r := range regs {
				VMULPS(scalar(i), x(i, r), x(i, r))
			}
			for t := i + 1; t < rows; t++ {
				VBROADCASTSS(factor(i, t), scalar(t))
				for r := range regs {
					VFNMADD231PS(scalar(t), x(i, r), x(t, r))
				}
			}
		}
		walk(func(i, r int, at Mem) { s.store(x(i, r), mk, at) })
		ADDQ(U32(regs*s.bytes()), c)
		SUBQ(U8(regs*s.lanes), n)
	}
	Label("wide")
	CMPQ(n, U8(2*s.lanes))
	JLT(LabelRef("narrow"))
	strip(2, nil)
	JMP(LabelRef("wide"))
	Label("narrow")
	CMPQ(n, U8(s.lanes))
	JLT(LabelRef("rest"))
	strip(1, nil)
	Label("rest")
	CMPQ(n, U8(0))
	JLE(LabelRef("done"))
	left := GP64()
	MOVQ(n, left)
	km := s.tailMask(left, 1)
	strip(1, &km)
	Label("done")
	MOVQ(I32(-1), bad)
	Label("bad")
	VZEROUPPER()
	Store(bad, ReturnIndex(0))
	RET()
}

// inverseRoot replaces d, the same in all lanes, by 1/√d, to about two units in the last place. It
// uses the four registers after d.
func (s isa) inverseRoot(d reg.VecPhysical, constant func(int) Mem) {
	if !s.wide() {
		x, one := d.(reg.Vec).AsX(), s.v(s.tileRows()+1).(reg.Vec).AsX()
		VSQRTSS(x, x, x)
		VMOVSS(constant(2), one)
		VDIVSS(x, one, x)
		VBROADCASTSS(x, d)
		return
	}
	base := s.tileRows()
	y, dy, half, e := zmm[base+1], zmm[base+2], zmm[base+3], zmm[base+4]
	VRSQRT14PS(d, y)
	VBROADCASTSS(constant(1), e)
	VMULPS(d, y, dy)
	VMULPS(e, y, half)
	VFNMADD231PS(half, dy, e) // ½ − ½·d·y²
	VFMADD213PS(y, e, y)
	VMOVAPS(y, d)
}
