package nn

import (
	"math"
	"math/rand/v2"
)

// Dense is y = x·W + b, W of in x out.
type Dense[F Float] struct {
	W, B  *Param[F]
	x     Mat[F]
	y, dx buffer[F]
}

// NewDense draws W and b evenly from ±1/√in, as is usual for recurrent and
// fully connected layers.
func NewDense[F Float](name string, in, out int, rng *rand.Rand) *Dense[F] {
	bound := 1 / math.Sqrt(float64(in))
	d := &Dense[F]{
		W: NewParam[F](name+".weight", in, out).Uniform(rng, bound),
		B: NewParam[F](name+".bias", 1, out).Uniform(rng, bound),
	}
	return d
}

// Params are the layer's parameters.
func (d *Dense[F]) Params() Params[F] { return Params[F]{d.W, d.B} }

// Forward maps each row of x. The result is valid until the next call; x must
// stay as it is until Backward.
func (d *Dense[F]) Forward(x Mat[F]) Mat[F] {
	d.x = x
	y := d.y.mat(x.Rows, d.W.Cols)
	gemm(false, false, 1, x, d.W.Mat(), 0, y)
	addRows(y, d.B.W)
	return y
}

// Backward adds to the gradients and returns that of x, valid until the next
// call.
func (d *Dense[F]) Backward(dy Mat[F]) Mat[F] {
	d.Weights(dy)
	dx := d.dx.mat(dy.Rows, d.W.Rows)
	gemm(false, true, 1, dy, d.W.Mat(), 0, dx)
	return dx
}

// Weights is Backward where nobody wants the gradient of x.
func (d *Dense[F]) Weights(dy Mat[F]) {
	gemm(true, false, 1, d.x, dy, 1, d.W.Grad())
	sumRows(dy, d.B.G)
}

// Apply maps one row into dst. It changes nothing of the layer.
func (d *Dense[F]) Apply(x, dst []F) {
	copy(dst, d.B.W)
	rowTimes(x, d.W, dst)
}
