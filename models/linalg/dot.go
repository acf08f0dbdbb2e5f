package linalg

// Dot returns the inner product of a and b, which have the same length.
func Dot(a, b []float32) float32 {
	checkLen("Dot", len(b), len(a))
	return dot(a, b)
}

// DotRows sets out[i] to the inner product of q and the i-th row of rows, a row-major matrix of
// len(out) rows and len(q) columns. It reads rows once and is the kernel of an exact scan. out[i]
// depends on q and its row only: the same row gives the same bits in any call, [DotGather]'s too.
func DotRows(q, rows, out []float32) {
	checkLen("DotRows", len(rows), len(out)*len(q))
	for step := rowsPerCall(len(q)); len(out) > step; out = out[step:] {
		dotRows(q, rows, len(q), out[:step])
		rows = rows[step*len(q):]
	}
	dotRows(q, rows, len(q), out)
}

// perCall is about how many values one call of assembly works through. The scheduler cannot
// interrupt assembly, and a garbage collection waits for it, so long scans are cut into calls of
// some tens of microseconds.
const perCall = 1 << 18

// rowsPerCall is how many rows of d values make a call: whole blocks of the kernels.
func rowsPerCall(d int) int { return max(perCall/max(d, 1)&^7, 8) }

// DotGather sets out[i] to the inner product of q and row rows[i] of mat, a row-major matrix with
// len(q) columns. Rows may repeat. It panics when a row lies outside mat.
func DotGather(q, mat []float32, rows []int32, out []float32) {
	checkLen("DotGather", len(out), len(rows))
	checkRows("DotGather", rows, rowsOf(len(mat), len(q)))
	for step := rowsPerCall(len(q)); len(out) > step; out = out[step:] {
		dotGather(q, mat, len(q), rows[:step], out[:step])
		rows = rows[step:]
	}
	dotGather(q, mat, len(q), rows, out)
}

// DotRowsMany sets out[j*n+i] to the inner product of query j and row i: qs holds nq queries of d
// values, rows holds n = len(rows)/d rows, out nq times n values. One pass over rows serves all
// queries, so a batch costs little more memory traffic than one query.
func DotRowsMany(qs []float32, nq int, rows []float32, d int, out []float32) {
	n := rowsOf(len(rows), d)
	checkLen("DotRowsMany", len(qs), nq*d)
	checkLen("DotRowsMany", len(rows), n*d)
	checkLen("DotRowsMany", len(out), nq*n)
	if nq == 0 || n == 0 {
		return
	}
	if nq < 4 {
		for j := range nq {
			dotRows(qs[j*d:][:d], rows, d, out[j*n:][:n])
		}
		return
	}
	Gemm(false, true, 1, Matrix{nq, d, d, qs}, Matrix{n, d, d, rows}, 0, Matrix{nq, n, n, out})
}

// rowsOf returns how many rows of d values n values hold.
func rowsOf(n, d int) int {
	if d == 0 {
		return 0
	}
	return n / d
}

func dotGeneric(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += v * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// dotRowsGeneric takes rows that start every stride values.
func dotRowsGeneric(q, rows []float32, stride int, out []float32) {
	for i := range out {
		out[i] = dotGeneric(q, rows[i*stride:][:len(q)])
	}
}

func dotGatherGeneric(q, mat []float32, stride int, rows []int32, out []float32) {
	for i, r := range rows {
		out[i] = dotGeneric(q, mat[int(r)*stride:][:len(q)])
	}
}
