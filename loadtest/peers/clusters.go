package main

import (
	"math"
	"math/rand/v2"
)

// clusters is n vectors of dim numbers around as many centres as there are
// groups: a centre, noise of .7 of its spread, and a length that differs from
// row to row as far as spread says (log-normal; 0: not at all). The centres
// come from one seed, so that vectors of other seeds lie among them.
func clusters(n, groups, dim int, spread float64, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(1, 1))
	centres := make([]float32, groups*dim)
	for i := range centres {
		centres[i] = float32(rng.NormFloat64())
	}
	rng = rand.New(rand.NewPCG(seed, 2))
	vecs := make([]float32, n*dim)
	for i := range n {
		c := centres[rng.IntN(groups)*dim:][:dim]
		length := float32(math.Exp(spread * rng.NormFloat64()))
		for j := range dim {
			vecs[i*dim+j] = length * (c[j] + .7*float32(rng.NormFloat64()))
		}
	}
	return vecs
}
