package nn

import (
	"fmt"
	"math/rand/v2"
)

// Experts is a mixture of experts (Jacobs et al. 1991), dense: each row of x
// passes through every expert, one hidden layer with a ReLU, and each of the
// gates sums the experts by a softmax of its own. With one gate it is a
// mixture; with one a task, the multi-gate mixture of Ma et al. 2018.
type Experts[F Float] struct {
	Layers []*Dense[F]
	Gates  []*Dense[F]

	act     []*ReLU[F]
	outs    []Mat[F]
	weights []buffer[F]
	mixed   []buffer[F]
	dGate   buffer[F]
	dOuts   []buffer[F]
	dx      buffer[F]
	x       Mat[F]
}

// NewExperts has experts of in x out and gates that choose among them.
func NewExperts[F Float](name string, in, out, experts, gates int, rng *rand.Rand) *Experts[F] {
	e := &Experts[F]{
		act: make([]*ReLU[F], experts), outs: make([]Mat[F], experts), dOuts: make([]buffer[F], experts),
		weights: make([]buffer[F], gates), mixed: make([]buffer[F], gates),
	}
	for i := range experts {
		e.Layers = append(e.Layers, NewDense[F](fmt.Sprintf("%s.expert%d", name, i), in, out, rng))
		e.act[i] = new(ReLU[F])
	}
	for i := range gates {
		e.Gates = append(e.Gates, NewDense[F](fmt.Sprintf("%s.gate%d", name, i), in, experts, rng))
	}
	return e
}

// Params are the layer's parameters.
func (e *Experts[F]) Params() Params[F] {
	var ps Params[F]
	for _, d := range append(append([]*Dense[F]{}, e.Layers...), e.Gates...) {
		ps = append(ps, d.Params()...)
	}
	return ps
}

// Forward returns the mixture of each gate, valid until the next call; x must
// stay as it is until Backward.
func (e *Experts[F]) Forward(x Mat[F]) []Mat[F] {
	e.x = x
	for i, l := range e.Layers {
		e.outs[i] = e.act[i].Forward(l.Forward(x))
	}
	mixed := make([]Mat[F], len(e.Gates))
	for g, gate := range e.Gates {
		logits := gate.Forward(x)
		weights, out := e.weights[g].mat(x.Rows, len(e.Layers)), e.mixed[g].mat(x.Rows, e.outs[0].Cols)
		clear(out.Data)
		for i := range x.Rows {
			softmaxTo(weights.Row(i), logits.Row(i))
			for k, w := range weights.Row(i) {
				axpy(w, e.outs[k].Row(i), out.Row(i))
			}
		}
		mixed[g] = out
	}
	return mixed
}

// Backward takes the gradient of each gate's mixture, adds to the gradients,
// and returns that of x, valid until the next call.
func (e *Experts[F]) Backward(dy []Mat[F]) Mat[F] {
	dx := e.dx.mat(e.x.Rows, e.x.Cols)
	clear(dx.Data)
	dOuts := make([]Mat[F], len(e.Layers))
	for k := range e.Layers {
		dOuts[k] = e.dOuts[k].mat(e.x.Rows, e.outs[k].Cols)
		clear(dOuts[k].Data)
	}
	for g, gate := range e.Gates {
		weights, dGate := e.weights[g].mat(e.x.Rows, len(e.Layers)), e.dGate.mat(e.x.Rows, len(e.Layers))
		for i := range e.x.Rows {
			d, w, out := dGate.Row(i), weights.Row(i), dy[g].Row(i)
			for k := range w {
				d[k] = dot(out, e.outs[k].Row(i))
				axpy(w[k], out, dOuts[k].Row(i))
			}
			mean := dot(d, w)
			for k := range d {
				d[k] = (d[k] - mean) * w[k]
			}
		}
		addTo(dx.Data, dx.Data, gate.Backward(dGate).Data)
	}
	for k, l := range e.Layers {
		addTo(dx.Data, dx.Data, l.Backward(e.act[k].Backward(dOuts[k])).Data)
	}
	return dx
}
