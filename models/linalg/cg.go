package linalg

// CG holds the scratch memory of a conjugate gradient solve; the zero value is ready. A CG serves
// one goroutine at a time and is meant to be kept between solves.
type CG struct {
	r, p, ap, t []float32
	rows        Gathered // read twice a step
}

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
	checkShape("CG.Solve", "g", g, k, k)
	checkShape("CG.Solve", "mat", mat, mat.Rows, k)
	checkLen("CG.Solve", len(b), k)
	checkLen("CG.Solve", len(weights), len(rows))
	s.r, s.p, s.ap, s.t = grow(s.r, k), grow(s.p, k), grow(s.ap, k), grow(s.t, len(rows))
	s.rows.Set(mat, rows)
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

// apply sets ap to the matrix times v.
func (s *CG) apply(g Matrix, weights, v []float32) {
	dotRows(v, g.Data, g.Stride, s.ap)
	s.rows.Dots(v, s.t)
	for t, w := range weights {
		s.t[t] *= w
	}
	s.rows.Sum(s.t, s.ap)
}
