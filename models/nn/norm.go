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

// BatchNorm brings each column of a batch to mean 0 and variance 1, then
// scales and shifts (Ioffe, Szegedy 2015); at serving the running moments take
// the place of the batch's. Replicas normalise their own shards.
type BatchNorm[F Float] struct {
	Gain, Shift    *Param[F]
	Mean, Variance []F     // running, not trained; shared between replicas by whoever makes them
	Momentum       float64 // share of a batch in the running moments; .1 when 0

	unit, inverse, y, dx, work buffer[F]
}

// NewBatchNorm is the identity after normalising.
func NewBatchNorm[F Float](name string, dim int) *BatchNorm[F] {
	b := &BatchNorm[F]{
		Gain: NewParam[F](name+".gain", 1, dim).Fill(1), Shift: NewParam[F](name+".shift", 1, dim),
		Mean: make([]F, dim), Variance: make([]F, dim),
	}
	for i := range b.Variance {
		b.Variance[i] = 1
	}
	return b
}

// Params are the layer's parameters.
func (b *BatchNorm[F]) Params() Params[F] { return Params[F]{b.Gain, b.Shift} }

// Forward normalises the columns of x over its rows, two at least, and moves
// the running moments when running says so: one replica does.
func (b *BatchNorm[F]) Forward(x Mat[F], running bool) Mat[F] {
	unit, inverse, y := b.unit.mat(x.Rows, x.Cols), b.inverse.slice(x.Cols), b.y.mat(x.Rows, x.Cols)
	mean := b.work.slice(x.Cols)
	clear(mean)
	sumRows(x, mean)
	n := F(x.Rows)
	scale(1/n, mean)
	clear(inverse)
	for i := range x.Rows {
		u := unit.Row(i)
		subTo(u, x.Row(i), mean)
		mulAddTo(inverse, u, u)
	}
	momentum := F(b.Momentum)
	if momentum == 0 {
		momentum = .1
	}
	for j := range inverse {
		variance := inverse[j] / n
		if running {
			b.Mean[j] += momentum * (mean[j] - b.Mean[j])
			b.Variance[j] += momentum * (variance*n/max(n-1, 1) - b.Variance[j])
		}
		inverse[j] = 1 / F(math.Sqrt(float64(variance)+normEpsilon))
	}
	for i := range x.Rows {
		u, out := unit.Row(i), y.Row(i)
		mulTo(u, u, inverse)
		mulTo(out, u, b.Gain.W)
		addTo(out, out, b.Shift.W)
	}
	return y
}

// Apply normalises one row by the running moments into dst.
func (b *BatchNorm[F]) Apply(x, dst []F) {
	for j, v := range x {
		dst[j] = (v-b.Mean[j])/F(math.Sqrt(float64(b.Variance[j])+normEpsilon))*b.Gain.W[j] + b.Shift.W[j]
	}
}

// Backward adds to the gradients and returns that of x.
func (b *BatchNorm[F]) Backward(dy Mat[F]) Mat[F] {
	unit, inverse, dx := b.unit.mat(dy.Rows, dy.Cols), b.inverse.slice(dy.Cols), b.dx.mat(dy.Rows, dy.Cols)
	gain, shift := b.work.slice(2 * dy.Cols)[:dy.Cols], b.work.slice(2 * dy.Cols)[dy.Cols:]
	clear(gain)
	clear(shift)
	for i := range dy.Rows {
		mulAddTo(gain, dy.Row(i), unit.Row(i))
		addTo(shift, shift, dy.Row(i))
	}
	addTo(b.Gain.G, b.Gain.G, gain)
	addTo(b.Shift.G, b.Shift.G, shift)
	n := F(dy.Rows)
	for i := range dy.Rows {
		g, u, out := dy.Row(i), unit.Row(i), dx.Row(i)
		for j := range out {
			out[j] = b.Gain.W[j] * inverse[j] * (g[j] - shift[j]/n - u[j]*gain[j]/n)
		}
	}
	return dx
}
