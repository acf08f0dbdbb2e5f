package multitask

import (
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
)

// Score implements models.Scorer.
func (m *Model) Score(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	probabilities := scratch.Floats(len(items) * Goals)
	values := m.Params.values()
	m.heads(r, scratch, items, values, probabilities)
	for i := range items {
		sum := float32(0)
		for g, v := range values {
			if v > 0 { // a goal without a value is not asked, whatever it says
				sum += v * probabilities[i*Goals+g]
			}
		}
		out[i] = sum
	}
}

// Goals implements models.Funnel.
func (m *Model) Goals() []string {
	names := Names()
	return names[:]
}

// Heads implements models.Funnel: it fills out with the calibrated probability of every goal for every item,
// Goals numbers an item; NaN as in Score.
func (m *Model) Heads(r *features.Request, items []features.Row, out []float32) {
	scratch := r.Workspace()
	m.heads(r, scratch, items, [Goals]float32{1, 1, 1}, out)
}

// scoreBlock is how many candidates pass through the layers at a time.
const scoreBlock = 128

// heads fills out with the probabilities of the goals; those of a goal whose
// value is 0 are not calibrated.
func (m *Model) heads(r *features.Request, scratch *features.Scratch, items []features.Row, values [Goals]float32, out []float32) {
	s := m.Params.Shape
	user, ok := scratch.Vector(m, Goals*s.Dim, func(dst []float32) bool { return m.fold(r, scratch, dst) })
	if !ok {
		for i := range out {
			out[i] = float32(math.NaN())
		}
		return
	}
	n := min(scoreBlock, len(items))
	w := workOf(scratch, n, s, m.bottom.Cols)
	m.start(user, w)
	for lo := 0; lo < len(items); lo += scoreBlock {
		hi := min(lo+scoreBlock, len(items))
		part := out[lo*Goals : hi*Goals]
		m.block(items[lo:hi], w, part)
		m.probabilities(values, part)
		for i, row := range items[lo:hi] {
			if row < 0 || int(row) >= m.header.Items {
				for g := range Goals {
					part[i*Goals+g] = float32(math.NaN())
				}
			}
		}
	}
}

// probabilities turns what block filled into calibrated probabilities, those of
// goals with a value.
func (m *Model) probabilities(values [Goals]float32, z []float32) {
	linalg.Sigmoid(z, z)
	if m.Params.Chain {
		for i := 0; i < len(z); i += Goals {
			for g := 1; g < Goals; g++ {
				z[i+g] *= z[i+g-1]
			}
		}
	}
	for g, line := range m.Platt {
		if values[g] == 0 || line == (Line{Slope: 1}) {
			continue
		}
		for i := g; i < len(z); i += Goals {
			p := min(max(float64(z[i]), 1e-30), 1-1e-7)
			z[i] = float32(sigmoid(line.Slope*math.Log(p/(1-p)) + line.Shift))
		}
	}
}

// work is the memory of a request: what start makes of the shopper, and that of
// a block.
type work struct {
	shift, mix, match     []float32 // see start
	x, wide, mixed, tower []float32
}

func workOf(s *features.Scratch, n int, shape Shape, wide int) work {
	return work{
		shift: s.Floats(wide), mix: s.Floats(shape.Dim * wide), match: s.Floats(Goals * shape.Dim),
		x: s.Floats(n * shape.Dim), wide: s.Floats(n * wide), mixed: s.Floats(n * shape.Shared), tower: s.Floats(n * shape.Tower),
	}
}

// start fills w with the shopper's part of the network, the same for every
// candidate: of the bottom, what it adds (shift), and the matrix that an item is
// multiplied by (mix), for the products of both with a weight are the item times
// the shopper's share of the weight; and of each goal's match likewise.
func (m *Model) start(user []float32, w work) {
	d, wide := m.Params.Dim, m.bottom.Cols
	copy(w.shift, m.shift)
	linalg.AxpyRows(user, m.bottom.Data[:len(user)*wide], w.shift)
	copy(w.mix, m.bottom.Data[len(user)*wide:][:d*wide])
	for h := range Goals {
		for k, v := range user[h*d : (h+1)*d] {
			linalg.Axpy(v, m.bottom.Row((Goals+1)*d+h*d+k), w.mix[k*wide:(k+1)*wide])
		}
	}
	clear(w.match)
	for g := range Goals {
		into := w.match[g*d : (g+1)*d]
		for h := range Goals {
			for k, v := range user[h*d : (h+1)*d] {
				into[k] += v * m.net.Match[g].W[h*d+k]
			}
		}
	}
}

// block fills out with the goals' logits, in a chain of each given the one
// before; w is what start filled.
func (m *Model) block(items []features.Row, w work, out []float32) {
	s, n := m.Params.Shape, len(items)
	x := linalg.MatrixOf(n, s.Dim, w.x[:n*s.Dim])
	wide := linalg.MatrixOf(n, m.bottom.Cols, w.wide[:n*m.bottom.Cols])
	for i, row := range items {
		if row < 0 || int(row) >= m.header.Items {
			row = 0
		}
		copy(x.Row(i), m.net.item(int32(row)))
		copy(wide.Row(i), w.shift)
	}
	linalg.Gemm(false, false, 1, x, linalg.MatrixOf(s.Dim, m.bottom.Cols, w.mix), 1, wide)
	experts, gates := s.Experts*s.Shared, len(m.net.Bottom.Gates)
	for i := range n {
		row := wide.Row(i)
		linalg.ReLU(row[:experts], row[:experts])
		for g := range gates {
			weights := row[experts+g*s.Experts:][:s.Experts]
			linalg.Softmax(weights, weights)
		}
	}
	mixed, tower := linalg.MatrixOf(n, s.Shared, w.mixed[:n*s.Shared]), linalg.MatrixOf(n, s.Tower, w.tower[:n*s.Tower])
	for g := range Goals {
		first, last := m.net.Towers[g], m.net.Outs[g]
		gate := min(g, gates-1)
		for i := range n {
			row, into := wide.Row(i), mixed.Row(i)
			clear(into)
			linalg.AxpyRows(row[experts+gate*s.Experts:][:s.Experts], row[:experts], into)
			copy(tower.Row(i), first.B.W)
		}
		linalg.Gemm(false, false, 1, mixed, linalg.MatrixOf(s.Shared, s.Tower, first.W.W), 1, tower)
		linalg.ReLU(tower.Data, tower.Data)
		for i, row := range items {
			if row < 0 || int(row) >= m.header.Items {
				row = 0
			}
			out[i*Goals+g] = linalg.Dot(tower.Row(i), last.W.W) + last.B.W[0] + m.net.Bias.W[int(row)*Goals+g] +
				linalg.Dot(x.Row(i), w.match[g*s.Dim:][:s.Dim])
		}
	}
}

// chained replaces the logits of each goal given the one before by those of the
// goal itself: of the product of the sigmoids.
func chained(z []float32) {
	logP := 0.
	for g, v := range z {
		logP -= softplus(-float64(v))
		z[g] = float32(logP - math.Log(max(-math.Expm1(logP), 1e-30)))
	}
}
