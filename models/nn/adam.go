package nn

import (
	"math"

	"github.com/attune-rec/attune/models/linalg"
)

// AdamOptions are the optimiser's constants.
type AdamOptions struct {
	Beta1, Beta2, Epsilon float64
	Decay                 float64 // decoupled weight decay, on parameters with Decay
}

// DefaultAdam are the usual constants.
func DefaultAdam() AdamOptions { return AdamOptions{Beta1: .9, Beta2: .999, Epsilon: 1e-8} }

// Adam is Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter
// 2019). Of a lazy parameter only the rows that the step touched move, their
// moments included, as torch's SparseAdam has it.
type Adam[F Float] struct {
	options AdamOptions
	params  Params[F]
	m, v    [][]F
	steps   int
}

// NewAdam optimises params from moments of zero.
func NewAdam[F Float](params Params[F], o AdamOptions) *Adam[F] {
	a := &Adam[F]{options: o, params: params}
	for _, p := range params {
		a.m = append(a.m, make([]F, len(p.W)))
		a.v = append(a.v, make([]F, len(p.W)))
	}
	return a
}

// Steps is the number of steps taken.
func (a *Adam[F]) Steps() int { return a.steps }

// Step applies the gradients at the given rate and clears them. The result is
// the same for any number of workers.
func (a *Adam[F]) Step(rate float64, workers int) {
	a.steps++
	for i, p := range a.params {
		decay := 0.
		if p.Decay {
			decay = a.options.Decay
		}
		s := a.step(rate, decay)
		m, v := a.m[i], a.v[i]
		if p.Lazy {
			const rows = 256
			linalg.ParallelN(len(p.rows), rows, workers, func(_, lo, hi int) {
				for _, row := range p.rows[lo:hi] {
					at, end := int(row)*p.Cols, (int(row)+1)*p.Cols
					s.apply(p.W[at:end], p.G[at:end], m[at:end], v[at:end])
				}
			})
			p.Clear()
			continue
		}
		linalg.ParallelN(len(p.W), gatherBlock, workers, func(_, lo, hi int) {
			s.apply(p.W[lo:hi], p.G[lo:hi], m[lo:hi], v[lo:hi])
			clear(p.G[lo:hi])
		})
	}
}

type adamStep[F Float] struct {
	kernel                                    linalg.AdamStep
	beta1, beta2, rate, scale2, epsilon, keep float64
}

func (a *Adam[F]) step(rate, decay float64) *adamStep[F] {
	o := a.options
	return &adamStep[F]{
		kernel: linalg.NewAdamStep(a.steps, float32(rate), float32(o.Beta1), float32(o.Beta2), float32(o.Epsilon), float32(decay)),
		beta1:  o.Beta1, beta2: o.Beta2, epsilon: o.Epsilon, keep: 1 - rate*decay,
		rate:   rate / (1 - math.Pow(o.Beta1, float64(a.steps))),
		scale2: 1 / (1 - math.Pow(o.Beta2, float64(a.steps))),
	}
}

func (s *adamStep[F]) apply(w, g, m, v []F) {
	if w32, ok := single(w); ok {
		s.kernel.Apply(w32, sameAs(g), sameAs(m), sameAs(v))
		return
	}
	for i, d := range g {
		m[i] = F(s.beta1)*m[i] + F(1-s.beta1)*d
		v[i] = F(s.beta2)*v[i] + F(1-s.beta2)*d*d
		w[i] = F(s.keep)*w[i] - F(s.rate)*m[i]/(F(math.Sqrt(s.scale2*float64(v[i])))+F(s.epsilon))
	}
}
