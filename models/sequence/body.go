package sequence

import (
	"fmt"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/nn"
)

// body is what a network does with the vectors of the events: from one vector
// an event read to one vector that predicts the next.
type body interface {
	params() nn.Params[float32]
	byTime() bool // the layout it wants
	// forward and backward belong to one goroutine, as nn's layers do.
	forward(x nn.Mat[float32], b *packed, seed uint64) nn.Mat[float32]
	backward(dy nn.Mat[float32]) nn.Mat[float32]
	// step reads one more event, x, into a state of stateSize(n+1) numbers of
	// which n events have made the first stateSize(n), all others being zeros,
	// and fills out. It needs workSize numbers and changes nothing of the body.
	step(x, state []float32, n int, work, out []float32)
	stateSize(n int) int // never less for a larger n
	workSize() int
}

// cell is what a GRU and an LSTM have in common.
type cell interface {
	Params() nn.Params[float32]
	Forward(x nn.Mat[float32], steps nn.Steps) nn.Mat[float32]
	Backward(dy nn.Mat[float32]) nn.Mat[float32]
	Step(x, state, work []float32)
	Hidden() int
}

// recurrent is cells one above the other, a linear map and a layer norm.
type recurrent struct {
	cells []cell
	size  int // of a cell's state
	last  nn.Dropout[float32]
	drops []nn.Dropout[float32]
	out   *nn.Dense[float32]
	norm  *nn.LayerNorm[float32]
}

func newRecurrent(p Params, long bool, rng *rand.Rand) *recurrent {
	r := &recurrent{size: p.Dim, last: nn.Dropout[float32]{Rate: p.Dropout}, drops: make([]nn.Dropout[float32], p.Layers)}
	for i := range p.Layers {
		name := fmt.Sprintf("cell%d", i)
		if long {
			r.cells = append(r.cells, nn.NewLSTM[float32](name, p.Dim, p.Dim, rng))
			r.size = 2 * p.Dim
		} else {
			r.cells = append(r.cells, nn.NewGRU[float32](name, p.Dim, p.Dim, rng))
		}
		r.drops[i].Rate = p.Dropout
	}
	r.out, r.norm = nn.NewDense[float32]("out", p.Dim, p.Dim, rng), nn.NewLayerNorm[float32]("norm", p.Dim)
	return r
}

func (r *recurrent) byTime() bool { return true }

func (r *recurrent) params() nn.Params[float32] {
	var ps nn.Params[float32]
	for _, c := range r.cells {
		ps = append(ps, c.Params()...)
	}
	return append(append(ps, r.out.Params()...), r.norm.Params()...)
}

func (r *recurrent) forward(x nn.Mat[float32], b *packed, seed uint64) nn.Mat[float32] {
	for i, c := range r.cells {
		x = c.Forward(r.drops[i].Forward(x, nn.Seed(seed, uint64(i))), b.steps)
	}
	return r.last.Forward(r.norm.Forward(r.out.Forward(x)), nn.Seed(seed, 1<<32))
}

func (r *recurrent) backward(dy nn.Mat[float32]) nn.Mat[float32] {
	dy = r.out.Backward(r.norm.Backward(r.last.Backward(dy)))
	for i := len(r.cells) - 1; i >= 0; i-- {
		dy = r.drops[i].Backward(r.cells[i].Backward(dy))
	}
	return dy
}

func (r *recurrent) stateSize(int) int { return len(r.cells) * r.size }

func (r *recurrent) workSize() int { return 10 * r.cells[0].Hidden() }

func (r *recurrent) step(x, state []float32, _ int, work, out []float32) {
	dim := r.cells[0].Hidden()
	for i, c := range r.cells {
		s := state[i*r.size:][:r.size]
		c.Step(x, s, work)
		x = s[:dim]
	}
	y := work[:dim]
	r.out.Apply(x, y)
	r.norm.Apply(y, out)
}

// attentive is blocks of attention and of a layer that widens, each normalised
// before and added to what came in (Kang, McAuley 2018, in the order of Xiong
// et al. 2020).
type attentive struct {
	blocks []*block
	first  nn.Dropout[float32]
	norm   *nn.LayerNorm[float32]
	dim    int
	window int
}

type block struct {
	before, middle *nn.LayerNorm[float32]
	attention      *nn.Attention[float32]
	widen, narrow  *nn.Dense[float32]
	bend           nn.GELU[float32]
	drop           [2]nn.Dropout[float32]
	x1, x2, dx     []float32
}

// wider is how much wider a block is in its second half.
const wider = 4

func newAttentive(p Params, rng *rand.Rand) *attentive {
	a := &attentive{dim: p.Dim, window: p.Window, first: nn.Dropout[float32]{Rate: p.Dropout}, norm: nn.NewLayerNorm[float32]("norm", p.Dim)}
	for i := range p.Layers {
		name := fmt.Sprintf("block%d", i)
		b := &block{
			before: nn.NewLayerNorm[float32](name+".before", p.Dim), middle: nn.NewLayerNorm[float32](name+".middle", p.Dim),
			attention: nn.NewAttention[float32](name+".attention", p.Dim, p.Heads, p.Window, spread, rng),
			widen:     nn.NewDense[float32](name+".widen", p.Dim, wider*p.Dim, rng),
			narrow:    nn.NewDense[float32](name+".narrow", wider*p.Dim, p.Dim, rng),
		}
		for _, d := range []*nn.Dense[float32]{b.widen, b.narrow} {
			d.W.Normal(rng, spread)
			d.B.Fill(0)
		}
		b.drop[0].Rate, b.drop[1].Rate = p.Dropout, p.Dropout
		a.blocks = append(a.blocks, b)
	}
	return a
}

func (a *attentive) byTime() bool { return false }

func (a *attentive) params() nn.Params[float32] {
	var ps nn.Params[float32]
	for _, b := range a.blocks {
		ps = append(ps, b.before.Params()...)
		ps = append(ps, b.attention.Params()...)
		ps = append(ps, b.middle.Params()...)
		ps = append(ps, b.widen.Params()...)
		ps = append(ps, b.narrow.Params()...)
	}
	return append(ps, a.norm.Params()...)
}

func (a *attentive) forward(x nn.Mat[float32], b *packed, seed uint64) nn.Mat[float32] {
	x = a.first.Forward(x, nn.Seed(seed, 1<<32))
	for i, l := range a.blocks {
		x = l.forward(x, b.lengths, nn.Seed(seed, uint64(i)))
	}
	return a.norm.Forward(x)
}

func (b *block) forward(x nn.Mat[float32], shape nn.Lengths, seed uint64) nn.Mat[float32] {
	y := b.drop[0].Forward(b.attention.Forward(b.before.Forward(x), shape), nn.Seed(seed, 0))
	x1 := sumOf(&b.x1, x, y)
	y = b.drop[1].Forward(b.narrow.Forward(b.bend.Forward(b.widen.Forward(b.middle.Forward(x1)))), nn.Seed(seed, 1))
	return sumOf(&b.x2, x1, y)
}

func (a *attentive) backward(dy nn.Mat[float32]) nn.Mat[float32] {
	dy = a.norm.Backward(dy)
	for i := len(a.blocks) - 1; i >= 0; i-- {
		dy = a.blocks[i].backward(dy)
	}
	return a.first.Backward(dy)
}

func (b *block) backward(dy nn.Mat[float32]) nn.Mat[float32] {
	// Dropout works in place, and dy is needed again: a copy goes through.
	through := copyOf(&b.x2, dy)
	d := b.middle.Backward(b.widen.Backward(b.bend.Backward(b.narrow.Backward(b.drop[1].Backward(through)))))
	d1 := sumOf(&b.dx, dy, d)
	through = copyOf(&b.x2, d1)
	d = b.before.Backward(b.attention.Backward(b.drop[0].Backward(through)))
	return sumOf(&b.x1, d1, d)
}
