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

	x                                   Mat[F]
	steps                               Steps
	gates, cells, bent, prev, before, y buffer[F]
	dGates, dPrev, dCell, dx, work      buffer[F]
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
	prev, before, y := l.prev.mat(x.Rows, h), l.before.mat(x.Rows, h), l.y.mat(x.Rows, h)
	gemm(false, false, 1, x, l.Wx.Mat(), 0, gates)
	at, last := 0, 0
	for t, n := range steps {
		hp, cp, now := prev.Slice(at, at+n), before.Slice(at, at+n), gates.Slice(at, at+n)
		if t == 0 {
			clear(hp.Data[:n*h])
			clear(cp.Data[:n*h])
		} else {
			copy(hp.Data[:n*h], y.Data[last*h:])
			copy(cp.Data[:n*h], cells.Data[last*h:])
			gemm(false, false, 1, hp, l.Wh.Mat(), 1, now)
		}
		for i := range n {
			l.cell(now.Row(i), cp.Row(i), cells.Row(at+i), bent.Row(at+i), y.Row(at+i))
		}
		last, at = at, at+n
	}
	return y
}

// cell is one token: gates hold x·Wx + h·Wh and become the gates; cell, bent
// and out become c', tanh(c') and h'. cell may be c.
func (l *LSTM[F]) cell(gates, c, cell, bent, out []F) {
	h := len(out)
	addTo(gates, gates, l.B.W)
	sigmoidTo(gates[:3*h], gates[:3*h])
	tanhTo(gates[3*h:], gates[3*h:])
	mulTo(cell, c, gates[h:2*h])
	mulAddTo(cell, gates[:h], gates[3*h:])
	tanhTo(bent, cell)
	mulTo(out, bent, gates[2*h:3*h])
}

// Backward takes the gradient of every h, adds to the gradients of the
// weights, and returns that of x, valid until the next call.
func (l *LSTM[F]) Backward(dy Mat[F]) Mat[F] {
	h, tokens := l.Hidden(), l.x.Rows
	gates, bent := l.gates.mat(tokens, 4*h), l.bent.mat(tokens, h)
	prev, before := l.prev.mat(tokens, h), l.before.mat(tokens, h)
	dGates, dPrev, dCell := l.dGates.mat(tokens, 4*h), l.dPrev.mat(max(tokens, 1), h), l.dCell.mat(max(tokens, 1), h)
	at, carried := tokens, 0
	for t := len(l.steps) - 1; t >= 0; t-- {
		n := l.steps[t]
		at -= n
		for i := range n {
			d := l.work.slice(h)
			copy(d, dy.Row(at+i))
			dc := dCell.Row(i)
			if i < carried {
				addTo(d, d, dPrev.Row(i))
			} else {
				clear(dc)
			}
			lstmGrad(d, gates.Row(at+i), bent.Row(at+i), before.Row(at+i), dGates.Row(at+i), dc)
		}
		if t > 0 {
			gemm(false, true, 1, dGates.Slice(at, at+n), l.Wh.Mat(), 0, dPrev.Slice(0, n))
		}
		carried = n
	}
	gemm(true, false, 1, l.x, dGates, 1, l.Wx.Grad())
	gemm(true, false, 1, prev, dGates, 1, l.Wh.Grad())
	sumRows(dGates, l.B.G)
	dx := l.dx.mat(tokens, l.x.Cols)
	gemm(false, true, 1, dGates, l.Wx.Mat(), 0, dx)
	return dx
}

// lstmGrad turns the gradient d of h' and dc of c' into those of the gates'
// arguments; dc becomes the gradient of c.
func lstmGrad[F Float](d, gate, bent, c, dg, dc []F) {
	h := len(d)
	in, forget, out, cand := gate[:h], gate[h:2*h], gate[2*h:3*h], gate[3*h:4*h]
	dIn, dForget, dOut, dCand := dg[:h], dg[h:2*h], dg[2*h:3*h], dg[3*h:4*h]
	bent, c, dc = bent[:h], c[:h], dc[:h]
	for j, v := range d {
		i, f, o, g, b := in[j], forget[j], out[j], cand[j], bent[j]
		dOut[j] = v * b * o * (1 - o)
		cell := dc[j] + v*o*(1-b*b)
		dIn[j] = cell * g * i * (1 - i)
		dForget[j] = cell * c[j] * f * (1 - f)
		dCand[j] = cell * i * (1 - g*g)
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
	l.cell(gates, state[h:], state[h:], bent, state[:h])
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
