package nn

import "math"

const normEpsilon = 1e-5

// LayerNorm brings each row to mean 0 and variance 1, then scales and shifts
// (Ba, Kiros, Hinton 2016).
type LayerNorm[F Float] struct {
	Gain, Shift *Param[F]
	unit        buffer[F] // normalised rows
	inverse     buffer[F] // 1/deviation of each
	y, dx       buffer[F]
	rows        int
}

// NewLayerNorm is the identity after normalising.
func NewLayerNorm[F Float](name string, dim int) *LayerNorm[F] {
	return &LayerNorm[F]{Gain: NewParam[F](name+".gain", 1, dim).Fill(1), Shift: NewParam[F](name+".shift", 1, dim)}
}

// Params are the layer's parameters.
func (l *LayerNorm[F]) Params() Params[F] { return Params[F]{l.Gain, l.Shift} }

// Forward normalises each row of x; the result is valid until the next call.
func (l *LayerNorm[F]) Forward(x Mat[F]) Mat[F] {
	l.rows = x.Rows
	unit, inverse, y := l.unit.mat(x.Rows, x.Cols), l.inverse.slice(x.Rows), l.y.mat(x.Rows, x.Cols)
	for i := range x.Rows {
		inverse[i] = normalise(unit.Row(i), x.Row(i))
		out := y.Row(i)
		mulTo(out, unit.Row(i), l.Gain.W)
		addTo(out, out, l.Shift.W)
	}
	return y
}

// Apply normalises one row into dst. It changes nothing of the layer.
func (l *LayerNorm[F]) Apply(x, dst []F) {
	normalise(dst, x)
	mulTo(dst, dst, l.Gain.W)
	addTo(dst, dst, l.Shift.W)
}

// normalise sets dst to x with mean 0 and variance 1 and returns the inverse
// of its deviation.
func normalise[F Float](dst, x []F) F {
	n := F(len(x))
	mean := sum(x) / n
	for j, v := range x {
		dst[j] = v - mean
	}
	inverse := 1 / F(math.Sqrt(float64(dot(dst, dst)/n)+normEpsilon))
	scale(inverse, dst)
	return inverse
}

func sum[F Float](x []F) F {
	var a, b, c, d F
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = a+x[0], b+x[1], c+x[2], d+x[3]
	}
	for _, v := range x {
		a += v
	}
	return (a + b) + (c + d)
}

// Backward adds to the gradients and returns that of x, valid until the next
// call.
func (l *LayerNorm[F]) Backward(dy Mat[F]) Mat[F] {
	unit, inverse := l.unit.mat(l.rows, dy.Cols), l.inverse.slice(l.rows)
	dx := l.dx.mat(dy.Rows, dy.Cols)
	n := F(dy.Cols)
	for i := range dy.Rows {
		g, u, out := dy.Row(i), unit.Row(i), dx.Row(i)
		mulAddTo(l.Gain.G, g, u)
		addTo(l.Shift.G, l.Shift.G, g)
		mulTo(out, g, l.Gain.W)
		mean, along := sum(out)/n, dot(out, u)/n
		f := inverse[i]
		for j, v := range u {
			out[j] = f * (out[j] - mean - along*v)
		}
	}
	return dx
}
