package linalg

import "sync"

// Blocking of the matrix product: a panel of b of blockK rows and blockN columns is packed into
// strips and stays in the second-level cache while the rows of a pass by.
const (
	blockK = 256
	blockN = 512
)

// Gemm computes c = alpha·op(a)·op(b) + beta·c on the calling goroutine, where op transposes when
// transA or transB says so. op(a) is m by k, op(b) k by n, c m by n. With beta 0 the former
// content of c, even NaN, is ignored. c must not overlap a or b.
func Gemm(transA, transB bool, alpha float32, a, b Matrix, beta float32, c Matrix) {
	g := newGemm("Gemm", transA, transB, alpha, a, b, beta, c)
	buf := scratches.Get().(*scratch)
	defer scratches.Put(buf)
	for j := 0; j < c.Cols; j += blockN {
		g.columns(j, min(j+blockN, c.Cols), 0, c.Rows, buf)
	}
}

// GemmParallel is [Gemm] on up to workers goroutines. The result has the same bits for any number
// of workers, and the same as Gemm's.
func GemmParallel(transA, transB bool, alpha float32, a, b Matrix, beta float32, c Matrix, workers int) {
	g := newGemm("GemmParallel", transA, transB, alpha, a, b, beta, c)
	const rows = 240 // a multiple of every tile height
	nr := (c.Rows + rows - 1) / rows
	nc := (c.Cols + blockN - 1) / blockN
	ParallelN(nr*nc, 1, workers, func(_, lo, _ int) {
		buf := scratches.Get().(*scratch)
		defer scratches.Put(buf)
		i, j := lo%nr*rows, lo/nr*blockN
		g.columns(j, min(j+blockN, c.Cols), i, min(i+rows, c.Rows), buf)
	})
}

// gemm is a checked product; a's strides make the transposed and the plain case one.
type gemm struct {
	transB      bool
	k           int
	alpha, beta float32
	a           []float32
	aRow, aCol  int // distance of neighbours in a column and in a row of op(a)
	b, c        Matrix
}

// scratch is the memory of one running product or inverse: a packed panel of b, and a triangle.
type scratch struct{ b, triangle []float32 }

// scratches keeps it between calls, so that a steady stream of products allocates nothing.
var scratches = sync.Pool{New: func() any { return new(scratch) }}

func newGemm(op string, transA, transB bool, alpha float32, a, b Matrix, beta float32, c Matrix) gemm {
	a.check(op)
	b.check(op)
	c.check(op)
	k := a.Cols
	if transA {
		k = a.Rows
		checkShape(op, "a", a, k, c.Rows)
	} else {
		checkShape(op, "a", a, c.Rows, k)
	}
	if transB {
		checkShape(op, "b", b, c.Cols, k)
	} else {
		checkShape(op, "b", b, k, c.Cols)
	}
	g := gemm{transB: transB, k: k, alpha: alpha, beta: beta, a: a.Data, aRow: a.Stride, aCol: 1, b: b, c: c}
	if transA {
		g.aRow, g.aCol = 1, a.Stride
	}
	return g
}

// columns computes rows i0 to i1 of columns j0 to j1 of c.
func (g *gemm) columns(j0, j1, i0, i1 int, buf *scratch) {
	if g.beta != 1 || g.k == 0 {
		if g.beta != 0 || g.k == 0 {
			scaleBlock(g.beta, g.c.Sub(i0, j0, i1-i0, j1-j0))
		}
	}
	mr, nr := tileShape()
	strips := (j1 - j0 + nr - 1) / nr
	for p0 := 0; p0 < g.k; p0 += blockK {
		kb := min(blockK, g.k-p0)
		buf.b = grow(buf.b, strips*nr*kb)
		g.packB(p0, kb, j0, j1, nr, buf.b)
		var src []float32
		for i := i0; i < i1; i += mr {
			c := g.c.Data[i*g.c.Stride+j0:]
			if p0 > 0 || g.beta != 0 {
				src = c
			}
			tile(min(mr, i1-i), j1-j0, kb, g.alpha, g.a[i*g.aRow+p0*g.aCol:], g.aCol, g.aRow, buf.b, nr, nr*kb,
				c, g.c.Stride, src, g.c.Stride)
		}
	}
}

// packB copies rows p0 to p0+kb of columns j0 to j1 of op(b) into strips of nr columns, the last
// one filled up with zeros.
func (g *gemm) packB(p0, kb, j0, j1, nr int, dst []float32) {
	for j := j0; j < j1; j += nr {
		n := min(nr, j1-j)
		strip := dst[(j-j0)*kb:][:nr*kb]
		if g.transB {
			packTransposed(g.b.Data[j*g.b.Stride+p0:], g.b.Stride, n, kb, nr, strip)
			continue
		}
		for p := range kb {
			row := strip[p*nr:][:nr]
			clear(row[copy(row, g.b.Data[(p0+p)*g.b.Stride+j:][:n]):])
		}
	}
}

// packTransposed writes element (j, p) of src, n rows of k values, to dst[p*nr+j].
func packTransposedGeneric(src []float32, stride, n, k, nr int, dst []float32) {
	if n < nr {
		clear(dst)
	}
	for j := range n {
		row := src[j*stride:][:k]
		for p, v := range row {
			dst[p*nr+j] = v
		}
	}
}

func scaleBlock(beta float32, c Matrix) {
	for i := range c.Rows {
		if beta == 0 {
			clear(c.Row(i))
		} else {
			scale(beta, c.Row(i))
		}
	}
}

func grow(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// tileGeneric computes, for i < m, j < n,
//
//	c[i*ldc+j] = alpha · Σ_p a[p*aP+i*aI] · b(p, j)  (+ src[i*lds+j] unless src is nil)
//
// over p < k, where b(p, j) lies in strips as wide as the tile: strip t starts at b[t*bStrip], and
// its rows are bP apart. Rows that are not packed have bStrip equal to the width of a strip. src may
// be c. It is the plain twin of the assembly tiles, and the one place where all products of
// matrices happen. m is at most the height of a tile.
func tileGeneric(m, n, k int, alpha float32, a []float32, aP, aI int, b []float32, bP, bStrip int, c []float32, ldc int, src []float32, lds int) {
	_, nr := genericTile()
	for j := 0; j < n; j += 2 {
		cols := min(2, n-j)
		bj := b[j/nr*bStrip+j%nr:]
		for i := 0; i < m; i += 3 {
			rows := min(3, m-i)
			var acc [6]float32
			if rows == 3 && cols == 2 {
				tile3x2(k, a[i*aI:], aP, aI, bj, bP, &acc)
			} else {
				tileEdge(rows, cols, k, a[i*aI:], aP, aI, bj, bP, &acc)
			}
			for r := range rows {
				out := c[(i+r)*ldc+j:][:cols]
				for s := range out {
					v := alpha * acc[r*2+s]
					if src != nil {
						v += src[(i+r)*lds+j+s]
					}
					out[s] = v
				}
			}
		}
	}
}

// genericTile is tileShape for plain Go.
func genericTile() (mr, nr int) { return 6, 16 }

// tile3x2 has as many sums as the compiler keeps in registers without spilling on amd64.
func tile3x2(k int, a []float32, aP, aI int, b []float32, bP int, acc *[6]float32) {
	var c00, c01, c10, c11, c20, c21 float32
	a1, a2, b1 := a[aI:], a[2*aI:], b[1:]
	at, bt := 0, 0
	for range k {
		v, w := b[bt], b1[bt]
		x := a[at]
		c00 += x * v
		c01 += x * w
		y := a1[at]
		c10 += y * v
		c11 += y * w
		z := a2[at]
		c20 += z * v
		c21 += z * w
		at += aP
		bt += bP
	}
	*acc = [6]float32{c00, c01, c10, c11, c20, c21}
}

func tileEdge(rows, cols, k int, a []float32, aP, aI int, b []float32, bP int, acc *[6]float32) {
	for p := range k {
		for r := range rows {
			x := a[p*aP+r*aI]
			for s, v := range b[p*bP:][:cols] {
				acc[r*2+s] += x * v
			}
		}
	}
}
