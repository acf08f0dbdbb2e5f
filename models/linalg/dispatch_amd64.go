package linalg

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go run ./asm -family dot -out dot_amd64.s -stubs dot_amd64.go -pkg linalg
//go:generate go run ./asm -family vector -out vector_amd64.s -stubs vector_amd64.go -pkg linalg
//go:generate go run ./asm -family tile -out tile_amd64.s -stubs tile_amd64.go -pkg linalg
//go:generate go run ./asm -family factor -out factor_amd64.s -stubs factor_amd64.go -pkg linalg
//go:generate go run ./asm -family elementwise -out elementwise_amd64.s -stubs elementwise_amd64.go -pkg linalg
//go:generate go run ./asm -family int8 -out int8_amd64.s -stubs int8_amd64.go -pkg linalg
//go:generate go run ./asm -family sketch -out sketch_amd64.s -stubs sketch_amd64.go -pkg linalg
//go:generate go run ./asm -family bits -out bits_amd64.s -stubs bits_amd64.go -pkg linalg

// best returns the highest level that the machine and its operating system support.
func best() level {
	x := &cpu.X86
	switch {
	case !x.HasAVX2 || !x.HasFMA || !x.HasBMI2:
		return generic
	case !x.HasAVX512F || !x.HasAVX512BW || !x.HasAVX512DQ || !x.HasAVX512VL || !x.HasAVX512VNNI:
		return avx2
	}
	return avx512
}

func dot(a, b []float32) float32 {
	switch active {
	case avx512:
		return dotAVX512(a, b)
	case avx2:
		return dotAVX2(a, b)
	}
	return dotGeneric(a, b)
}

func dotRows(q, rows []float32, stride int, out []float32) {
	switch active {
	case avx512:
		dotRowsAVX512(q, rows, stride, out)
	case avx2:
		dotRowsAVX2(q, rows, stride, out)
	default:
		dotRowsGeneric(q, rows, stride, out)
	}
}

func dotGather(q, mat []float32, stride int, rows []int32, out []float32) {
	switch active {
	case avx512:
		dotGatherAVX512(q, mat, stride, rows, out)
	case avx2:
		dotGatherAVX2(q, mat, stride, rows, out)
	default:
		dotGatherGeneric(q, mat, stride, rows, out)
	}
}

func axpy(alpha float32, x, y []float32) {
	switch active {
	case avx512:
		axpyAVX512(alpha, x, y)
	case avx2:
		axpyAVX2(alpha, x, y)
	default:
		axpyGeneric(alpha, x, y)
	}
}

func axpyRows(alpha, rows []float32, stride int, y []float32) {
	switch active {
	case avx512:
		axpyRowsAVX512(alpha, rows, stride, y)
	case avx2:
		axpyRowsAVX2(alpha, rows, stride, y)
	default:
		axpyRowsGeneric(alpha, rows, stride, y)
	}
}

func axpyGather(alpha, mat []float32, stride int, rows []int32, y []float32) {
	switch active {
	case avx512:
		axpyGatherAVX512(alpha, mat, stride, rows, y)
	case avx2:
		axpyGatherAVX2(alpha, mat, stride, rows, y)
	default:
		axpyGatherGeneric(alpha, mat, stride, rows, y)
	}
}

func scale(alpha float32, x []float32) {
	switch active {
	case avx512:
		scaleAVX512(alpha, x)
	case avx2:
		scaleAVX2(alpha, x)
	default:
		scaleGeneric(alpha, x)
	}
}

func sum(x []float32) float32 {
	switch active {
	case avx512:
		return sumAVX512(x)
	case avx2:
		return sumAVX2(x)
	}
	return sumGeneric(x)
}

func indexAbove(x []float32, bar float32) int {
	switch active {
	case avx512:
		return indexAboveAVX512(x, bar)
	case avx2:
		return indexAboveAVX2(x, bar)
	}
	return indexAboveGeneric(x, bar)
}

func indexOf(x []int32, v int32) int {
	switch active {
	case avx512:
		return indexOfAVX512(x, v)
	case avx2:
		return indexOfAVX2(x, v)
	}
	return indexOfGeneric(x, v)
}

// tileShape returns the rows and columns of the largest tile.
func tileShape() (mr, nr int) {
	switch active {
	case avx512:
		return 12, 32
	case avx2:
		return 6, 16
	}
	return genericTile()
}

func tile(m, n, k int, alpha float32, a []float32, aP, aI int, b []float32, bP, bStrip int, c []float32, ldc int, src []float32, lds int) {
	switch active {
	case avx512:
		tileAVX512(m, n, k, alpha, &a[0], aP, aI, &b[0], bP, bStrip, &c[0], ldc, unsafe.SliceData(src), lds)
	case avx2:
		tileAVX2(m, n, k, alpha, &a[0], aP, aI, &b[0], bP, bStrip, &c[0], ldc, unsafe.SliceData(src), lds)
	default:
		tileGeneric(m, n, k, alpha, a, aP, aI, b, bP, bStrip, c, ldc, src, lds)
	}
}

func factorRows(m, n int, a []float32, stride int) int {
	switch active {
	case avx512:
		return factorRowsAVX512(m, n, &a[0], stride)
	case avx2:
		return factorRowsAVX2(m, n, &a[0], stride)
	}
	return factorRowsGeneric(m, n, a, stride)
}

func packTransposed(src []float32, stride, n, k, nr int, dst []float32) {
	lanes, square := 16, transposeAVX512
	switch active {
	case avx2:
		lanes, square = 8, transposeAVX2
	case generic:
		packTransposedGeneric(src, stride, n, k, nr, dst)
		return
	}
	if n < nr {
		clear(dst)
	}
	whole := k &^ (lanes - 1)
	j := 0
	for ; whole > 0 && j+lanes <= n; j += lanes {
		square(&src[j*stride], stride, whole, &dst[j], nr)
		for i := j; i < j+lanes; i++ {
			for p := whole; p < k; p++ {
				dst[p*nr+i] = src[i*stride+p]
			}
		}
	}
	for ; j < n; j++ {
		for p, v := range src[j*stride:][:k] {
			dst[p*nr+j] = v
		}
	}
}

func dotInt8(q []int8, bias int32, scale float32, codes []uint8, scales, out []float32) {
	switch {
	case active == avx512 && len(out) >= 8:
		dotInt8AVX512(q, bias, scale, codes, scales, out)
	case active == avx2 && len(out) >= 8 && len(q) >= 16:
		dotInt8AVX2(q, bias, scale, codes, scales, out)
	default:
		dotInt8Generic(q, bias, scale, codes, scales, out)
	}
}

func dotInt8Gather(q []int8, bias int32, scale float32, codes []uint8, scales []float32, rows []int32, out []float32) {
	switch {
	case active == avx512 && len(rows) >= 8:
		dotInt8GatherAVX512(q, bias, scale, codes, scales, rows, out)
	case active == avx2 && len(rows) >= 8 && len(q) >= 16:
		dotInt8GatherAVX2(q, bias, scale, codes, scales, rows, out)
	default:
		dotInt8GatherGeneric(q, bias, scale, codes, scales, rows, out)
	}
}

func sketchAbove(q []int8, bias int32, scale, slack float32, codes []uint8, rows []uint32, blocks []int32, bars []float32, out []uint64) {
	switch active {
	case avx512:
		sketchAboveAVX512(q, bias, scale, slack, codes, rows, blocks, bars, out)
	case avx2:
		sketchAboveAVX2(q, bias, scale, slack, codes, rows, blocks, bars, out)
	default:
		sketchAboveGeneric(q, bias, scale, slack, codes, rows, blocks, bars, out)
	}
}

func addTo(dst, a, b []float32) {
	switch active {
	case avx512:
		addToAVX512(dst, a, b)
	case avx2:
		addToAVX2(dst, a, b)
	default:
		addToGeneric(dst, a, b)
	}
}

func subTo(dst, a, b []float32) {
	switch active {
	case avx512:
		subToAVX512(dst, a, b)
	case avx2:
		subToAVX2(dst, a, b)
	default:
		subToGeneric(dst, a, b)
	}
}

func mulTo(dst, a, b []float32) {
	switch active {
	case avx512:
		mulToAVX512(dst, a, b)
	case avx2:
		mulToAVX2(dst, a, b)
	default:
		mulToGeneric(dst, a, b)
	}
}

func mulAddTo(dst, a, b []float32) {
	switch active {
	case avx512:
		mulAddToAVX512(dst, a, b)
	case avx2:
		mulAddToAVX2(dst, a, b)
	default:
		mulAddToGeneric(dst, a, b)
	}
}

func relu(dst, x []float32) {
	switch active {
	case avx512:
		reluAVX512(dst, x)
	case avx2:
		reluAVX2(dst, x)
	default:
		reluGeneric(dst, x)
	}
}

func reluGrad(dst, y, grad []float32) {
	switch active {
	case avx512:
		reluGradAVX512(dst, y, grad)
	case avx2:
		reluGradAVX2(dst, y, grad)
	default:
		reluGradGeneric(dst, y, grad)
	}
}

func standardise(dst, x, mean, scale []float32, limit float32) {
	switch active {
	case avx512:
		standardiseAVX512(dst, x, mean, scale, limit)
	case avx2:
		standardiseAVX2(dst, x, mean, scale, limit)
	default:
		standardiseGeneric(dst, x, mean, scale, limit)
	}
}

func sigmoid(dst, x []float32) {
	switch active {
	case avx512:
		sigmoidAVX512(dst, x)
	case avx2:
		sigmoidAVX2(dst, x)
	default:
		sigmoidGeneric(dst, x)
	}
}

func tanh(dst, x []float32) {
	switch active {
	case avx512:
		tanhAVX512(dst, x)
	case avx2:
		tanhAVX2(dst, x)
	default:
		tanhGeneric(dst, x)
	}
}

func expSum(dst, x []float32, shift float32) float32 {
	switch active {
	case avx512:
		return expSumAVX512(dst, x, shift)
	case avx2:
		return expSumAVX2(dst, x, shift)
	}
	return expSumGeneric(dst, x, shift)
}

func largest(x []float32) float32 {
	switch active {
	case avx512:
		return largestAVX512(x)
	case avx2:
		return largestAVX2(x)
	}
	return largestGeneric(x)
}

func adam(w, g, m, v []float32, c *adamCoefficients) {
	switch active {
	case avx512:
		adamAVX512(w, g, m, v, &c.beta1)
	case avx2:
		adamAVX2(w, g, m, v, &c.beta1)
	default:
		adamGeneric(w, g, m, v, c)
	}
}

func bitsAt(words []uint64, rows []int32, out []uint64) {
	if active == generic || len(words) == 0 {
		bitsAtGeneric(words, rows, out)
		return
	}
	bitsAtAVX2(words, rows, out)
}

func anyBit(words []uint64, rows []int32) bool {
	if active == generic || len(words) == 0 {
		return anyBitGeneric(words, rows)
	}
	return anyBitAVX2(words, rows) != 0
}
