package nn

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/linalg"
)

// Steps is the shape of packed sequences: Steps[t] sequences have a token at
// time t. Sequences are sorted by length, longest first, so it never grows;
// tokens lie time by time, and at each time in the order of the sequences. No
// place is spent on padding.
type Steps []int

// Tokens is the number of tokens.
func (s Steps) Tokens() int {
	n := 0
	for _, m := range s {
		n += m
	}
	return n
}

// chunkRows is how many tokens the products over all of time take at once, at
// least: enough for the kernels, few enough to be in the cache still when the
// recurrence comes to them, or has just left them.
const chunkRows = 256

// chunk is the number of tokens of the first steps that make a chunk.
func (s Steps) chunk() int {
	n := 0
	for _, m := range s {
		if n += m; n >= chunkRows {
			break
		}
	}
	return n
}

// GRU is a gated recurrent unit (Cho et al. 2014, with the reset gate behind
// the recurrent product as in Chung et al. 2014 and cuDNN):
//
//	r, z = σ(x·Wx + h·Wh + b), n = tanh(x·Wx + b + r∘(h·Wh + bh)), h' = n + z∘(h-n)
//
// The columns of the weights are r, z, n in that order.
type GRU[F Float] struct {
	Wx, Wh, B, Bh *Param[F] // in x 3h, h x 3h, 3h, h

	x                     Mat[F]
	steps                 Steps
	gates, inner, prev, y buffer[F]
	dRecurrent, dPrev, dx buffer[F]
	work                  buffer[F]
}

// NewGRU draws the weights evenly from ±1/√hidden.
func NewGRU[F Float](name string, in, hidden int, rng *rand.Rand) *GRU[F] {
	bound := 1 / math.Sqrt(float64(hidden))
	return &GRU[F]{
		Wx: NewParam[F](name+".input", in, 3*hidden).Uniform(rng, bound),
		Wh: NewParam[F](name+".recurrent", hidden, 3*hidden).Uniform(rng, bound),
		B:  NewParam[F](name+".bias", 1, 3*hidden).Uniform(rng, bound),
		Bh: NewParam[F](name+".inner", 1, hidden).Uniform(rng, bound),
	}
}

// Params are the layer's parameters.
func (g *GRU[F]) Params() Params[F] { return Params[F]{g.Wx, g.Wh, g.B, g.Bh} }

// Hidden is the size of the state.
func (g *GRU[F]) Hidden() int { return g.Wh.Rows }

// Forward runs packed sequences from a state of zeros and returns the state
// after each token, valid until the next call. x must stay as it is until
// Backward.
func (g *GRU[F]) Forward(x Mat[F], steps Steps) Mat[F] {
	h := g.Hidden()
	g.x, g.steps = x, steps
	gates := g.gates.mat(x.Rows, 3*h)
	inner, prev, y := g.inner.mat(x.Rows, h), g.prev.mat(x.Rows, h), g.y.mat(x.Rows, h)
	at, before, ready := 0, 0, 0
	for t, n := range steps {
		if at+n > ready {
			ready = at + steps[t:].chunk()
			gemm(false, false, 1, x.Slice(at, ready), g.Wx.Mat(), 0, gates.Slice(at, ready))
		}
		work := g.work.mat(n, 3*h)
		hp := prev.Slice(at, at+n)
		if t == 0 {
			clear(hp.Data[:n*h])
			clear(work.Data)
		} else {
			copy(hp.Data[:n*h], y.Data[before*h:])
			gemm(false, false, 1, hp, g.Wh.Mat(), 0, work)
		}
		for i := range n {
			gruCell(gates.Row(at+i), work.Row(i), g.B.W, g.Bh.W, hp.Row(i), gates.Row(at+i), inner.Row(at+i), y.Row(at+i))
		}
		before, at = at, at+n
	}
	return y
}

// gruCell is one token: x is x·Wx and hw is h·Wh, both without bias. It fills
// the gates, the inner product h·Wh+bh of n, and the new state. gates may be x,
// and out h.
func gruCell[F Float](x, hw, bias, own, h, gates, inner, out []F) {
	if v, ok := single(x); ok {
		linalg.GRUCell(v, sameAs(hw), sameAs(bias), sameAs(own), sameAs(h), sameAs(gates), sameAs(inner), sameAs(out))
		return
	}
	n := len(h)
	addTo(gates, x, bias)
	addTo(gates[:2*n], gates[:2*n], hw[:2*n])
	sigmoidTo(gates[:2*n], gates[:2*n])
	addTo(inner, hw[2*n:], own)
	mulAddTo(gates[2*n:], gates[:n], inner)
	tanhTo(gates[2*n:], gates[2*n:])
	subTo(out, h, gates[2*n:])
	mulTo(out, out, gates[n:2*n])
	addTo(out, out, gates[2*n:])
}

// Backward takes the gradient of every state, adds to the gradients of the
// weights, and returns that of x, valid until the next call. It uses up what
// Forward kept: it can run once after each.
func (g *GRU[F]) Backward(dy Mat[F]) Mat[F] {
	h, tokens := g.Hidden(), g.x.Rows
	gates, inner, prev := g.gates.mat(tokens, 3*h), g.inner.mat(tokens, h), g.prev.mat(tokens, h)
	dInput, dRecurrent, dPrev := gates, g.dRecurrent.mat(tokens, 3*h), g.dPrev.mat(max(tokens, 1), h)
	dx := g.dx.mat(tokens, g.x.Cols)
	at, carried, done := tokens, 0, tokens
	for t := len(g.steps) - 1; t >= 0; t-- {
		n := g.steps[t]
		at -= n
		clear(dPrev.Slice(carried, n).Data[:(n-carried)*h])
		for i := range n {
			gruGrad(dy.Row(at+i), dPrev.Row(i), gates.Row(at+i), inner.Row(at+i), prev.Row(at+i), dInput.Row(at+i), dRecurrent.Row(at+i))
		}
		if t > 0 {
			gemm(false, true, 1, dRecurrent.Slice(at, at+n), g.Wh.Mat(), 1, dPrev.Slice(0, n))
		}
		carried = n
		if t == 0 || done-at >= chunkRows {
			di, dr := dInput.Slice(at, done), dRecurrent.Slice(at, done)
			gemm(true, false, 1, g.x.Slice(at, done), di, 1, g.Wx.Grad())
			gemm(true, false, 1, prev.Slice(at, done), dr, 1, g.Wh.Grad())
			gemm(false, true, 1, di, g.Wx.Mat(), 0, dx.Slice(at, done))
			sumRows(di, g.B.G)
			sumRows(dr.Columns(2*h, 3*h), g.Bh.G)
			done = at
		}
	}
	return dx
}

// gruGrad turns the gradient dy+dh of a state into those of x·Wx and h·Wh;
// dh becomes what comes to the state before by the direct path.
func gruGrad[F Float](dy, dh, gate, inner, h, dx, dhw []F) {
	if d, ok := single(dy); ok {
		linalg.GRUCellGrad(d, sameAs(dh), sameAs(gate), sameAs(inner), sameAs(h), sameAs(dx), sameAs(dhw))
		return
	}
	n := len(dy)
	for j := range dy {
		r, z, c, d := gate[j], gate[n+j], gate[2*n+j], dy[j]+dh[j]
		cand := d * (1 - z) * (1 - c*c)
		dx[j] = cand * inner[j] * r * (1 - r)
		dx[n+j] = d * (h[j] - c) * z * (1 - z)
		dx[2*n+j] = cand
		dhw[j], dhw[n+j], dhw[2*n+j] = dx[j], dx[n+j], cand*r
		dh[j] = d * z
	}
}

// Step runs one token of one sequence: state becomes the state after x. It
// needs 7·Hidden numbers of work and neither keeps nor changes anything of the
// layer, so that any number of goroutines may call it.
func (g *GRU[F]) Step(x, state, work []F) {
	h := g.Hidden()
	input, hw, inner := work[:3*h], work[3*h:6*h], work[6*h:7*h]
	clear(input)
	clear(hw)
	rowTimes(x, g.Wx, input)
	rowTimes(state, g.Wh, hw)
	gruCell(input, hw, g.B.W, g.Bh.W, state, input, inner, state)
}
