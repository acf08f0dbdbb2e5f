package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/linalg"
)

// Param is an array of weights with its gradient, rows*cols numbers each.
// Backward passes add to G; whoever applies G clears it.
type Param[F Float] struct {
	Name       string // unique in a network; names it in checkpoints
	Rows, Cols int
	W, G       []F
	Decay      bool // weight decay applies: matrices, not biases
	Lazy       bool // only rows that a step touched are updated: embeddings under sampled losses

	rows []int32  // of a lazy parameter: touched since the last Clear, each once
	seen []uint32 // the round in which a row was last touched
	now  uint32
}

// NewParam is a parameter of zeros.
func NewParam[F Float](name string, rows, cols int) *Param[F] {
	return &Param[F]{Name: name, Rows: rows, Cols: cols, W: make([]F, rows*cols), G: make([]F, rows*cols), Decay: rows > 1}
}

// Mat is the weights as a matrix.
func (p *Param[F]) Mat() Mat[F] { return MatOf(p.Rows, p.Cols, p.W) }

// Grad is the gradient as a matrix.
func (p *Param[F]) Grad() Mat[F] { return MatOf(p.Rows, p.Cols, p.G) }

// Normal draws the weights from a normal distribution of the given deviation;
// without rng they stay as they are, for a network whose weights are read.
func (p *Param[F]) Normal(rng *rand.Rand, deviation float64) *Param[F] {
	if rng == nil {
		return p
	}
	for i := range p.W {
		p.W[i] = F(rng.NormFloat64() * deviation)
	}
	return p
}

// Uniform draws the weights evenly from -bound to bound; without rng they stay
// as they are.
func (p *Param[F]) Uniform(rng *rand.Rand, bound float64) *Param[F] {
	if rng == nil {
		return p
	}
	for i := range p.W {
		p.W[i] = F((2*rng.Float64() - 1) * bound)
	}
	return p
}

// Fill sets every weight to v.
func (p *Param[F]) Fill(v F) *Param[F] {
	for i := range p.W {
		p.W[i] = v
	}
	return p
}

// Touch notes that the gradient of row is not zero. A parameter that is not
// lazy has no use for it.
func (p *Param[F]) Touch(row int32) {
	if !p.Lazy {
		return
	}
	if p.seen == nil {
		p.seen, p.now = make([]uint32, p.Rows), 1
	}
	if p.seen[row] != p.now {
		p.seen[row] = p.now
		p.rows = append(p.rows, row)
	}
}

// Clear sets the gradient to zero.
func (p *Param[F]) Clear() {
	if !p.Lazy {
		clear(p.G)
		return
	}
	for _, row := range p.rows {
		clear(p.G[int(row)*p.Cols:][:p.Cols])
	}
	p.rows = p.rows[:0]
	p.now++
}

// Params are the parameters of a network, in a fixed order.
type Params[F Float] []*Param[F]

// Share makes the replica's weights those of ps. Both must come from the same
// constructor.
func (ps Params[F]) Share(replica Params[F]) error {
	if len(replica) != len(ps) {
		return fmt.Errorf("replica has %d parameters: expected %d", len(replica), len(ps))
	}
	for i, p := range ps {
		if r := replica[i]; r.Name != p.Name || r.Rows != p.Rows || r.Cols != p.Cols {
			return fmt.Errorf("replica's parameter %d is %q of %d x %d: expected %q of %d x %d", i, r.Name, r.Rows, r.Cols, p.Name, p.Rows, p.Cols)
		}
		replica[i].W = p.W
	}
	return nil
}

// gatherBlock is how many numbers one worker adds at a time.
const gatherBlock = 1 << 14

// Gather adds the gradients of the replicas to those of ps, in order, and
// clears them. The sum is the same for any number of workers.
func (ps Params[F]) Gather(replicas []Params[F], workers int) {
	for i, p := range ps {
		if p.Lazy {
			for _, r := range replicas {
				for _, row := range r[i].rows {
					p.Touch(row)
					at := int(row) * p.Cols
					addTo(p.G[at:at+p.Cols], p.G[at:at+p.Cols], r[i].G[at:at+p.Cols])
				}
				r[i].Clear()
			}
			continue
		}
		linalg.ParallelN(len(p.G), gatherBlock, workers, func(_, lo, hi int) {
			for _, r := range replicas {
				addTo(p.G[lo:hi], p.G[lo:hi], r[i].G[lo:hi])
				clear(r[i].G[lo:hi])
			}
		})
	}
}

// Clear sets all gradients to zero.
func (ps Params[F]) Clear() {
	for _, p := range ps {
		p.Clear()
	}
}

// Norm is the length of all gradients taken as one vector.
func (ps Params[F]) Norm() float64 {
	var sum float64
	for _, p := range ps {
		if p.Lazy {
			for _, row := range p.rows {
				g := p.G[int(row)*p.Cols:][:p.Cols]
				sum += float64(dot(g, g))
			}
			continue
		}
		for g := p.G; len(g) > 0; {
			n := min(len(g), gatherBlock)
			sum += float64(dot(g[:n], g[:n]))
			g = g[n:]
		}
	}
	return math.Sqrt(sum)
}

// Clip scales the gradients down to the given norm where they are longer and
// returns the norm they had. A norm of 0 clips nothing. A norm that is not
// finite is returned as it is, with the gradients untouched: the step is to be
// left out.
func (ps Params[F]) Clip(norm float64) float64 {
	had := ps.Norm()
	if norm <= 0 || !(had > norm) || math.IsInf(had, 0) {
		return had
	}
	factor := F(norm / had)
	for _, p := range ps {
		if p.Lazy {
			for _, row := range p.rows {
				scale(factor, p.G[int(row)*p.Cols:][:p.Cols])
			}
			continue
		}
		scale(factor, p.G)
	}
	return had
}

// Copy is the weights as they are now, by parameter.
func (ps Params[F]) Copy() [][]F {
	all := make([][]F, len(ps))
	for i, p := range ps {
		all[i] = append([]F(nil), p.W...)
	}
	return all
}

// Put sets the weights to what Copy returned.
func (ps Params[F]) Put(weights [][]F) {
	for i, p := range ps {
		copy(p.W, weights[i])
	}
}
