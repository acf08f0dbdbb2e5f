package neural

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/nn"
)

// Pool is the network whose shoppers are what they met: a shopper's vector is
// Σ w·Met[item] / (Σ w)^Power over the history, and of the item that is asked
// about, its own part is left out. It belongs to one goroutine.
type Pool[F nn.Float] struct {
	Met, Items *nn.Param[F] // the items as history and as candidates
	Bias       *nn.Param[F] // of candidates
	Tower      *Tower[F]
	Power      float64

	item            nn.Embedding[F]
	ids             []int32
	labels          []F
	user, sum, dSum []F
	scales          []F
}

// NewPool draws all weights; without rng they are to be read. The tables are
// lazy.
func NewPool[F nn.Float](items int, s Shape, power float64, rng *rand.Rand) *Pool[F] {
	p := &Pool[F]{
		Met:   nn.NewParam[F]("met", items, s.Width()).Normal(rng, .05),
		Items: nn.NewParam[F]("items", items, s.Width()).Normal(rng, .05),
		Bias:  nn.NewParam[F]("bias", items, 1), Tower: NewTower[F](s, rng), Power: power,
	}
	p.Met.Lazy, p.Items.Lazy, p.Bias.Lazy = true, true, true
	p.item.Table = p.Items
	return p
}

// Params are all parameters.
func (p *Pool[F]) Params() nn.Params[F] {
	return append(nn.Params[F]{p.Met, p.Items, p.Bias}, p.Tower.Params()...)
}

// Visit is a shopper with some of the items to learn from.
type Visit struct {
	Rows    []int32   // the history
	Weights []float32 // of each, above 0
	Items   []int32   // candidates
	Own     []int32   // of each candidate: where it is in Rows, below 0 for an item never met
}

// Step adds to the gradients those of weight times the cross-entropy of all
// candidates of all visits (met: 1, never met: 0), and returns its sum.
func (p *Pool[F]) Step(visits []Visit, weight F) float64 {
	p.ids, p.labels = p.ids[:0], p.labels[:0]
	for _, v := range visits {
		p.ids = append(p.ids, v.Items...)
		for _, own := range v.Own {
			label := F(0)
			if own >= 0 {
				label = 1
			}
			p.labels = append(p.labels, label)
		}
	}
	n, width := len(p.ids), p.Met.Cols
	if n == 0 {
		return 0
	}
	user := nn.MatOf(n, width, grow(&p.user, n*width))
	scales := grow(&p.scales, n)
	at := 0
	for _, v := range visits {
		sum, total := p.pool(v)
		for i, own := range v.Own {
			row := user.Row(at + i)
			copy(row, sum)
			left := total
			if own >= 0 {
				w := F(v.Weights[own])
				left -= w
				nn.Axpy(-w, p.met(v.Rows[own]), row)
			}
			scales[at+i] = p.scale(left)
			nn.Scale(scales[at+i], row)
		}
		at += len(v.Own)
	}
	logits := p.Tower.Forward(user, p.item.Forward(p.ids, 1))
	for i, id := range p.ids {
		logits[i] += p.Bias.W[id]
	}
	loss := nn.Logistic(logits, p.labels, nil, logits, weight)
	for i, id := range p.ids {
		p.Bias.Touch(id)
		p.Bias.G[id] += logits[i]
	}
	dUser, dItem := p.Tower.Backward(logits)
	p.item.Backward(dItem, 1)
	at = 0
	for _, v := range visits {
		p.unpool(v, dUser.Slice(at, at+len(v.Own)), scales[at:])
		at += len(v.Own)
	}
	return loss
}

func (p *Pool[F]) met(row int32) []F { return p.Met.W[int(row)*p.Met.Cols:][:p.Met.Cols] }

// pool is Σ w·Met over the history, and Σ w.
func (p *Pool[F]) pool(v Visit) ([]F, F) {
	sum, total := grow(&p.sum, p.Met.Cols), F(0)
	clear(sum)
	for i, row := range v.Rows {
		w := F(v.Weights[i])
		total += w
		nn.Axpy(w, p.met(row), sum)
	}
	return sum, total
}

// unpool gives the gradients of the shopper's vectors to the items of the
// history.
func (p *Pool[F]) unpool(v Visit, dUser nn.Mat[F], scales []F) {
	dSum := grow(&p.dSum, p.Met.Cols)
	clear(dSum)
	for i, own := range v.Own {
		nn.Axpy(scales[i], dUser.Row(i), dSum)
		if own >= 0 {
			p.Met.Touch(v.Rows[own])
			nn.Axpy(-scales[i]*F(v.Weights[own]), dUser.Row(i), p.grad(v.Rows[own]))
		}
	}
	for i, row := range v.Rows {
		p.Met.Touch(row)
		nn.Axpy(F(v.Weights[i]), dSum, p.grad(row))
	}
}

func (p *Pool[F]) grad(row int32) []F { return p.Met.G[int(row)*p.Met.Cols:][:p.Met.Cols] }

// scale is the factor on a sum of vectors whose weights sum to total.
func (p *Pool[F]) scale(total F) F {
	if total <= 1e-6 {
		return 0
	}
	return F(math.Pow(float64(total), -p.Power))
}
