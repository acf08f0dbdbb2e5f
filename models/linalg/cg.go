package linalg

// CG holds the scratch memory of a conjugate gradient solve; the zero value is ready. A CG serves
// one goroutine at a time and is meant to be kept between solves.
type CG struct {
	r, p, ap, t []float32
	mat         Matrix
	rows        []int32
	x           []float32 // the rows, gathered; empty: they are read where they are
}

// gatherLimit is how many numbers are worth gathering: no more than stay in a core's cache
// between two readings.
const gatherLimit = 1 << 18

// Solve improves x as the solution of
//
//	(G + Σ_t weights[t]·y_t·y_tᵀ)·x = b
//
// by at most steps steps of conjugate gradient from the x it is given (a warm start), without
// forming the matrix: y_t is row rows[t] of mat, and g is symmetric, both triangles present, with
// any regularisation on its diagonal. The matrix must be positive definite, for which weights ≥ 0
// suffices. It stops early once the squared length of the residual is at most tol, and returns
// the number of steps taken. This is the inner solver of implicit ALS (Takács, Pilászy, Tikk 2011,
// "Applications of the conjugate gradient method for implicit feedback collaborative filtering").
func (s *CG) Solve(g, mat Matrix, rows []int32, weights, b, x []float32, steps int, tol float32) int {
	k := len(x)
	g.check("CG.Solve")
	mat.check("CG.Solve")
	checkShape("CG.Solve", "g", g, k, k)
	checkShape("CG.Solve", "mat", mat, mat.Rows, k)
	checkLen("CG.Solve", len(b), k)
	checkLen("CG.Solve", len(weights), len(rows))
	checkRows("CG.Solve", rows, mat.Rows)
	n := len(rows)
	s.r, s.p, s.ap, s.t = grow(s.r, k), grow(s.p, k), grow(s.ap, k), grow(s.t, n)
	s.read(mat, rows, n*k <= gatherLimit)
	s.apply(g, weights, x)
	for i, v := range b {
		s.r[i] = v - s.ap[i]
	}
	copy(s.p, s.r)
	rs := dot(s.r, s.r)
	for step := range steps {
		if !(rs > tol) {
			return step
		}
		s.apply(g, weights, s.p)
		curve := dot(s.p, s.ap)
		if !(curve > 0) {
			return step
		}
		alpha := rs / curve
		axpy(alpha, s.p, x)
		axpy(-alpha, s.ap, s.r)
		next := dot(s.r, s.r)
		beta := next / rs
		for i, v := range s.r {
			s.p[i] = v + beta*s.p[i]
		}
		rs = next
	}
	return steps
}

// read takes the rows, which are read twice a step: gathered once, or left where they are.
func (s *CG) read(mat Matrix, rows []int32, gather bool) {
	s.mat, s.rows, s.x = mat, rows, s.x[:0]
	if !gather {
		return
	}
	k := mat.Cols
	s.x = grow(s.x, len(rows)*k)
	for t, r := range rows {
		copy(s.x[t*k:][:k], mat.Row(int(r)))
	}
}

// apply sets ap to the matrix times v.
func (s *CG) apply(g Matrix, weights, v []float32) {
	k := len(v)
	dotRows(v, g.Data, g.Stride, s.ap)
	if len(s.x) == 0 {
		dotGather(v, s.mat.Data, s.mat.Stride, s.rows, s.t)
	} else {
		dotRows(v, s.x, k, s.t)
	}
	for t, w := range weights {
		s.t[t] *= w
	}
	if len(s.x) == 0 {
		axpyGather(s.t, s.mat.Data, s.mat.Stride, s.rows, s.ap)
	} else {
		axpyRows(s.t, s.x, k, s.ap)
	}
}
