package mf

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/linalg"
)

// bench is a worker's memory for batches of choices that share draws.
type bench struct {
	slots []int32   // of each item: its place in drawn, from 1; 0: it is not there
	drawn []int32   // distinct
	times []float32 // how often each was drawn
	pull  []float32 // of each choice: what its share lacks of 1, by its weight
	// Vectors of the choices' users, of their items and of what was drawn, as they
	// are before the step, and the gradients of the first and the last.
	users, chosen, others, toward, away linalg.Matrix
	scores                              []float32 // of choices by drawn
}

// shape makes room for batches of so many choices and draws.
func (b *bench) shape(items, choices, draws, dim int) {
	if len(b.slots) == 0 {
		b.slots, b.pull = make([]int32, items), make([]float32, choices)
		b.users, b.chosen, b.toward = linalg.NewMatrix(choices, dim), linalg.NewMatrix(choices, dim), linalg.NewMatrix(choices, dim)
	}
	if b.others.Rows < draws {
		b.others, b.away = linalg.NewMatrix(draws, dim), linalg.NewMatrix(draws, dim)
		b.scores = make([]float32, choices*draws)
	}
}

// shared takes a step of gradient for each batch of pairs. Each choice is to be
// told from all items drawn for the batch but those that its user has met:
// the loss is −ln of its share in the softmax of the corrected scores.
func (t *trainer) shared(b *bench, pairs []choice, from *block, rate float32, rng *rand.Rand) float64 {
	if len(from.items) == 0 {
		return 0
	}
	draws := t.params.Draws
	if t.whole {
		draws = len(from.items)
	}
	b.shape(t.items.Rows, t.params.Batch, draws, t.items.Cols)
	var loss float64
	for len(pairs) > 0 {
		n := min(len(pairs), t.params.Batch)
		b.draw(from, draws, t.whole, rng)
		loss += t.batch(b, pairs[:n], rate)
		pairs = pairs[n:]
		for _, i := range b.drawn {
			b.slots[i] = 0
		}
	}
	return loss
}

// draw fills drawn, with the whole block or with what so many draws hit.
func (b *bench) draw(from *block, draws int, whole bool, rng *rand.Rand) {
	b.drawn, b.times = b.drawn[:0], b.times[:0]
	for d := range draws {
		if whole {
			b.take(from.items[d])
			continue
		}
		item := from.draw(rng)
		if b.slots[item] > 0 {
			b.times[b.slots[item]-1]++
			continue
		}
		b.take(item)
	}
}

// take puts an item behind what is drawn.
func (b *bench) take(item int32) {
	b.drawn, b.times = append(b.drawn, item), append(b.times, 1)
	b.slots[item] = int32(len(b.drawn))
}

// batch takes one step of gradient for pairs and returns their loss.
func (t *trainer) batch(b *bench, pairs []choice, rate float32) float64 {
	n, m, dim := len(pairs), len(b.drawn), t.params.Factors
	users, chosen, others := b.users.Sub(0, 0, n, dim+1), b.chosen.Sub(0, 0, n, dim+1), b.others.Sub(0, 0, m, dim+1)
	for j, i := range b.drawn {
		copy(others.Row(j), t.items.Row(int(i)))
		if !t.whole {
			others.Row(j)[dim] += float32(math.Log(float64(b.times[j]))) - t.chances.lift[i]
		}
	}
	for j, c := range pairs {
		copy(users.Row(j), t.users.Row(int(c.user)))
		copy(chosen.Row(j), t.items.Row(int(c.item)))
		if !t.whole {
			chosen.Row(j)[dim] -= t.chances.lift[c.item]
		}
	}
	scores := linalg.MatrixOf(n, m, b.scores[:n*m])
	linalg.Gemm(false, true, 1, users, others, 0, scores)
	var loss float64
	for j, c := range pairs {
		met, _ := t.seen.Row(int(c.user))
		for _, i := range met {
			if at := b.slots[i]; at > 0 {
				scores.Row(j)[at-1] = -1e4
			}
		}
		share := shares(linalg.Dot(users.Row(j), chosen.Row(j)), scores.Row(j))
		loss -= math.Log(max(float64(share), 1e-12))
		linalg.Scale(c.weight, scores.Row(j))
		b.pull[j] = c.weight * (1 - share)
	}
	toward, away := b.toward.Sub(0, 0, n, dim+1), b.away.Sub(0, 0, m, dim+1)
	linalg.Gemm(false, false, -rate, scores, others, 0, toward)
	linalg.Gemm(true, false, -rate, scores, users, 0, away)
	keep := 1 - rate*float32(t.params.Regularisation)
	for j, c := range pairs {
		x, y := t.users.Row(int(c.user))[:dim], t.items.Row(int(c.item))
		linalg.Scale(keep, x)
		linalg.Axpy(1, toward.Row(j)[:dim], x)
		linalg.Axpy(rate*b.pull[j], chosen.Row(j)[:dim], x)
		linalg.Scale(keep, y)
		linalg.Axpy(rate*b.pull[j], users.Row(j), y)
	}
	for j, i := range b.drawn {
		linalg.Axpy(1, away.Row(j), t.items.Row(int(i)))
	}
	return loss
}

// shares turns scores of what was not chosen into their shares of the softmax,
// and returns that of the choice.
func shares(choice float32, scores []float32) float32 {
	most := choice
	for _, s := range scores {
		most = max(most, s)
	}
	for j := range scores {
		scores[j] -= most
	}
	linalg.Exp(scores, scores)
	own := float32(math.Exp(float64(choice - most)))
	sum := own + linalg.Sum(scores)
	linalg.Scale(1/sum, scores)
	return own / sum
}
