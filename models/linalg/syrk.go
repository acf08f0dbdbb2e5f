package linalg

// Syrk computes the triangle on and above the diagonal of c = alpha·aᵀa + beta·c, where a is n by
// k and c k by k. With beta 0 the former content of c is ignored. What lies below the diagonal is
// unspecified afterwards; [Matrix.MirrorUpper] fills it. c must not overlap a.
func Syrk(alpha float32, a Matrix, beta float32, c Matrix) {
	SyrkParallel(alpha, a, beta, c, 1)
}

// SyrkParallel is [Syrk] on up to workers goroutines, with the same bits for any number of them.
func SyrkParallel(alpha float32, a Matrix, beta float32, c Matrix, workers int) {
	a.check("Syrk")
	c.check("Syrk")
	checkShape("Syrk", "c", c, a.Cols, a.Cols)
	const rows = 240
	blocks := (c.Rows + rows - 1) / rows
	g := newGemm("Syrk", true, false, alpha, a, a, beta, c)
	bufs := make([]packBuffer, max(workers, 1))
	ParallelN(blocks*blocks, 1, workers, func(w, lo, _ int) {
		i, j := lo/blocks*rows, lo%blocks*rows
		if j >= i {
			g.columns(j, min(j+rows, c.Cols), i, min(i+rows, c.Rows), &bufs[w])
		}
	})
}

// SyrkGather adds Σ_t weights[t]·x_t·x_tᵀ to the triangle on and above the diagonal of c, where
// x_t is row rows[t] of mat; what lies below the diagonal is unspecified afterwards. weights nil
// means 1 for all; weights may be negative or 0. Rows may repeat. scratch, when it has the
// capacity for 2·len(rows)·mat.Cols values, saves an allocation; nil is fine. It panics when a row
// lies outside mat.
func SyrkGather(mat Matrix, rows []int32, weights []float32, c Matrix, scratch []float32) {
	mat.check("SyrkGather")
	c.check("SyrkGather")
	k := mat.Cols
	checkShape("SyrkGather", "c", c, k, k)
	checkRows("SyrkGather", rows, mat.Rows)
	if weights != nil {
		checkLen("SyrkGather", len(weights), len(rows))
	}
	n := len(rows)
	if n == 0 || k == 0 {
		return
	}
	scratch = grow(scratch, 2*n*k)
	x, wx := scratch[:n*k], scratch[n*k:]
	for t, r := range rows {
		copy(x[t*k:][:k], mat.Row(int(r)))
	}
	if weights == nil {
		wx = x
	} else {
		for t, w := range weights {
			row := wx[t*k:][:k]
			copy(row, x[t*k:][:k])
			scale(w, row)
		}
	}
	syrkUpper(n, k, wx, x, c)
}

// syrkUpper adds aᵀb, known to be symmetric, to the upper triangle of c.
func syrkUpper(n, k int, a, b []float32, c Matrix) {
	mr, nr := tileShape()
	for i := 0; i < k; i += mr {
		for j := i; j < k; j += nr {
			tile(min(mr, k-i), min(nr, k-j), n, 1, a[i:], k, 1, b[j:], k, c.Data[i*c.Stride+j:], c.Stride, true)
		}
	}
}
