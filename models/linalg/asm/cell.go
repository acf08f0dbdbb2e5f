package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// cellFamily holds the gates of recurrent cells: all of a row, sections of which lie one behind the other, in one pass.
func cellFamily(s isa) {
	c := s.constants()
	s.lstmCell(c)
	s.lstmGrad(c)
	s.gruCell(c)
	s.gruGrad(c)
}

// sections are the parts of a row of gates, of which base is the first: n, in bytes, is the size of a part. They need
// the three-fold of it for a fourth.
func sections(base, n, n3 reg.GPVirtual, disp int) [4]Mem {
	all := [4]Mem{{Base: base, Disp: disp}, {Base: base, Index: n, Scale: 1, Disp: disp}, {Base: base, Index: n, Scale: 2, Disp: disp}}
	if n3 != nil {
		all[3] = Mem{Base: base, Index: n3, Scale: 1, Disp: disp}
	}
	return all
}

// inBytes is the size of n numbers.
func inBytes(n reg.GPVirtual) reg.GPVirtual {
	b := GP64()
	MOVQ(n, b)
	SHLQ(U8(2), b)
	return b
}

// logistic replaces x by 1/(1+exp(-x)). It uses registers 1 to 5 and tmp.
func (s isa) logistic(c *constTable, x, tmp reg.VecPhysical) {
	zero(tmp)
	VSUBPS(x, tmp, x)
	s.exp(c, x)
	VMOVUPS(c.at(1), tmp)
	VADDPS(tmp, x, x)
	VDIVPS(x, tmp, x)
}

// slope sets dst to x·(1-x), the slope of a logistic at its value x.
func (s isa) slope(c *constTable, x, dst reg.VecPhysical) {
	VMOVUPS(c.at(1), dst)
	VSUBPS(x, dst, dst)
	VMULPS(x, dst, dst)
}

// bend sets dst to 1-x², the slope of tanh at its value x.
func (s isa) bend(c *constTable, x, dst reg.VecPhysical) {
	VMOVUPS(c.at(1), dst)
	VFNMADD231PS(x, x, dst)
}

func (s isa) lstmCell(c *constTable) {
	s.text("lstmCell", "func(gates, bias, c, cell, bent, out []float32)", "lstmCell"+s.name+" is lstmCellGeneric.")
	gates, bias, before, cell, bent, out, n := base("gates"), base("bias"), base("c"), base("cell"), base("bent"), base("out"), length("out")
	part := inBytes(n)
	part3 := GP64()
	LEAQ(Mem{Base: part, Index: part, Scale: 2}, part3)
	x, tmp, in, forget, open, state := s.v(0), s.v(6), s.v(7), s.v(8), s.v(9), s.v(10)
	s.each(n, []reg.GPVirtual{gates, bias, before, cell, bent, out}, func(_, disp int, m *mask) {
		g, b := sections(gates, part, part3, disp), sections(bias, part, part3, disp)
		for i, keep := range []reg.VecPhysical{in, forget, open, x} {
			s.load(g[i], m, x)
			s.load(b[i], m, tmp)
			VADDPS(tmp, x, x)
			if i < 3 {
				s.logistic(c, x, tmp)
				VMOVAPS(x, keep)
			} else {
				s.tanh(c, x)
			}
			s.store(x, m, g[i])
		}
		s.load(Mem{Base: before, Disp: disp}, m, state)
		VMULPS(forget, state, state)
		VFMADD231PS(in, x, state)
		s.store(state, m, Mem{Base: cell, Disp: disp})
		VMOVAPS(state, x)
		s.tanh(c, x)
		s.store(x, m, Mem{Base: bent, Disp: disp})
		VMULPS(open, x, x)
		s.store(x, m, Mem{Base: out, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

func (s isa) lstmGrad(c *constTable) {
	s.text("lstmGrad", "func(dy, dh, gates, bent, c, dGates, dCell []float32)", "lstmGrad"+s.name+" is lstmGradGeneric.")
	dy, dh, gates, bent, before := base("dy"), base("dh"), base("gates"), base("bent"), base("c")
	dGates, dCell, n := base("dGates"), base("dCell"), length("dy")
	part := inBytes(n)
	part3 := GP64()
	LEAQ(Mem{Base: part, Index: part, Scale: 2}, part3)
	in, forget, open, cand, d, b, old, dc, t, u := s.v(0), s.v(1), s.v(2), s.v(3), s.v(4), s.v(5), s.v(6), s.v(7), s.v(8), s.v(9)
	s.each(n, []reg.GPVirtual{dy, dh, gates, bent, before, dGates, dCell}, func(_, disp int, m *mask) {
		g, dg := sections(gates, part, part3, disp), sections(dGates, part, part3, disp)
		for i, v := range []reg.VecPhysical{in, forget, open, cand} {
			s.load(g[i], m, v)
		}
		s.load(Mem{Base: dy, Disp: disp}, m, d)
		s.load(Mem{Base: dh, Disp: disp}, m, t)
		VADDPS(t, d, d)
		s.load(Mem{Base: bent, Disp: disp}, m, b)
		s.load(Mem{Base: before, Disp: disp}, m, old)
		s.load(Mem{Base: dCell, Disp: disp}, m, dc)
		s.slope(c, open, t)
		VMULPS(b, t, t)
		VMULPS(d, t, t)
		s.store(t, m, dg[2])
		VMULPS(open, d, d)
		s.bend(c, b, t)
		VFMADD231PS(d, t, dc)
		s.slope(c, in, t)
		VMULPS(cand, t, t)
		VMULPS(dc, t, t)
		s.store(t, m, dg[0])
		s.slope(c, forget, u)
		VMULPS(old, u, u)
		VMULPS(dc, u, u)
		s.store(u, m, dg[1])
		s.bend(c, cand, t)
		VMULPS(in, t, t)
		VMULPS(dc, t, t)
		s.store(t, m, dg[3])
		VMULPS(forget, dc, dc)
		s.store(dc, m, Mem{Base: dCell, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

func (s isa) gruCell(c *constTable) {
	s.text("gruCell", "func(x, hw, bias, own, h, gates, inner, out []float32)", "gruCell"+s.name+" is gruCellGeneric.")
	in, hw, bias, own, before := base("x"), base("hw"), base("bias"), base("own"), base("h")
	gates, inner, out, n := base("gates"), base("inner"), base("out"), length("out")
	part := inBytes(n)
	x, tmp, reset, keep := s.v(0), s.v(6), s.v(7), s.v(8)
	s.each(n, []reg.GPVirtual{in, hw, bias, own, before, gates, inner, out}, func(_, disp int, m *mask) {
		from, rec := sections(in, part, nil, disp), sections(hw, part, nil, disp)
		b, g := sections(bias, part, nil, disp), sections(gates, part, nil, disp)
		for i, v := range []reg.VecPhysical{reset, keep} {
			s.load(from[i], m, x)
			s.load(b[i], m, tmp)
			VADDPS(tmp, x, x)
			s.load(rec[i], m, tmp)
			VADDPS(tmp, x, x)
			s.logistic(c, x, tmp)
			VMOVAPS(x, v)
			s.store(x, m, g[i])
		}
		s.load(rec[2], m, tmp)
		s.load(Mem{Base: own, Disp: disp}, m, x)
		VADDPS(x, tmp, tmp)
		s.store(tmp, m, Mem{Base: inner, Disp: disp})
		VMULPS(reset, tmp, reset)
		s.load(from[2], m, x)
		s.load(b[2], m, tmp)
		VADDPS(tmp, x, x)
		VADDPS(reset, x, x)
		s.tanh(c, x)
		s.store(x, m, g[2])
		s.load(Mem{Base: before, Disp: disp}, m, tmp)
		VSUBPS(x, tmp, tmp)
		VFMADD231PS(keep, tmp, x)
		s.store(x, m, Mem{Base: out, Disp: disp})
	})
	VZEROUPPER()
	RET()
}

func (s isa) gruGrad(c *constTable) {
	s.text("gruGrad", "func(dy, dh, gates, inner, h, dx, dhw []float32)", "gruGrad"+s.name+" is gruGradGeneric.")
	dy, dh, gates, inner, before := base("dy"), base("dh"), base("gates"), base("inner"), base("h")
	dx, dhw, n := base("dx"), base("dhw"), length("dy")
	part := inBytes(n)
	reset, keep, cand, d, t, u := s.v(0), s.v(1), s.v(2), s.v(3), s.v(4), s.v(5)
	s.each(n, []reg.GPVirtual{dy, dh, gates, inner, before, dx, dhw}, func(_, disp int, m *mask) {
		g, di, dr := sections(gates, part, nil, disp), sections(dx, part, nil, disp), sections(dhw, part, nil, disp)
		for i, v := range []reg.VecPhysical{reset, keep, cand} {
			s.load(g[i], m, v)
		}
		s.load(Mem{Base: dy, Disp: disp}, m, d)
		s.load(Mem{Base: dh, Disp: disp}, m, t)
		VADDPS(t, d, d)
		VMULPS(keep, d, t) // d·z, the direct path
		s.store(t, m, Mem{Base: dh, Disp: disp})
		s.load(Mem{Base: before, Disp: disp}, m, u)
		VSUBPS(cand, u, u)
		VMULPS(t, u, u)
		VSUBPS(t, d, d) // d·(1-z)
		VMOVUPS(c.at(1), t)
		VSUBPS(keep, t, t)
		VMULPS(t, u, u)
		s.store(u, m, di[1])
		s.store(u, m, dr[1])
		s.bend(c, cand, t)
		VMULPS(t, d, d)
		s.store(d, m, di[2])
		VMULPS(reset, d, t)
		s.store(t, m, dr[2])
		s.load(Mem{Base: inner, Disp: disp}, m, u)
		VMULPS(u, d, d)
		s.slope(c, reset, t)
		VMULPS(t, d, d)
		s.store(d, m, di[0])
		s.store(d, m, dr[0])
	})
	VZEROUPPER()
	RET()
}
