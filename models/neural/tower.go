package neural

import (
	"fmt"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/nn"
)

// Shape is the sizes of a Tower.
type Shape struct {
	GMF    int   `json:"gmf"`    // numbers of each side that are multiplied one by one; 0: no GMF
	MLP    int   `json:"mlp"`    // numbers of each side that the perceptron reads; 0: no perceptron
	Hidden []int `json:"hidden"` // sizes of the perceptron's layers
}

// Tower is NeuMF above the embeddings (He et al. 2017, eq. 12): from the vectors
// of a shopper and an item to the logit of a meeting,
//
//	out · [gmf(user) ∘ gmf(item), mlp(user, item)].
//
// With only one half it is GMF (eq. 9) or the perceptron (eq. 10). A row of a
// side's matrix is its GMF numbers and then its MLP numbers.
type Tower[F nn.Float] struct {
	Shape  Shape
	Layers []*nn.Dense[F]
	Out    *nn.Param[F] // a row for each input of the last layer
	Bias   *nn.Param[F] // one number

	acts                      []*nn.ReLU[F]
	user, item                nn.Mat[F]
	top                       nn.Mat[F]
	joint, last, logits       []F
	dLast, dTop, dUser, dItem []F
}

// NewTower draws the weights; without rng they are to be read.
func NewTower[F nn.Float](s Shape, rng *rand.Rand) *Tower[F] {
	t := &Tower[F]{Shape: s}
	in := 2 * s.MLP
	if s.MLP > 0 {
		for i, size := range s.Hidden {
			t.Layers = append(t.Layers, nn.NewDense[F](fmt.Sprintf("layer%d", i), in, size, rng))
			t.acts = append(t.acts, new(nn.ReLU[F]))
			in = size
		}
	} else {
		in = 0
	}
	t.Out = nn.NewParam[F]("out", s.GMF+in, 1).Normal(rng, .1)
	if rng != nil {
		for i := range s.GMF {
			t.Out.W[i] += 1 // so that the product of the sides counts from the start
		}
	}
	t.Bias = nn.NewParam[F]("out.bias", 1, 1)
	return t
}

// Params are the tower's parameters.
func (t *Tower[F]) Params() nn.Params[F] {
	var ps nn.Params[F]
	for _, l := range t.Layers {
		ps = append(ps, l.Params()...)
	}
	return append(ps, t.Out, t.Bias)
}

// Width is how many numbers a side has.
func (s Shape) Width() int { return s.GMF + s.MLP }

// Forward returns the logit of each pair of rows, valid until the next call.
// The matrices must stay as they are until Backward.
func (t *Tower[F]) Forward(user, item nn.Mat[F]) []F {
	t.user, t.item = user, item
	n, g, m := user.Rows, t.Shape.GMF, t.Shape.MLP
	t.top = nn.Mat[F]{}
	if m > 0 {
		x := nn.MatOf(n, 2*m, grow(&t.joint, n*2*m))
		for i := range n {
			copy(x.Row(i), user.Row(i)[g:])
			copy(x.Row(i)[m:], item.Row(i)[g:])
		}
		for i, l := range t.Layers {
			x = t.acts[i].Forward(l.Forward(x))
		}
		t.top = x
	}
	last := nn.MatOf(n, t.Out.Rows, grow(&t.last, n*t.Out.Rows))
	logits := grow(&t.logits, n)
	for i := range n {
		row := last.Row(i)
		nn.MulTo(row[:g], user.Row(i)[:g], item.Row(i)[:g])
		if m > 0 {
			copy(row[g:], t.top.Row(i))
		}
		logits[i] = nn.Dot(row, t.Out.W) + t.Bias.W[0]
	}
	return logits
}

// Backward takes the gradient of the logits, adds to those of the weights, and
// returns those of both sides, valid until the next call.
func (t *Tower[F]) Backward(dLogits []F) (dUser, dItem nn.Mat[F]) {
	n, g, m := t.user.Rows, t.Shape.GMF, t.Shape.MLP
	last := nn.MatOf(n, t.Out.Rows, t.last)
	dUser, dItem = nn.MatOf(n, g+m, grow(&t.dUser, n*(g+m))), nn.MatOf(n, g+m, grow(&t.dItem, n*(g+m)))
	dTop := nn.MatOf(n, t.Out.Rows-g, grow(&t.dTop, n*(t.Out.Rows-g)))
	dLast := grow(&t.dLast, t.Out.Rows)
	for i, d := range dLogits {
		nn.Axpy(d, last.Row(i), t.Out.G)
		t.Bias.G[0] += d
		clear(dLast)
		nn.Axpy(d, t.Out.W, dLast)
		nn.MulTo(dUser.Row(i)[:g], dLast[:g], t.item.Row(i)[:g])
		nn.MulTo(dItem.Row(i)[:g], dLast[:g], t.user.Row(i)[:g])
		copy(dTop.Row(i), dLast[g:])
	}
	if m == 0 {
		return dUser, dItem
	}
	d := dTop
	for i := len(t.Layers) - 1; i >= 0; i-- {
		d = t.Layers[i].Backward(t.acts[i].Backward(d))
	}
	for i := range n {
		copy(dUser.Row(i)[g:], d.Row(i)[:m])
		copy(dItem.Row(i)[g:], d.Row(i)[m:])
	}
	return dUser, dItem
}

func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n+n/4)
	}
	return (*buf)[:n]
}
