package linalg

//go:generate go run ./asm -family cell -out cell_amd64.s -stubs cell_amd64.go -pkg linalg

func lstmCell(gates, bias, c, cell, bent, out []float32) {
	switch active {
	case avx512:
		lstmCellAVX512(gates, bias, c, cell, bent, out)
	case avx2:
		lstmCellAVX2(gates, bias, c, cell, bent, out)
	default:
		lstmCellGeneric(gates, bias, c, cell, bent, out)
	}
}

func lstmGrad(dy, dh, gates, bent, c, dGates, dCell []float32) {
	switch active {
	case avx512:
		lstmGradAVX512(dy, dh, gates, bent, c, dGates, dCell)
	case avx2:
		lstmGradAVX2(dy, dh, gates, bent, c, dGates, dCell)
	default:
		lstmGradGeneric(dy, dh, gates, bent, c, dGates, dCell)
	}
}

func gruCell(x, hw, bias, own, h, gates, inner, out []float32) {
	switch active {
	case avx512:
		gruCellAVX512(x, hw, bias, own, h, gates, inner, out)
	case avx2:
		gruCellAVX2(x, hw, bias, own, h, gates, inner, out)
	default:
		gruCellGeneric(x, hw, bias, own, h, gates, inner, out)
	}
}

func gruGrad(dy, dh, gates, inner, h, dx, dhw []float32) {
	switch active {
	case avx512:
		gruGradAVX512(dy, dh, gates, inner, h, dx, dhw)
	case avx2:
		gruGradAVX2(dy, dh, gates, inner, h, dx, dhw)
	default:
		gruGradGeneric(dy, dh, gates, inner, h, dx, dhw)
	}
}
