package linalg

// Gather copies the given rows of mat one behind the other, as [CG.SolveGathered] reads them, and
// returns the copy, which belongs to s and lasts until its next use.
func (s *CG) Gather(mat Matrix, rows []int32) []float32 {
	mat.check("CG.Gather")
	checkRows("CG.Gather", rows, mat.Rows)
	k := mat.Cols
	s.x = grow(s.x, len(rows)*k)
	for t, r := range rows {
		copy(s.x[t*k:][:k], mat.Row(int(r)))
	}
	return s.x
}

// SolveGathered improves x as the solution of
//
//	(D + Σ_t weights[t]·y_t·y_tᵀ)·x = b
//
// as [CG.Solve] does, where D is a diagonal above 0 and the y_t are the rows that [CG.Gather] copied
// last. It divides by D first, which takes fewer steps the fewer rows there are. It returns the
// residual that is left, which belongs to s and lasts until its next use.
func (s *CG) SolveGathered(d, weights, b, x []float32, steps int) []float32 {
	k := len(x)
	checkLen("CG.SolveGathered", len(d), k)
	checkLen("CG.SolveGathered", len(b), k)
	checkLen("CG.SolveGathered", len(s.x), len(weights)*k)
	s.r, s.p, s.ap, s.t, s.z = grow(s.r, k), grow(s.p, k), grow(s.ap, k), grow(s.t, len(weights)), grow(s.z, k)
	s.applyGathered(d, weights, x)
	for i, v := range b {
		s.r[i] = v - s.ap[i]
		s.z[i] = s.r[i] / d[i]
	}
	copy(s.p, s.z)
	rz := dot(s.r, s.z)
	for range steps {
		if !(rz > 0) {
			break
		}
		s.applyGathered(d, weights, s.p)
		curve := dot(s.p, s.ap)
		if !(curve > 0) {
			break
		}
		alpha := rz / curve
		axpy(alpha, s.p, x)
		axpy(-alpha, s.ap, s.r)
		for i, v := range s.r {
			s.z[i] = v / d[i]
		}
		next := dot(s.r, s.z)
		beta := next / rz
		for i, v := range s.z {
			s.p[i] = v + beta*s.p[i]
		}
		rz = next
	}
	return s.r
}

// applyGathered sets ap to the matrix times v. A block of rows is multiplied from both sides while
// it lies in the first-level cache.
func (s *CG) applyGathered(d, weights, v []float32) {
	k := len(v)
	for i, w := range d {
		s.ap[i] = w * v[i]
	}
	step := max(6144/max(k, 1), 8)
	for lo := 0; lo < len(weights); lo += step {
		hi := min(lo+step, len(weights))
		rows, t := s.x[lo*k:hi*k], s.t[lo:hi]
		dotRows(v, rows, k, t)
		for i, w := range weights[lo:hi] {
			t[i] *= w
		}
		axpyRows(t, rows, k, s.ap)
	}
}
