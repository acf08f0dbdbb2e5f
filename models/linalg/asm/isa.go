package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa hides what differs between the instruction sets: the width of a register and how the rest
// of a row, shorter than a register, is loaded and stored.
type isa struct {
	name  string
	lanes int // float32 values in a register
}

var (
	avx512 = isa{"AVX512", 16}
	avx2   = isa{"AVX2", 8}
)

func (s isa) wide() bool { return s.lanes == 16 }

// bytes is the size of a register.
func (s isa) bytes() int { return 4 * s.lanes }

// v returns the i-th full vector register.
func (s isa) v(i int) reg.VecPhysical {
	if s.wide() {
		return zmm[i]
	}
	return ymm[i]
}

// text starts the function name+isa.
func (s isa) text(name, signature, doc string) {
	TEXT(name+s.name, attr.NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc)
}

// mask selects the first lanes of a register: an opmask, or with AVX2 a vector of all ones or zeros.
type mask struct {
	k reg.Register
	y reg.VecPhysical
}

// tailMask returns a mask of the first n lanes; slot 1 to 7 names the opmask or, counted down from
// Y15, the vector that holds it. It clobbers n.
func (s isa) tailMask(n reg.GPVirtual, slot int) mask {
	if s.wide() {
		k := opmask[slot]
		one := GP64()
		MOVQ(U32(1), one)
		SHLXQ(n, one, one)
		DECQ(one)
		KMOVW(one.As32(), k)
		return mask{k: k}
	}
	y := ymm[16-slot]
	table := GP64()
	LEAQ(s.maskTable(), table)
	NEGQ(n)
	VMOVUPS(Mem{Base: table, Index: n, Scale: 4, Disp: 32}, y)
	return mask{y: y}
}

var tables = map[string]Mem{}

// maskTable returns eight words of ones followed by eight of zeros.
func (s isa) maskTable() Mem {
	if m, ok := tables["mask"]; ok {
		return m
	}
	m := GLOBL("maskTable"+s.name, attr.RODATA|attr.NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = ^v
		}
		DATA(4*i, U32(v))
	}
	tables["mask"] = m
	return m
}

// loadTail loads the lanes under the mask and zeros the others.
func (s isa) loadTail(src Mem, m mask, dst reg.VecPhysical) {
	if s.wide() {
		VMOVUPS_Z(src, m.k, dst)
	} else {
		VMASKMOVPS(src, m.y, dst)
	}
}

// storeTail stores the lanes under the mask and leaves the other places alone.
func (s isa) storeTail(src reg.VecPhysical, m mask, dst Mem) {
	if s.wide() {
		VMOVUPS(src, m.k, dst)
	} else {
		VMASKMOVPS(src, m.y, dst)
	}
}

// fmaTail adds x times the lanes of src under the mask to acc; x must be 0 in the other lanes.
func (s isa) fmaTail(src Mem, x reg.VecPhysical, m mask, acc, tmp reg.VecPhysical) {
	if s.wide() {
		VFMADD231PS(src, x, m.k, acc)
	} else {
		VMASKMOVPS(src, m.y, tmp)
		VFMADD231PS(tmp, x, acc)
	}
}

func zero(v reg.VecPhysical) {
	if v.Size() == 64 {
		VPXORD(v, v, v)
	} else {
		VXORPS(v, v, v)
	}
}

// split divides n elements into full registers and a rest.
func (s isa) split(n reg.Register) (full, rest reg.GPVirtual) {
	full, rest = GP64(), GP64()
	MOVQ(n, full)
	MOVQ(n, rest)
	shift := 3
	if s.wide() {
		shift = 4
	}
	SHRQ(U8(shift), full)
	ANDQ(U32(s.lanes-1), rest)
	return full, rest
}

// sumLanes leaves the sum of register i in the low lane of its X form. The order of the additions is
// that of sumRows: inside the 128-bit lanes first, then across them.
func (s isa) sumLanes(i, tmp int) {
	x, t := xmm[i], xmm[tmp]
	if s.wide() {
		z, u := zmm[i], zmm[tmp]
		VPERMILPS(U8(0x4e), z, u) // 2 3 0 1
		VADDPS(u, z, z)
		VPERMILPS(U8(0xb1), z, u) // 1 0 3 2
		VADDPS(u, z, z)
		VEXTRACTF64X4(U8(1), z, ymm[tmp])
		VADDPS(ymm[tmp], ymm[i], ymm[i])
	} else {
		VHADDPS(ymm[i], ymm[i], ymm[i])
		VHADDPS(ymm[i], ymm[i], ymm[i])
	}
	VEXTRACTF128(U8(1), ymm[i], t)
	VADDSS(t, x, x)
}

// sumRows leaves the sums of registers 0 to 7 in the eight lanes of Y0. It uses registers 8 to 11.
func (s isa) sumRows() {
	if !s.wide() {
		for i := 0; i < 8; i += 2 {
			VHADDPS(ymm[i+1], ymm[i], ymm[i])
		}
		VHADDPS(ymm[2], ymm[0], ymm[0])
		VHADDPS(ymm[6], ymm[4], ymm[4])
		VPERM2F128(U8(0x20), ymm[4], ymm[0], ymm[1])
		VPERM2F128(U8(0x31), ymm[4], ymm[0], ymm[2])
		VADDPS(ymm[2], ymm[1], ymm[0])
		return
	}
	for i := 0; i < 8; i += 2 { // rows i and i+1, two partial sums each per 128-bit lane
		VUNPCKLPS(zmm[i+1], zmm[i], zmm[8])
		VUNPCKHPS(zmm[i+1], zmm[i], zmm[9])
		VADDPS(zmm[9], zmm[8], zmm[i])
	}
	for i := 0; i < 8; i += 4 { // four rows, one partial sum each per 128-bit lane
		VUNPCKLPD(zmm[i+2], zmm[i], zmm[8])
		VUNPCKHPD(zmm[i+2], zmm[i], zmm[9])
		VADDPS(zmm[9], zmm[8], zmm[i])
	}
	VSHUFF32X4(U8(0x44), zmm[4], zmm[0], zmm[8]) // lanes 0 1 of either
	VSHUFF32X4(U8(0xee), zmm[4], zmm[0], zmm[9]) // lanes 2 3 of either
	VADDPS(zmm[9], zmm[8], zmm[0])
	VSHUFF32X4(U8(0x08), zmm[0], zmm[0], zmm[8]) // lanes 0 2
	VSHUFF32X4(U8(0x0d), zmm[0], zmm[0], zmm[9]) // lanes 1 3
	VADDPS(ymm[9], ymm[8], ymm[0])
}

// base loads the base of a slice parameter.
func base(name string) reg.GPVirtual {
	r := GP64()
	Load(Param(name).Base(), r)
	return r
}

func length(name string) reg.GPVirtual {
	r := GP64()
	Load(Param(name).Len(), r)
	return r
}

func integer(name string) reg.GPVirtual {
	r := GP64()
	Load(Param(name), r)
	return r
}

// memory returns where a part of the arguments lies, for instructions that read it from there.
func memory(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		panic(fmt.Sprintf("asm: argument: %v", err))
	}
	return b.Addr
}

// inMemory is memory for a parameter that is a number or a pointer.
func inMemory(name string) Mem { return memory(Param(name)) }

var (
	zmm = [32]reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
	ymm = [16]reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	xmm = [16]reg.VecPhysical{
		reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7, reg.X8, reg.X9, reg.X10, reg.X11, reg.X12, reg.X13, reg.X14, reg.X15,
	}
	opmask = [8]reg.Register{reg.K0, reg.K1, reg.K2, reg.K3, reg.K4, reg.K5, reg.K6, reg.K7}
)
