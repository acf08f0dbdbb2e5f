package multitask

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/nn"
)

// The goals, each of which needs the one before.
const (
	Click = iota
	Cart
	Purchase
	Goals
)

// Names are the goals' names.
func Names() [Goals]string { return [Goals]string{"click", "cart", "purchase"} }

// Shape is the structure of a Network.
type Shape struct {
	Dim         int  `json:"dim"`         // of items
	Shared      int  `json:"shared"`      // of what the goals have in common
	Experts     int  `json:"experts"`     // 1: a shared bottom; more: a mixture with a gate a goal; 0, of a kind's parameters: chosen
	Tower       int  `json:"tower"`       // of a goal's own layer
	Chain       bool `json:"chain"`       // a goal's probability is its own times those before (entire space)
	Uncertainty bool `json:"uncertainty"` // goals are weighed by a learnt uncertainty, on top of fixed weights
}

// inputs is the size of what the bottom reads: what the shopper met by goal, the
// item, and the products of both.
func (s Shape) inputs() int { return (2*Goals + 1) * s.Dim }

// Network maps a shopper and an item to a logit a goal. It belongs to one
// goroutine.
type Network[F nn.Float] struct {
	Shape  Shape
	Met    *nn.Param[F] // items as history
	Items  *nn.Param[F] // items as candidates
	Bias   *nn.Param[F] // items x goals
	Bottom *nn.Experts[F]
	Towers [Goals]*nn.Dense[F]
	Outs   [Goals]*nn.Dense[F]
	Match  [Goals]*nn.Param[F] // on the products of the shopper and the item, past all layers
	Doubt  [Goals]*nn.Param[F] // logarithms of variances
	Weight [Goals]float64      // fixed, on the goals' losses

	acts              [Goals]nn.ReLU[F]
	user, x, dx, dSum []F
	logits, grads     [Goals][]F
	mixed             []nn.Mat[F]
	scales            []F
}

// NewNetwork draws all weights; without rng they are to be read.
func NewNetwork[F nn.Float](items int, s Shape, weight [Goals]float64, rng *rand.Rand) *Network[F] {
	n := &Network[F]{
		Shape: s, Weight: weight,
		Met:   nn.NewParam[F]("met", items, s.Dim).Normal(rng, .05),
		Items: nn.NewParam[F]("items", items, s.Dim).Normal(rng, .05),
		Bias:  nn.NewParam[F]("bias", items, Goals),
	}
	n.Met.Lazy, n.Items.Lazy, n.Bias.Lazy = true, true, true
	gates := Goals
	if s.Experts == 1 {
		gates = 1 // a gate over one expert is always 1
	}
	n.Bottom = nn.NewExperts[F]("bottom", s.inputs(), s.Shared, s.Experts, gates, rng)
	for g, name := range Names() {
		n.Towers[g] = nn.NewDense[F](name+".tower", s.Shared, s.Tower, rng)
		n.Outs[g] = nn.NewDense[F](name+".out", s.Tower, 1, rng)
		n.Match[g] = nn.NewParam[F](name+".match", 1, Goals*s.Dim)
		if g == Click || !s.Chain { // what likes like, in the first step of a chain
			n.Match[g].Fill(1)
		}
		n.Doubt[g] = nn.NewParam[F](name+".doubt", 1, 1)
	}
	return n
}

// Params are all parameters.
func (n *Network[F]) Params() nn.Params[F] {
	ps := append(nn.Params[F]{n.Met, n.Items, n.Bias}, n.Bottom.Params()...)
	for g := range Goals {
		ps = append(append(append(ps, n.Towers[g].Params()...), n.Outs[g].Params()...), n.Match[g], n.Doubt[g])
	}
	return ps
}

// Visit is a shopper and candidates to learn from.
type Visit struct {
	Met   [Goals][]int32 // what the shopper did, by the goal that each item came to
	Items []int32        // candidates
	Own   []int32        // of each: where it is in Met of its goal, below 0 where nowhere
	Level []int8         // of each: the goals reached, 0 to Goals
}

// pooled is a sum over a history scaled by the root of its length.
func pooled[F nn.Float](n int) F {
	if n <= 0 {
		return 0
	}
	return F(1 / math.Sqrt(float64(n)))
}

// Step adds to the gradients those of the loss over all candidates, which is
// Σ over the goals of weight times the cross-entropy, and returns the
// cross-entropy of each goal, not weighted by the goals' weights. share is the
// part of the batch that these visits are; 1/count is the weight of a
// candidate.
func (n *Network[F]) Step(visits []Visit, count int, share float64) [Goals]float64 {
	var losses [Goals]float64
	rows := 0
	for _, v := range visits {
		rows += len(v.Items)
	}
	if rows == 0 {
		return losses
	}
	n.forward(visits, rows)
	at := 0
	for g := range Goals {
		n.grads[g] = grow(&n.grads[g], rows)
		clear(n.grads[g])
	}
	var own [Goals]F // gradients of each goal's loss, weighed
	var raw [Goals][Goals][]F
	for g := range Goals {
		for k := range Goals {
			raw[g][k] = make([]F, rows)
		}
	}
	for _, v := range visits {
		for i := range v.Items {
			z := [Goals]float64{}
			for g := range Goals {
				z[g] = float64(n.logits[g][at])
			}
			for g := range Goals {
				label := 0.
				if int(v.Level[i]) > g {
					label = 1
				}
				loss, grad := entropy(z, g, label, n.Shape.Chain)
				losses[g] += loss / float64(count)
				for k := range Goals {
					raw[g][k][at] = F(grad[k])
				}
			}
			at++
		}
	}
	for g := range Goals {
		own[g] = F(n.Weight[g] / float64(count))
		if n.Shape.Uncertainty && n.Weight[g] > 0 {
			own[g] *= nn.Uncertain(n.Doubt[g], n.Weight[g]*losses[g], share)
		}
		for k := range Goals {
			nn.Axpy(own[g], raw[g][k], n.grads[k])
		}
	}
	n.backward(visits, rows)
	return losses
}

// Total is the loss that Step descends, of the cross-entropies it returned.
func (n *Network[F]) Total(losses [Goals]float64, share float64) float64 {
	total := 0.
	for g, l := range losses {
		switch {
		case n.Weight[g] == 0:
		case n.Shape.Uncertainty:
			s := float64(n.Doubt[g].W[0])
			total += math.Exp(-s)*n.Weight[g]*l + share*s/2
		default:
			total += n.Weight[g] * l
		}
	}
	return total
}

// entropy is the cross-entropy of goal g for the logits of all goals, and its
// gradient by each of them. In a chain the goal's probability is the product of
// the sigmoids up to its own.
func entropy(z [Goals]float64, g int, label float64, chain bool) (loss float64, grad [Goals]float64) {
	if !chain {
		loss = softplus(z[g]) - label*z[g]
		grad[g] = sigmoid(z[g]) - label
		return loss, grad
	}
	logP := 0.
	for k := 0; k <= g; k++ {
		logP -= softplus(-z[k])
	}
	p := math.Exp(logP)
	rest := max(-math.Expm1(logP), 1e-12)
	loss = -label*logP - (1-label)*math.Log(rest)
	for k := 0; k <= g; k++ {
		grad[k] = (1 - sigmoid(z[k])) * ((1-label)*p/rest - label)
	}
	return loss, grad
}

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// forward fills the logits of all candidates.
func (n *Network[F]) forward(visits []Visit, rows int) {
	d := n.Shape.Dim
	user := nn.MatOf(rows, Goals*d, grow(&n.user, rows*Goals*d))
	x := nn.MatOf(rows, n.Shape.inputs(), grow(&n.x, rows*n.Shape.inputs()))
	scales := grow(&n.scales, rows*Goals)
	at := 0
	sum := make([]F, Goals*d)
	for _, v := range visits {
		clear(sum)
		for g, met := range v.Met {
			for _, row := range met {
				nn.Axpy(1, n.met(row), sum[g*d:(g+1)*d])
			}
		}
		for i, item := range v.Items {
			u := user.Row(at)
			copy(u, sum)
			own := int(v.Level[i]) - 1
			for g, met := range v.Met {
				left := len(met)
				if g == own && v.Own[i] >= 0 {
					nn.Axpy(-1, n.met(met[v.Own[i]]), u[g*d:(g+1)*d])
					left--
				}
				scales[at*Goals+g] = pooled[F](left)
				nn.Scale(scales[at*Goals+g], u[g*d:(g+1)*d])
			}
			join(x.Row(at), u, n.item(item))
			at++
		}
	}
	n.mixed = n.Bottom.Forward(x)
	for g := range Goals {
		z := n.Outs[g].Forward(n.acts[g].Forward(n.Towers[g].Forward(n.mixture(g))))
		n.logits[g] = z.Data[:rows]
	}
	at = 0
	for _, v := range visits {
		for _, item := range v.Items {
			products := x.Row(at)[(Goals+1)*d:]
			for g := range Goals {
				n.logits[g][at] += n.Bias.W[int(item)*Goals+g] + nn.Dot(products, n.Match[g].W)
			}
			at++
		}
	}
}

// join fills x with the shopper, the item, and their products by goal.
func join[F nn.Float](x, user, item []F) {
	copy(x, user)
	joinOwn(x[len(user):], user, item)
}

// joinOwn is join without the shopper's part.
func joinOwn[F nn.Float](x, user, item []F) {
	copy(x, item)
	for lo := 0; lo < len(user); lo += len(item) {
		nn.MulTo(x[len(item)+lo:][:len(item)], user[lo:lo+len(item)], item)
	}
}

func (n *Network[F]) mixture(g int) nn.Mat[F] { return n.mixed[min(g, len(n.mixed)-1)] }

func (n *Network[F]) met(row int32) []F { return n.Met.W[int(row)*n.Met.Cols:][:n.Met.Cols] }

func (n *Network[F]) item(row int32) []F { return n.Items.W[int(row)*n.Items.Cols:][:n.Items.Cols] }

func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n+n/4)
	}
	return (*buf)[:n]
}
