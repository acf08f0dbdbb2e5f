//go:build !amd64

package linalg

func lstmCell(gates, bias, c, cell, bent, out []float32) {
	lstmCellGeneric(gates, bias, c, cell, bent, out)
}

func lstmGrad(dy, dh, gates, bent, c, dGates, dCell []float32) {
	lstmGradGeneric(dy, dh, gates, bent, c, dGates, dCell)
}

func gruCell(x, hw, bias, own, h, gates, inner, out []float32) {
	gruCellGeneric(x, hw, bias, own, h, gates, inner, out)
}

func gruGrad(dy, dh, gates, inner, h, dx, dhw []float32) {
	gruGradGeneric(dy, dh, gates, inner, h, dx, dhw)
}
