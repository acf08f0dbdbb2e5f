package nn

import (
	"math"
	"math/rand/v2"
)

// Lengths is the shape of sequences laid one after the other: sequence i has
// Lengths[i] tokens.
type Lengths []int

// Tokens is the number of tokens.
func (l Lengths) Tokens() int {
	n := 0
	for _, m := range l {
		n += m
	}
	return n
}

// attentionBlock is how many queries are put to the keys at once: large enough
// for the kernels, small enough that little of what causality forbids is
// computed.
const attentionBlock = 64

// Attention is causal multi-head self-attention (Vaswani et al. 2017) with a
// learnt bias by head and distance (Raffel et al. 2020, without buckets).
// Position enters by distance alone, so keys and values once computed stay
// true when the sequence moves on.
type Attention[F Float] struct {
	In, Out *Dense[F]
	Bias    *Param[F] // heads x window: by distance; further away counts as window-1
	Heads   int

	shape            Lengths
	joint, dJoint    buffer[F]
	weights          buffer[F] // by sequence and head, length x length
	work, biasRow    buffer[F]
	dWeights, output buffer[F]
}

// NewAttention has dim/heads numbers a head; heads must divide dim.
func NewAttention[F Float](name string, dim, heads, window int, deviation float64, rng *rand.Rand) *Attention[F] {
	a := &Attention[F]{
		In: NewDense[F](name+".in", dim, 3*dim, rng), Out: NewDense[F](name+".out", dim, dim, rng),
		Bias: NewParam[F](name+".distance", heads, window), Heads: heads,
	}
	a.Bias.Decay = false
	for _, d := range []*Dense[F]{a.In, a.Out} {
		d.W.Normal(rng, deviation)
		d.B.Fill(0)
	}
	return a
}

// Params are the layer's parameters.
func (a *Attention[F]) Params() Params[F] {
	return append(append(a.In.Params(), a.Out.Params()...), a.Bias)
}

// heads calls f for every sequence and head with the first token, the length,
// the head and where its weights lie.
func (a *Attention[F]) heads(f func(at, n, head, weights int)) {
	at, w := 0, 0
	for _, n := range a.shape {
		for head := range a.Heads {
			f(at, n, head, w)
			w += n * n
		}
		at += n
	}
}

// qkv cuts the queries, keys and values of a head out of a joint matrix.
func (a *Attention[F]) qkv(m Mat[F], at, n, head int) (q, k, v Mat[F]) {
	dim := m.Cols / 3
	size := dim / a.Heads
	m = m.Slice(at, at+n)
	lo := head * size
	return m.Columns(lo, lo+size), m.Columns(dim+lo, dim+lo+size), m.Columns(2*dim+lo, 2*dim+lo+size)
}

// Forward lets every token attend to itself and those before it in its
// sequence. The result is valid until the next call; x must stay as it is until
// Backward.
func (a *Attention[F]) Forward(x Mat[F], shape Lengths) Mat[F] {
	a.shape = shape
	joint := a.In.Forward(x)
	a.joint.data = joint.Data
	total, longest := 0, 0
	for _, n := range shape {
		total += a.Heads * n * n
		longest = max(longest, n)
	}
	weights, out := a.weights.slice(total), a.output.mat(x.Rows, x.Cols)
	size := x.Cols / a.Heads
	factor := F(1 / math.Sqrt(float64(size)))
	reversed := a.biasRow.slice(longest)
	a.heads(func(at, n, head, w int) {
		q, k, v := a.qkv(joint, at, n, head)
		p, o := MatOf(n, n, weights[w:]), out.Slice(at, at+n).Columns(head*size, (head+1)*size)
		a.reverse(head, reversed[:n])
		for lo := 0; lo < n; lo += attentionBlock {
			hi := min(lo+attentionBlock, n)
			gemm(false, true, factor, q.Slice(lo, hi), k.Slice(0, hi), 0, p.Slice(lo, hi).Columns(0, hi))
			for i := lo; i < hi; i++ {
				row := p.Row(i)
				addTo(row[:i+1], row[:i+1], reversed[n-1-i:n])
				softmaxTo(row[:i+1], row[:i+1])
				clear(row[i+1 : hi])
			}
			gemm(false, false, 1, p.Slice(lo, hi).Columns(0, hi), v.Slice(0, hi), 0, o.Slice(lo, hi))
		}
	})
	return a.Out.Forward(out)
}

// reverse fills dst with the head's bias, the farthest distance first: the last
// i+1 of dst are what the i-th query adds to the keys 0 to i.
func (a *Attention[F]) reverse(head int, dst []F) {
	bias := a.Bias.W[head*a.Bias.Cols:][:a.Bias.Cols]
	for j := range dst {
		dst[j] = bias[min(len(dst)-1-j, len(bias)-1)]
	}
}

// Backward adds to the gradients and returns that of x, valid until the next
// call.
func (a *Attention[F]) Backward(dy Mat[F]) Mat[F] {
	dOut := a.Out.Backward(dy)
	dim := dOut.Cols
	size := dim / a.Heads
	factor := F(1 / math.Sqrt(float64(size)))
	joint, dJoint := MatOf(dy.Rows, 3*dim, a.joint.data), a.dJoint.mat(dy.Rows, 3*dim)
	weights := a.weights.data
	a.heads(func(at, n, head, w int) {
		q, k, v := a.qkv(joint, at, n, head)
		dq, dk, dv := a.qkv(dJoint, at, n, head)
		p, dp, do := MatOf(n, n, weights[w:]), a.dWeights.mat(n, n), dOut.Slice(at, at+n).Columns(head*size, (head+1)*size)
		byDistance := a.work.slice(n)
		clear(byDistance)
		for lo := 0; lo < n; lo += attentionBlock {
			hi := min(lo+attentionBlock, n)
			gemm(false, true, 1, do.Slice(lo, hi), v.Slice(0, hi), 0, dp.Slice(lo, hi).Columns(0, hi))
			for i := lo; i < hi; i++ {
				row, pi := dp.Row(i)[:i+1], p.Row(i)[:i+1]
				mean := dot(row, pi)
				for j := range row {
					row[j] = (row[j] - mean) * pi[j]
				}
				addTo(byDistance[n-1-i:], byDistance[n-1-i:], row)
				clear(dp.Row(i)[i+1 : hi])
			}
			gemm(false, false, factor, dp.Slice(lo, hi).Columns(0, hi), k.Slice(0, hi), 0, dq.Slice(lo, hi))
		}
		// Keys lo to hi are seen by the queries from lo on; what lies above a
		// diagonal block is zero.
		for lo := 0; lo < n; lo += attentionBlock {
			hi := min(lo+attentionBlock, n)
			gemm(true, false, factor, dp.Slice(lo, n).Columns(lo, hi), q.Slice(lo, n), 0, dk.Slice(lo, hi))
			gemm(true, false, 1, p.Slice(lo, n).Columns(lo, hi), do.Slice(lo, n), 0, dv.Slice(lo, hi))
		}
		g := a.Bias.G[head*a.Bias.Cols:][:a.Bias.Cols]
		for j, d := range byDistance {
			g[min(n-1-j, len(g)-1)] += d
		}
	})
	return a.In.Backward(dJoint)
}
