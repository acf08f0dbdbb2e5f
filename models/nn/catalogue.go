package nn

import "math"

// catalogueBlock is how many numbers of the batch x catalogue matrix exist at
// a time.
const catalogueBlock = 1 << 20

// Catalogue is the softmax cross-entropy over all items, whose vectors and
// biases are Table and Bias. The batch is taken in blocks of rows: the whole
// matrix of batch by catalogue never exists.
type Catalogue[F Float] struct {
	Table     *Param[F] // items x dim; an Embedding may share it
	Bias      *Param[F] // 1 x items; nil: none
	BlockRows int       // 0: chosen by the number of items

	logits, dh buffer[F]
}

// Step adds to the gradients those of weight·Σ -log softmax(h·Tableᵀ + Bias)
// at the targets, and returns the sum, not weighted, and the gradient of h,
// valid until the next call. A target below 0 counts nothing.
func (c *Catalogue[F]) Step(h Mat[F], targets []int32, weight F) (float64, Mat[F]) {
	items := c.Table.Rows
	rows := c.BlockRows
	if rows <= 0 {
		rows = min(max(catalogueBlock/max(items, 1), 48), 240)
	}
	dh := c.dh.mat(h.Rows, h.Cols)
	var loss float64
	for lo := 0; lo < h.Rows; lo += rows {
		hi := min(lo+rows, h.Rows)
		logits := c.logits.mat(hi-lo, items)
		part := h.Slice(lo, hi)
		gemm(false, true, 1, part, c.Table.Mat(), 0, logits)
		for i := range logits.Rows {
			row, target := logits.Row(i), targets[lo+i]
			if target < 0 {
				clear(row)
				continue
			}
			if c.Bias != nil {
				addTo(row, row, c.Bias.W)
			}
			at := row[target]
			loss += float64(softmaxTo(row, row) - at)
			row[target]--
		}
		scale(weight, logits.Data)
		if c.Bias != nil {
			sumRows(logits, c.Bias.G)
		}
		gemm(false, false, 1, logits, c.Table.Mat(), 0, dh.Slice(lo, hi))
		gemm(true, false, 1, logits, part, 1, c.Table.Grad())
	}
	return loss, dh
}

// Sampled is the scores of a target and of sampled items for each row of a
// batch: a layer between h and the losses over few items.
type Sampled[F Float] struct {
	Table *Param[F] // items x dim
	Bias  *Param[F] // items x 1; nil: none

	h          Mat[F]
	items      []int32
	per        int
	scores, dh buffer[F]
}

// Forward gives each row of h its score with the rows' items: items holds per
// items a row. The scores are valid until the next call and may be overwritten.
func (s *Sampled[F]) Forward(h Mat[F], items []int32, per int) Mat[F] {
	s.h, s.items, s.per = h, items, per
	scores := s.scores.mat(h.Rows, per)
	for i := range h.Rows {
		out := scores.Row(i)
		dotGather(h.Row(i), s.Table.W, items[i*per:(i+1)*per], out)
		if s.Bias != nil {
			for j, item := range items[i*per : (i+1)*per] {
				out[j] += s.Bias.W[item]
			}
		}
	}
	return scores
}

// Backward takes the gradient of the scores, adds to those of the table and the
// bias, and returns that of h, valid until the next call.
func (s *Sampled[F]) Backward(dScores Mat[F]) Mat[F] {
	dh := s.dh.mat(s.h.Rows, s.h.Cols)
	clear(dh.Data)
	for i := range s.h.Rows {
		items, grads, row := s.items[i*s.per:(i+1)*s.per], dScores.Row(i), s.h.Row(i)
		axpyGather(grads, s.Table.W, items, dh.Row(i))
		for j, item := range items {
			g := grads[j]
			if g == 0 {
				continue
			}
			s.Table.Touch(item)
			axpy(g, row, s.Table.G[int(item)*s.Table.Cols:][:s.Table.Cols])
			if s.Bias != nil {
				s.Bias.Touch(item)
				s.Bias.G[item] += g
			}
		}
	}
	return dh
}

// The losses below take scores whose first column is the target's and whose
// others are sampled items', return the sum over the rows, and replace the
// scores by weight times its gradient.

// SampledSoftmax is the softmax cross-entropy over the target and its samples
// with the logQ correction (Bengio, Senécal 2008; Yi et al. 2019): logQ[i·cols+j]
// is the logarithm of how often the item of that column is expected among the
// samples, subtracted from its score; nil corrects nothing. A sample equal to
// the target must be given a score of -Inf.
func SampledSoftmax[F Float](scores Mat[F], logQ []F, weight F) float64 {
	var loss float64
	for i := range scores.Rows {
		row := scores.Row(i)
		if logQ != nil {
			subTo(row, row, logQ[i*scores.Cols:][:scores.Cols])
		}
		at := row[0]
		loss += float64(softmaxTo(row, row) - at)
		row[0]--
		scale(weight, row)
	}
	return loss
}

// GBCE is the generalised binary cross-entropy of gSASRec (Petrov, Macdonald
// 2023): -beta·log σ(target) - Σ log(1-σ(sample)). A beta of 1 is the binary
// cross-entropy of SASRec.
func GBCE[F Float](scores Mat[F], beta float64, weight F) float64 {
	var loss float64
	for i := range scores.Rows {
		row := scores.Row(i)
		for j, v := range row {
			if j == 0 {
				plus, slope := softplus(-float64(v))
				loss += beta * plus
				row[j] = weight * F(-beta*slope)
				continue
			}
			plus, slope := softplus(float64(v))
			loss += plus
			row[j] = weight * F(slope)
		}
	}
	return loss
}

// BPR is Σ -log σ(target - sample) (Rendle et al. 2009).
func BPR[F Float](scores Mat[F], weight F) float64 {
	var loss float64
	for i := range scores.Rows {
		row := scores.Row(i)
		var target float64
		for j := 1; j < len(row); j++ {
			plus, g := softplus(-float64(row[0] - row[j]))
			loss += plus
			target -= g
			row[j] = weight * F(g)
		}
		row[0] = weight * F(target)
	}
	return loss
}

// Logistic is the pointwise binary cross-entropy of logits against labels
// between 0 and 1, each counted by its weight (nil: 1). It returns the sum and
// sets grad, which may be logits, to weight times its gradient.
func Logistic[F Float](logits, labels, weights, grad []F, weight F) float64 {
	var loss float64
	for i, x := range logits {
		w := 1.
		if weights != nil {
			w = float64(weights[i])
		}
		y := float64(labels[i])
		plus, slope := softplus(float64(x))
		loss += w * (plus - y*float64(x))
		grad[i] = weight * F(w*(slope-y))
	}
	return loss
}

// Squared is Σ (value - label)²/2, with its gradient times weight in grad.
func Squared[F Float](values, labels, grad []F, weight F) float64 {
	var loss float64
	for i, x := range values {
		d := float64(x - labels[i])
		loss += d * d / 2
		grad[i] = weight * F(d)
	}
	return loss
}

// Uncertain weighs a task's loss by a learnt uncertainty: exp(-s)·loss + s/2,
// s the logarithm of its variance (Kendall, Gal, Cipolla 2018, in the form for
// likelihoods). share is the part of the batch that loss stands for, 1 for all
// of it. It returns the factor on the loss's gradient and adds s's gradient to
// p, one number.
func Uncertain[F Float](p *Param[F], loss, share float64) F {
	factor := math.Exp(-float64(p.W[0]))
	p.G[0] += F(.5*share - factor*loss)
	return F(factor)
}
