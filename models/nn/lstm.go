package nn

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/linalg"
)

// LSTM is a long short-term memory (Hochreiter, Schmidhuber 1997, with the
// forget gate of Gers et al. 2000):
//
//	i, f, o = σ(x·Wx + h·Wh + b), g = tanh(…), c' = f∘c + i∘g, h' = o∘tanh(c')
//
// The columns of the weights are i, f, o, g in that order.
type LSTM[F Float] struct {
	Wx, Wh, B *Param[F] // in x 4h, h x 4h, 4h

	x                           Mat[F]
	steps                       Steps
	gates, cells, bent, prev, y buffer[F]
	dPrev, dCell, dx            buffer[F]
	zero                        buffer[F] // the state before the first token
}

// NewLSTM draws the weights evenly from ±1/√hidden; the forget gate starts
// open, with a bias of 1.
func NewLSTM[F Float](name string, in, hidden int, rng *rand.Rand) *LSTM[F] {
	bound := 1 / math.Sqrt(float64(hidden))
	l := &LSTM[F]{
		Wx: NewParam[F](name+".input", in, 4*hidden).Uniform(rng, bound),
		Wh: NewParam[F](name+".recurrent", hidden, 4*hidden).Uniform(rng, bound),
		B:  NewParam[F](name+".bias", 1, 4*hidden).Uniform(rng, bound),
	}
	for i := hidden; i < 2*hidden; i++ {
		l.B.W[i] = 1
	}
	return l
}

// Params are the layer's parameters.
func (l *LSTM[F]) Params() Params[F] { return Params[F]{l.Wx, l.Wh, l.B} }

// Hidden is the size of the output; the state is twice that.
func (l *LSTM[F]) Hidden() int { return l.Wh.Rows }

// Forward runs packed sequences from a state of zeros and returns h after each
// token, valid until the next call. x must stay as it is until Backward.
func (l *LSTM[F]) Forward(x Mat[F], steps Steps) Mat[F] {
	h := l.Hidden()
	l.x, l.steps = x, steps
	gates, cells, bent := l.gates.mat(x.Rows, 4*h), l.cells.mat(x.Rows, h), l.bent.mat(x.Rows, h)
	prev, y, zero := l.prev.mat(x.Rows, h), l.y.mat(x.Rows, h), l.zero.slice(h)
	clear(zero)
	at, last, ready := 0, 0, 0
	for t, n := range steps {
		if at+n > ready {
			ready = at + steps[t:].chunk()
			gemm(false, false, 1, x.Slice(at, ready), l.Wx.Mat(), 0, gates.Slice(at, ready))
		}
		hp, now := prev.Slice(at, at+n), gates.Slice(at, at+n)
		if t == 0 {
			clear(hp.Data[:n*h])
		} else {
			copy(hp.Data[:n*h], y.Data[last*h:])
			gemm(false, false, 1, hp, l.Wh.Mat(), 1, now)
		}
		for i := range n {
			c := zero
			if t > 0 {
				c = cells.Row(last + i)
			}
			lstmCell(now.Row(i), l.B.W, c, cells.Row(at+i), bent.Row(at+i), y.Row(at+i))
		}
		last, at = at, at+n
	}
	return y
}

// lstmCell is one token: gates hold x·Wx + h·Wh and become the gates; cell,
// bent and out become c', tanh(c') and h'. cell may be c.
func lstmCell[F Float](gates, bias, c, cell, bent, out []F) {
	if g, ok := single(gates); ok {
		linalg.LSTMCell(g, sameAs(bias), sameAs(c), sameAs(cell), sameAs(bent), sameAs(out))
		return
	}
	h := len(out)
	addTo(gates, gates, bias)
	sigmoidTo(gates[:3*h], gates[:3*h])
	tanhTo(gates[3*h:], gates[3*h:])
	mulTo(cell, c, gates[h:2*h])
	mulAddTo(cell, gates[:h], gates[3*h:])
	tanhTo(bent, cell)
	mulTo(out, bent, gates[2*h:3*h])
}

// Backward takes the gradient of every h, adds to the gradients of the
// weights, and returns that of x, valid until the next call. It uses up what
// Forward kept: it can run once after each.
func (l *LSTM[F]) Backward(dy Mat[F]) Mat[F] {
	h, tokens := l.Hidden(), l.x.Rows
	gates, cells, bent, prev := l.gates.mat(tokens, 4*h), l.cells.mat(tokens, h), l.bent.mat(tokens, h), l.prev.mat(tokens, h)
	dGates, dPrev, dCell := gates, l.dPrev.mat(max(tokens, 1), h), l.dCell.mat(max(tokens, 1), h)
	dx := l.dx.mat(tokens, l.x.Cols)
	at, carried, done := tokens, 0, tokens
	for t := len(l.steps) - 1; t >= 0; t-- {
		n := l.steps[t]
		at -= n
		clear(dPrev.Slice(carried, n).Data[:(n-carried)*h])
		clear(dCell.Slice(carried, n).Data[:(n-carried)*h])
		for i := range n {
			c := l.zero.slice(h)
			if t > 0 {
				c = cells.Row(at - l.steps[t-1] + i)
			}
			lstmGrad(dy.Row(at+i), dPrev.Row(i), gates.Row(at+i), bent.Row(at+i), c, dGates.Row(at+i), dCell.Row(i))
		}
		if t > 0 {
			gemm(false, true, 1, dGates.Slice(at, at+n), l.Wh.Mat(), 0, dPrev.Slice(0, n))
		}
		carried = n
		if t == 0 || done-at >= chunkRows {
			part := dGates.Slice(at, done)
			gemm(true, false, 1, l.x.Slice(at, done), part, 1, l.Wx.Grad())
			gemm(true, false, 1, prev.Slice(at, done), part, 1, l.Wh.Grad())
			gemm(false, true, 1, part, l.Wx.Mat(), 0, dx.Slice(at, done))
			sumRows(part, l.B.G)
			done = at
		}
	}
	return dx
}

// lstmGrad turns the gradients dy+dh of h' and dc of c' into those of the
// gates' arguments; dc becomes the gradient of c.
func lstmGrad[F Float](dy, dh, gate, bent, c, dg, dc []F) {
	if d, ok := single(dy); ok {
		linalg.LSTMCellGrad(d, sameAs(dh), sameAs(gate), sameAs(bent), sameAs(c), sameAs(dg), sameAs(dc))
		return
	}
	h := len(dy)
	for j := range dy {
		i, f, o, g, b, d := gate[j], gate[h+j], gate[2*h+j], gate[3*h+j], bent[j], dy[j]+dh[j]
		cell := dc[j] + d*o*(1-b*b)
		dg[j] = cell * g * i * (1 - i)
		dg[h+j] = cell * c[j] * f * (1 - f)
		dg[2*h+j] = d * b * o * (1 - o)
		dg[3*h+j] = cell * i * (1 - g*g)
		dc[j] = cell * f
	}
}

// Step runs one token of one sequence: state, h and then c, becomes the state
// after x. It needs 5·Hidden numbers of work and neither keeps nor changes
// anything of the layer.
func (l *LSTM[F]) Step(x, state, work []F) {
	h := l.Hidden()
	gates, bent := work[:4*h], work[4*h:5*h]
	clear(gates)
	rowTimes(x, l.Wx, gates)
	rowTimes(state[:h], l.Wh, gates)
	lstmCell(gates, l.B.W, state[h:], state[h:], bent, state[:h])
}

// rowTimes adds x·W to y.
func rowTimes[F Float](x []F, w *Param[F], y []F) {
	if y32, ok := single(y); ok {
		linalg.AxpyRows(sameAs(x), sameAs(w.W), y32)
		return
	}
	for i, v := range x {
		axpy(v, w.W[i*w.Cols:][:w.Cols], y)
	}
}
