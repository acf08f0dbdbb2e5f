//go:build !amd64

package linalg

func best() level { return generic }

func dot(a, b []float32) float32 { return dotGeneric(a, b) }

func dotRows(q, rows []float32, stride int, out []float32) { dotRowsGeneric(q, rows, stride, out) }

func dotGather(q, mat []float32, stride int, rows []int32, out []float32) {
	dotGatherGeneric(q, mat, stride, rows, out)
}

func axpy(alpha float32, x, y []float32) { axpyGeneric(alpha, x, y) }

func axpyRows(alpha, rows []float32, stride int, y []float32) {
	axpyRowsGeneric(alpha, rows, stride, y)
}

func axpyGather(alpha, mat []float32, stride int, rows []int32, y []float32) {
	axpyGatherGeneric(alpha, mat, stride, rows, y)
}

func scale(alpha float32, x []float32) { scaleGeneric(alpha, x) }

func sum(x []float32) float32 { return sumGeneric(x) }

func indexOf(x []int32, v int32) int { return indexOfGeneric(x, v) }

func indexAbove(x []float32, bar float32) int { return indexAboveGeneric(x, bar) }

// tileShape returns the rows and columns of the largest tile.
func tileShape() (mr, nr int) { return genericTile() }

func tile(m, n, k int, alpha float32, a []float32, aP, aI int, b []float32, bP, bStrip int, c []float32, ldc int, src []float32, lds int) {
	tileGeneric(m, n, k, alpha, a, aP, aI, b, bP, bStrip, c, ldc, src, lds)
}

func factorRows(m, n int, a []float32, stride int) int {
	return factorRowsGeneric(m, n, a, stride)
}

func packTransposed(src []float32, stride, n, k, nr int, dst []float32) {
	packTransposedGeneric(src, stride, n, k, nr, dst)
}

func dotInt8(q []int8, bias int32, scale float32, codes []uint8, scales, out []float32) {
	dotInt8Generic(q, bias, scale, codes, scales, out)
}

func dotInt8Gather(q []int8, bias int32, scale float32, codes []uint8, scales []float32, rows []int32, out []float32) {
	dotInt8GatherGeneric(q, bias, scale, codes, scales, rows, out)
}

func sketchAbove(q []int8, bias int32, scale, slack float32, codes []uint8, rows []uint32, blocks []int32, bars []float32, out []uint64) {
	sketchAboveGeneric(q, bias, scale, slack, codes, rows, blocks, bars, out)
}

func addTo(dst, a, b []float32) { addToGeneric(dst, a, b) }

func subTo(dst, a, b []float32) { subToGeneric(dst, a, b) }

func mulTo(dst, a, b []float32) { mulToGeneric(dst, a, b) }

func mulAddTo(dst, a, b []float32) { mulAddToGeneric(dst, a, b) }

func relu(dst, x []float32) { reluGeneric(dst, x) }

func reluGrad(dst, y, grad []float32) { reluGradGeneric(dst, y, grad) }

func standardise(dst, x, mean, scale []float32, limit float32) {
	standardiseGeneric(dst, x, mean, scale, limit)
}

func sigmoid(dst, x []float32) { sigmoidGeneric(dst, x) }

func tanh(dst, x []float32) { tanhGeneric(dst, x) }

func expSum(dst, x []float32, shift float32) float32 { return expSumGeneric(dst, x, shift) }

func largest(x []float32) float32 { return largestGeneric(x) }

func adam(w, g, m, v []float32, c *adamCoefficients) { adamGeneric(w, g, m, v, c) }

func bitsAt(words []uint64, rows []int32, out []uint64) { bitsAtGeneric(words, rows, out) }

func anyBit(words []uint64, rows []int32) bool { return anyBitGeneric(words, rows) }
