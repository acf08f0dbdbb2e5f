package neural

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/attribute"
	"github.com/attune-rec/attune/models/nn"
)

// Pool is the network whose shoppers are what they met: a shopper's vector is
// Σ w·Met[item] / (Σ w)^Power over the history. Where an item of the history is
// asked about, its own part is left out, and likewise for those it is held
// against: that the history is one shorter must not give the answer away. It
// belongs to one goroutine.
type Pool[F nn.Float] struct {
	Met, Items described[F] // the items as history and as candidates
	Bias       *nn.Param[F] // of candidates
	Tower      *Tower[F]
	Power      float64
	Pairwise   bool // learn that what was met ranks above what was not, by BPR; else the cross-entropy of each

	ids                   []int32
	labels                []F
	user, item, sum, dSum []F
	scales                []F
}

// NewPool draws all weights; without rng they are to be read. The tables are
// lazy. said is what the catalogue says of the items, nil where nothing is read.
func NewPool[F nn.Float](items int, s Shape, power float64, said *attribute.Table, rng *rand.Rand) *Pool[F] {
	p := &Pool[F]{
		Met:   newDescribed[F]("met", items, s.Width(), said, rng),
		Items: newDescribed[F]("items", items, s.Width(), said, rng),
		Bias:  nn.NewParam[F]("bias", items, 1), Tower: NewTower[F](s, rng), Power: power,
	}
	p.Bias.Lazy = true
	return p
}

// Params are all parameters, those of attributes last.
func (p *Pool[F]) Params() nn.Params[F] {
	ps := append(nn.Params[F]{p.Met.Param, p.Items.Param, p.Bias}, p.Tower.Params()...)
	if p.Met.Attrs != nil {
		ps = append(ps, p.Met.Attrs, p.Items.Attrs)
	}
	return ps
}

// Visit is a shopper with some of the items to learn from.
type Visit struct {
	Rows    []int32   // the history
	Weights []float32 // of each, above 0
	Items   []int32   // candidates; each that was met is followed by those it is held against
	Own     []int32   // of each candidate: where it is in Rows, below 0 for an item never met
}

// Step adds to the gradients those of weight times the loss over all candidates
// of all visits, and returns its sum: the cross-entropy of each (met: 1, never
// met: 0), or where learning is pairwise that of each pair.
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
			if own < 0 && i > 0 { // the shopper of the item that it is held against
				copy(row, user.Row(at+i-1))
				scales[at+i] = scales[at+i-1]
				continue
			}
			copy(row, sum)
			left := total
			if own >= 0 {
				w := F(v.Weights[own])
				left -= w
				p.Met.add(-w, v.Rows[own], row)
			}
			scales[at+i] = p.scale(left)
			nn.Scale(scales[at+i], row)
		}
		at += len(v.Own)
	}
	item := nn.MatOf(n, width, grow(&p.item, n*width))
	clear(item.Data)
	for i, id := range p.ids {
		p.Items.add(1, id, item.Row(i))
	}
	logits := p.Tower.Forward(user, item)
	for i, id := range p.ids {
		logits[i] += p.Bias.W[id]
	}
	loss := p.loss(visits, logits, weight)
	for i, id := range p.ids {
		p.Bias.Touch(id)
		p.Bias.G[id] += logits[i]
	}
	dUser, dItem := p.Tower.Backward(logits)
	for i, id := range p.ids {
		p.Items.learn(1, dItem.Row(i), id)
	}
	at = 0
	for _, v := range visits {
		p.unpool(v, dUser.Slice(at, at+len(v.Own)), scales[at:])
		at += len(v.Own)
	}
	return loss
}

// loss is that of the logits, which become its gradient.
func (p *Pool[F]) loss(visits []Visit, logits []F, weight F) float64 {
	if !p.Pairwise {
		return nn.Logistic(logits, p.labels, nil, logits, weight)
	}
	loss := 0.
	for _, v := range visits {
		for from := 0; from < len(v.Own); {
			to := from + 1
			for to < len(v.Own) && v.Own[to] < 0 {
				to++
			}
			loss += ranked(logits[from:to], weight)
			from = to
		}
		logits = logits[len(v.Own):]
	}
	return loss
}

// level is the weight of what keeps scores that are learnt from pairs near 0:
// pairs leave open where a shopper's scores lie.
const level = .005

// ranked is the loss of scores of which the first is to rank above the others,
// and replaces them by weight times its gradient.
func ranked[F nn.Float](scores []F, weight F) float64 {
	var mean F
	for _, s := range scores {
		mean += s / F(len(scores))
	}
	loss := nn.BPR(nn.MatOf(1, len(scores), scores), weight) + level*float64(len(scores))*float64(mean*mean)/2
	for i := range scores {
		scores[i] += weight * level * mean
	}
	return loss
}

// pool is Σ w·Met over the history, and Σ w.
func (p *Pool[F]) pool(v Visit) ([]F, F) {
	sum, total := grow(&p.sum, p.Met.Cols), F(0)
	clear(sum)
	for i, row := range v.Rows {
		w := F(v.Weights[i])
		total += w
		p.Met.add(w, row, sum)
	}
	return sum, total
}

// unpool gives the gradients of the shopper's vectors to the items of the
// history.
func (p *Pool[F]) unpool(v Visit, dUser nn.Mat[F], scales []F) {
	dSum := grow(&p.dSum, p.Met.Cols)
	clear(dSum)
	left := int32(-1)
	for i, own := range v.Own {
		nn.Axpy(scales[i], dUser.Row(i), dSum)
		if own >= 0 {
			left = own
		}
		if left >= 0 {
			p.Met.learn(-scales[i]*F(v.Weights[left]), dUser.Row(i), v.Rows[left])
		}
	}
	for i, row := range v.Rows {
		p.Met.learn(F(v.Weights[i]), dSum, row)
	}
}

// scale is the factor on a sum of vectors whose weights sum to total.
func (p *Pool[F]) scale(total F) F {
	if total <= 1e-6 {
		return 0
	}
	return F(math.Pow(float64(total), -p.Power))
}
