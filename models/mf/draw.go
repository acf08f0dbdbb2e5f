package mf

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models/linalg"
)

// chances tell how likely each item is to be drawn as what was not chosen.
type chances struct {
	weight []float64 // not normalised; 0 for items that nobody met
	// lift is what the chance takes from an item's score in training: a share of
	// its logarithm. Items that nobody met have 0.
	lift []float32
}

func newChances(seen linalg.CSR, popularity, correction float64) chances {
	c := chances{weight: make([]float64, seen.Cols), lift: make([]float32, seen.Cols)}
	for _, i := range seen.Idx {
		c.weight[i]++
	}
	for i, n := range c.weight {
		if n > 0 {
			c.weight[i] = math.Pow(n, popularity)
			c.lift[i] = float32(correction * popularity * math.Log(n))
		}
	}
	return c
}

// block is the items a worker has to itself, to draw from in constant time
// (Walker 1977, the alias method).
type block struct {
	items []int32
	own   []float32 // the chance that a place keeps what it is drawn for
	other []int32   // the place that it is given up to
	least []int32   // memory: places below the mean, then those above
}

// fill makes the block of items.
func (b *block) fill(items []int32, c chances) {
	n := len(items)
	b.items = items
	if cap(b.own) < n {
		b.own, b.other, b.least = make([]float32, n), make([]int32, n), make([]int32, n)
	}
	b.own, b.other, b.least = b.own[:n], b.other[:n], b.least[:n]
	var sum float64
	for _, i := range items {
		sum += c.weight[i]
	}
	// Places below the mean grow from the left, the others from the right.
	low, high := 0, n
	for place, i := range items {
		b.own[place], b.other[place] = float32(c.weight[i]/sum*float64(n)), int32(place)
		if b.own[place] < 1 {
			b.least[low] = int32(place)
			low++
		} else {
			high--
			b.least[high] = int32(place)
		}
	}
	for low > 0 && high < n {
		poor, rich := b.least[low-1], b.least[high]
		low--
		b.other[poor] = rich
		b.own[rich] -= 1 - b.own[poor]
		if b.own[rich] < 1 {
			high++
			b.least[low] = rich
			low++
		}
	}
	// What is left is 1 but for rounding.
	for _, place := range b.least[:low] {
		b.own[place] = 1
	}
}

// draw is an item by its chance; the block is not empty.
func (b *block) draw(rng *rand.Rand) int32 {
	place := rng.IntN(len(b.items))
	if rng.Float32() < b.own[place] {
		return b.items[place]
	}
	return b.items[b.other[place]]
}
