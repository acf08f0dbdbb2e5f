package mf

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/models/linalg"
)

// TestDrawsGoByPopularity adds up each item's chance to be drawn from the places
// of a block: it is that of its count to the power asked for, of its logarithm
// as much is taken from the score as the correction says, and what nobody met is
// not drawn.
func TestDrawsGoByPopularity(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	counts := make([]float64, 40)
	seen := linalg.CSR{Rows: 1, Cols: len(counts)}
	var met []int32
	for i := range counts {
		counts[i] = float64(rng.IntN(30))
		if i%9 == 0 {
			counts[i] = 0
		}
		for range int(counts[i]) {
			seen.Idx = append(seen.Idx, int32(i))
		}
		if counts[i] > 0 {
			met = append(met, int32(i))
		}
	}
	for _, power := range []float64{0, .5, 1, 1.7} {
		c := newChances(seen, power, .8)
		var b block
		for range 2 { // its memory is used again
			b.fill(met, c)
		}
		sum, got := 0., make([]float64, len(counts))
		for place, i := range b.items {
			sum += math.Pow(counts[i], power)
			got[i] += float64(b.own[place]) / float64(len(met))
			got[b.items[b.other[place]]] += float64(1-b.own[place]) / float64(len(met))
		}
		for i, n := range counts {
			want, lift := 0., 0.
			if n > 0 {
				want, lift = math.Pow(n, power)/sum, .8*power*math.Log(n)
			}
			if math.Abs(got[i]-want) > 1e-6 {
				t.Errorf("power %v: item of %v users is drawn with chance %v, want %v", power, n, got[i], want)
			}
			if math.Abs(float64(c.lift[i])-lift) > 1e-5 {
				t.Errorf("power %v: item of %v users is corrected by %v, want %v", power, n, c.lift[i], lift)
			}
		}
		for range 200 {
			if i := b.draw(rng); counts[i] == 0 {
				t.Fatalf("power %v: got item %d, which nobody met", power, i)
			}
		}
	}
}
