package linalg

// The functions of this file are the gates of recurrent cells, forward and backward, of one row: a
// state of n numbers. Rows of gates hold their sections one after the other, each of n numbers. An
// output may be the input whose place it takes: cell that of c, out that of h, the gates of a GRUCell
// that of x, and the gradients of the gates' arguments that of the gates. Otherwise outputs overlap
// nothing.

// LSTMCell is a step of a long short-term memory. gates, 4n, hold the gates' arguments without bias
// in the order input, forget, output, candidate, and become the gates:
//
//	i, f, o = σ(gates + bias), g = tanh(gates + bias), cell = f∘c + i∘g, bent = tanh(cell), out = o∘bent
func LSTMCell(gates, bias, c, cell, bent, out []float32) {
	n := len(out)
	checkLen("LSTMCell", len(gates), 4*n)
	checkLen("LSTMCell", len(bias), 4*n)
	checkLen("LSTMCell", len(c), n)
	checkLen("LSTMCell", len(cell), n)
	checkLen("LSTMCell", len(bent), n)
	lstmCell(gates, bias, c, cell, bent, out)
}

// LSTMCellGrad goes the way of [LSTMCell] back. The gradient of out is dy+dh, that of cell, but for
// what comes by out, is dCell. It sets dGates, 4n, to the gradient of the gates' arguments and dCell
// to that of c.
func LSTMCellGrad(dy, dh, gates, bent, c, dGates, dCell []float32) {
	n := len(dy)
	checkLen("LSTMCellGrad", len(dh), n)
	checkLen("LSTMCellGrad", len(gates), 4*n)
	checkLen("LSTMCellGrad", len(bent), n)
	checkLen("LSTMCellGrad", len(c), n)
	checkLen("LSTMCellGrad", len(dGates), 4*n)
	checkLen("LSTMCellGrad", len(dCell), n)
	lstmGrad(dy, dh, gates, bent, c, dGates, dCell)
}

// GRUCell is a step of a gated recurrent unit. x and hw, 3n each, are what the input and the state h
// give to the arguments of the gates, without bias, in the order reset, update, candidate; own is
// the bias of the state's part of the candidate.
//
//	r, z = σ(x + bias + hw), inner = hw + own, n = tanh(x + bias + r∘inner), out = n + z∘(h-n)
//
// It sets gates, 3n, to r, z and n.
func GRUCell(x, hw, bias, own, h, gates, inner, out []float32) {
	n := len(out)
	checkLen("GRUCell", len(x), 3*n)
	checkLen("GRUCell", len(hw), 3*n)
	checkLen("GRUCell", len(bias), 3*n)
	checkLen("GRUCell", len(own), n)
	checkLen("GRUCell", len(h), n)
	checkLen("GRUCell", len(gates), 3*n)
	checkLen("GRUCell", len(inner), n)
	gruCell(x, hw, bias, own, h, gates, inner, out)
}

// GRUCellGrad goes the way of [GRUCell] back. The gradient of out is dy+dh. It sets dx and dhw, 3n
// each, to the gradients of x and hw, and dh to what comes to h directly, not by hw.
func GRUCellGrad(dy, dh, gates, inner, h, dx, dhw []float32) {
	n := len(dy)
	checkLen("GRUCellGrad", len(dh), n)
	checkLen("GRUCellGrad", len(gates), 3*n)
	checkLen("GRUCellGrad", len(inner), n)
	checkLen("GRUCellGrad", len(h), n)
	checkLen("GRUCellGrad", len(dx), 3*n)
	checkLen("GRUCellGrad", len(dhw), 3*n)
	gruGrad(dy, dh, gates, inner, h, dx, dhw)
}

func lstmCellGeneric(gates, bias, c, cell, bent, out []float32) {
	n := len(out)
	addToGeneric(gates, gates, bias)
	sigmoidGeneric(gates[:3*n], gates[:3*n])
	tanhGeneric(gates[3*n:], gates[3*n:])
	for j := range out {
		cell[j] = gates[n+j]*c[j] + gates[j]*gates[3*n+j]
	}
	tanhGeneric(bent, cell)
	mulToGeneric(out, bent, gates[2*n:3*n])
}

func lstmGradGeneric(dy, dh, gates, bent, c, dGates, dCell []float32) {
	n := len(dy)
	for j := range dy {
		i, f, o, g, b, d := gates[j], gates[n+j], gates[2*n+j], gates[3*n+j], bent[j], dy[j]+dh[j]
		cell := dCell[j] + d*o*(1-b*b)
		dGates[j] = cell * g * i * (1 - i)
		dGates[n+j] = cell * c[j] * f * (1 - f)
		dGates[2*n+j] = d * b * o * (1 - o)
		dGates[3*n+j] = cell * i * (1 - g*g)
		dCell[j] = cell * f
	}
}

func gruCellGeneric(x, hw, bias, own, h, gates, inner, out []float32) {
	n := len(out)
	for j := range 2 * n {
		gates[j] = x[j] + bias[j] + hw[j]
	}
	sigmoidGeneric(gates[:2*n], gates[:2*n])
	for j := range out {
		inner[j] = hw[2*n+j] + own[j]
		gates[2*n+j] = x[2*n+j] + bias[2*n+j] + gates[j]*inner[j]
	}
	tanhGeneric(gates[2*n:], gates[2*n:])
	for j := range out {
		out[j] = gates[2*n+j] + gates[n+j]*(h[j]-gates[2*n+j])
	}
}

func gruGradGeneric(dy, dh, gates, inner, h, dx, dhw []float32) {
	n := len(dy)
	for j := range dy {
		r, z, c, d := gates[j], gates[n+j], gates[2*n+j], dy[j]+dh[j]
		cand := d * (1 - z) * (1 - c*c)
		dx[j] = cand * inner[j] * r * (1 - r)
		dx[n+j] = d * (h[j] - c) * z * (1 - z)
		dx[2*n+j] = cand
		dhw[j], dhw[n+j], dhw[2*n+j] = dx[j], dx[n+j], cand*r
		dh[j] = d * z
	}
}
