package nn

import "github.com/attune-rec/attune/models/linalg"

// ReLU is max(x, 0).
type ReLU[F Float] struct{ y, dx buffer[F] }

// Forward returns the activation, valid until the next call.
func (r *ReLU[F]) Forward(x Mat[F]) Mat[F] {
	y := r.y.mat(x.Rows, x.Cols)
	if d, ok := single(y.Data); ok {
		linalg.ReLU(d, sameAs(x.Data[:len(y.Data)]))
		return y
	}
	for i, v := range x.Data[:len(y.Data)] {
		y.Data[i] = max(v, 0)
	}
	return y
}

// Backward returns the gradient of x, valid until the next call.
func (r *ReLU[F]) Backward(dy Mat[F]) Mat[F] {
	y, dx := r.y.mat(dy.Rows, dy.Cols), r.dx.mat(dy.Rows, dy.Cols)
	if d, ok := single(dx.Data); ok {
		linalg.ReLUGrad(d, sameAs(y.Data), sameAs(dy.Data[:len(y.Data)]))
		return dx
	}
	for i, v := range y.Data {
		dx.Data[i] = 0
		if v > 0 {
			dx.Data[i] = dy.Data[i]
		}
	}
	return dx
}

// geluSlope is the factor of GELU's logistic approximation.
const geluSlope = 1.702

// GELU is x·σ(1.702·x), the logistic approximation of the Gaussian error
// linear unit (Hendrycks, Gimpel 2016, §2).
type GELU[F Float] struct {
	x          Mat[F]
	gate, y, d buffer[F]
}

// Forward returns the activation, valid until the next call; x must stay as it
// is until Backward.
func (g *GELU[F]) Forward(x Mat[F]) Mat[F] {
	g.x = x
	gate, y := g.gate.mat(x.Rows, x.Cols), g.y.mat(x.Rows, x.Cols)
	copy(gate.Data, x.Data)
	scale(geluSlope, gate.Data)
	sigmoidTo(gate.Data, gate.Data)
	mulTo(y.Data, gate.Data, x.Data[:len(y.Data)])
	return y
}

// Backward returns the gradient of x, valid until the next call.
func (g *GELU[F]) Backward(dy Mat[F]) Mat[F] {
	gate, dx := g.gate.mat(dy.Rows, dy.Cols), g.d.mat(dy.Rows, dy.Cols)
	x, out, in := g.x.Data[:len(gate.Data)], dx.Data, dy.Data[:len(gate.Data)]
	for i, s := range gate.Data {
		out[i] = in[i] * s * (1 + geluSlope*x[i]*(1-s))
	}
	return dx
}

// Apply sets dst to the activation of x. It changes nothing of the layer.
func (g *GELU[F]) Apply(x, dst []F) {
	copy(dst, x)
	scale(geluSlope, dst)
	sigmoidTo(dst, dst)
	mulTo(dst, dst, x)
}
