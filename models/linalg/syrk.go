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
	if a.Cols <= syrkTallCols && a.Rows >= 2*syrkTallRows {
		syrkTall(alpha, a, beta, c, workers)
		return
	}
	syrkBlocks(alpha, a, beta, c, workers)
}

// syrkBlocks shares out the blocks of c.
func syrkBlocks(alpha float32, a Matrix, beta float32, c Matrix, workers int) {
	const rows = 240 // a multiple of every tile height
	blocks := (c.Rows + rows - 1) / rows
	g := newGemm("Syrk", true, false, alpha, a, a, beta, c)
	ParallelN(blocks*blocks, 1, workers, func(_, lo, _ int) {
		i, j := lo/blocks*rows, lo%blocks*rows
		if j >= i {
			buf := scratches.Get().(*scratch)
			defer scratches.Put(buf)
			g.columns(j, min(j+rows, c.Cols), i, min(i+rows, c.Rows), buf)
		}
	})
}

// A tall matrix of few columns has too few blocks in c to share, so its rows are shared: at most
// syrkTallParts partial sums over at least syrkTallRows rows each, cut by the shape alone.
const (
	syrkTallCols  = 512
	syrkTallRows  = 8192
	syrkTallParts = 16
)

func syrkTall(alpha float32, a Matrix, beta float32, c Matrix, workers int) {
	k := a.Cols
	parts := min(a.Rows/syrkTallRows, syrkTallParts)
	size := (a.Rows + parts - 1) / parts
	sums := make([]Matrix, parts)
	ParallelN(a.Rows, size, workers, func(_, lo, hi int) {
		part := NewMatrix(k, k)
		syrkBlocks(alpha, a.Sub(lo, 0, hi-lo, k), 0, part, 1)
		sums[lo/size] = part
	})
	ParallelN(k, 16, workers, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			row := c.Row(i)[i:]
			if beta == 0 {
				clear(row)
			} else if beta != 1 {
				scale(beta, row)
			}
			for _, part := range sums {
				if part.Rows > 0 {
					axpy(1, part.Row(i)[i:], row)
				}
			}
		}
	})
}

// SyrkGather adds Σ_t weights[t]·x_t·x_tᵀ to the triangle on and above the diagonal of c, where
// x_t is row rows[t] of mat; what lies below the diagonal is unspecified afterwards. weights nil
// means 1 for all; weights may be negative or 0. Rows may repeat. work, when it has the
// capacity for 2·len(rows)·mat.Cols values, saves an allocation; nil is fine. It panics when a row
// lies outside mat.
func SyrkGather(mat Matrix, rows []int32, weights []float32, c Matrix, work []float32) {
	SyrkGatherTo(c, mat, rows, weights, c, work)
}

// SyrkGatherTo is [SyrkGather] onto a base: it sets c to base + Σ_t weights[t]·x_t·x_tᵀ, and reads
// base, as it writes c, on and above the diagonal. A base without rows stands for zeros. base may be
// c, and must not overlap it otherwise.
func SyrkGatherTo(base, mat Matrix, rows []int32, weights []float32, c Matrix, work []float32) {
	mat.check("SyrkGather")
	base.check("SyrkGather")
	c.check("SyrkGather")
	k := mat.Cols
	checkShape("SyrkGather", "c", c, k, k)
	if base.Rows > 0 {
		checkShape("SyrkGather", "base", base, k, k)
	}
	checkRows("SyrkGather", rows, mat.Rows)
	if weights != nil {
		checkLen("SyrkGather", len(weights), len(rows))
	}
	n := len(rows)
	if k == 0 {
		return
	}
	if n == 0 {
		copyUpper(base, c)
		return
	}
	x := grow(work, 2*n*k)
	wx := x
	gatherRows(mat, rows, x)
	if weights != nil {
		wx = x[n*k:]
		for t, w := range weights {
			row := wx[t*k:][:k]
			copy(row, x[t*k:][:k])
			scale(w, row)
		}
	}
	mr, _ := tileShape()
	for i := 0; i < k; i += mr {
		j := i &^ 15 // a strip that starts at a whole cache line, a little below the diagonal
		var src []float32
		if base.Rows > 0 {
			src = base.Data[i*base.Stride+j:]
		}
		tile(min(mr, k-i), k-j, n, 1, wx[i:], k, 1, x[j:], k, stripWidth(), c.Data[i*c.Stride+j:], c.Stride, src, base.Stride)
	}
}

// gatherRows copies rows of mat to dst, side by side.
func gatherRows(mat Matrix, rows []int32, dst []float32) {
	k := mat.Cols
	for t, r := range rows {
		copy(dst[t*k:][:k], mat.Row(int(r)))
	}
}

// copyUpper copies the triangle on and above the diagonal of base, zeros when base has no rows.
func copyUpper(base, c Matrix) {
	for i := range c.Rows {
		switch {
		case base.Rows == 0:
			clear(c.Row(i)[i:])
		case &base.Data[0] != &c.Data[0]:
			copy(c.Row(i)[i:], base.Row(i)[i:])
		}
	}
}

// stripWidth is the distance of the strips of an operand that is not packed.
func stripWidth() int {
	_, nr := tileShape()
	return nr
}
