package sequence

import (
	"math"

	"github.com/attune-rec/attune/models/linalg"
	"github.com/attune-rec/attune/models/nn"
)

// sumOf is a + b in memory that buf keeps.
func sumOf(buf *[]float32, a, b nn.Mat[float32]) nn.Mat[float32] {
	m := room(buf, a)
	linalg.AddTo(m.Data, a.Data[:len(m.Data)], b.Data[:len(m.Data)])
	return m
}

func copyOf(buf *[]float32, a nn.Mat[float32]) nn.Mat[float32] {
	m := room(buf, a)
	copy(m.Data, a.Data)
	return m
}

func room(buf *[]float32, a nn.Mat[float32]) nn.Mat[float32] {
	n := a.Rows * a.Cols
	if cap(*buf) < n {
		*buf = make([]float32, n+n/4)
	}
	return nn.MatOf(a.Rows, a.Cols, (*buf)[:n])
}

// stateSize is a ring of the latest events, of each its key and its value in
// every block.
func (a *attentive) stateSize(n int) int { return min(n, a.window) * a.slot() }

func (a *attentive) slot() int { return len(a.blocks) * 2 * a.dim }

func (a *attentive) workSize() int { return (wider*2+6)*a.dim + 2*a.window }

func (a *attentive) step(x, state []float32, n int, work, out []float32) {
	now, work := work[:a.dim], work[a.dim:]
	copy(now, x)
	for i, b := range a.blocks {
		b.step(now, ring{state[i*2*a.dim:], a.slot(), a.dim}, n, a.window, work)
	}
	a.norm.Apply(now, out)
}

// ring is one block's part of the state.
type ring struct {
	data      []float32
	slot, dim int
}

func (r ring) key(at int) []float32   { return r.data[at*r.slot:][:r.dim] }
func (r ring) value(at int) []float32 { return r.data[at*r.slot+r.dim:][:r.dim] }

// step changes x into the block's output.
func (b *block) step(x []float32, state ring, n, window int, work []float32) {
	dim := len(x)
	in, qkv, mixed := work[:dim], work[dim:4*dim], work[4*dim:5*dim]
	b.before.Apply(x, in)
	b.attention.In.Apply(in, qkv)
	copy(state.key(n%window), qkv[dim:2*dim])
	copy(state.value(n%window), qkv[2*dim:])
	b.attend(qkv[:dim], state, n, window, work[5*dim:5*dim+2*window], mixed)
	b.attention.Out.Apply(mixed, in)
	linalg.AddTo(x, x, in)

	b.middle.Apply(x, in)
	wide, bent := work[dim:(1+wider)*dim], work[(1+wider)*dim:(1+2*wider)*dim]
	b.widen.Apply(in, wide)
	b.bend.Apply(wide, bent)
	b.narrow.Apply(bent, in)
	linalg.AddTo(x, x, in)
}

// attend puts the query of event n to the events within the window. The ring
// is read in place: a softmax does not mind the order.
func (b *block) attend(q []float32, state ring, n, window int, work, out []float32) {
	dim, seen := len(q), min(n+1, window)
	heads := b.attention.Heads
	size := dim / heads
	factor := float32(1 / math.Sqrt(float64(size)))
	at := n % window
	weights := work[:seen]
	clear(out)
	for h := range heads {
		bias := b.attention.Bias.W[h*b.attention.Bias.Cols:][:b.attention.Bias.Cols]
		lo, hi := h*size, (h+1)*size
		for slot := range weights {
			distance := at - slot
			if distance < 0 {
				distance += window
			}
			weights[slot] = factor*linalg.Dot(q[lo:hi], state.key(slot)[lo:hi]) + bias[distance]
		}
		linalg.Softmax(weights, weights)
		for slot, w := range weights {
			linalg.Axpy(w, state.value(slot)[lo:hi], out[lo:hi])
		}
	}
}
