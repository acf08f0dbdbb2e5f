package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
)

// clusterOf is the cluster of each row that clusters makes with the seed of the
// rows.
func clusterOf(n, groups int) []int32 {
	rng := rand.New(rand.NewPCG(2, 2))
	of := make([]int32, n)
	for i := range of {
		of[i] = int32(rng.IntN(groups))
		for range indexDim + 1 {
			rng.NormFloat64()
		}
	}
	return of
}

// groupCentres is the mean direction of each cluster.
func groupCentres(rows []float32, of []int32, groups int) []float32 {
	centres := make([]float32, groups*indexDim)
	for i, g := range of {
		linalg.Axpy(1, rows[i*indexDim:][:indexDim], centres[int(g)*indexDim:][:indexDim])
	}
	for g := range groups {
		c := centres[g*indexDim:][:indexDim]
		if length := math.Sqrt(float64(linalg.Dot(c, c))); length > 0 {
			linalg.Scale(float32(1/length), c)
		}
	}
	return centres
}

// farthest lets through the rows of the clusters farthest from q, up to a share
// of all, and at least some.
func farthest(q, centres []float32, of []int32, share float64) *features.Bitmap {
	groups := len(centres) / indexDim
	order := make([]int, groups)
	near := make([]float32, groups)
	linalg.DotRows(q, centres, near)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(near[a], near[b]) })
	left := int(share * float64(len(of)))
	size := make([]int, groups)
	for _, g := range of {
		size[g]++
	}
	in := make([]bool, groups)
	for _, g := range order {
		if left <= 0 {
			break
		}
		in[g] = true
		left -= size[g]
	}
	pass := features.NewBitmap(len(of))
	left = int(share * float64(len(of)))
	for row, g := range of {
		if in[g] && left > 0 {
			pass.Set(features.Row(row))
			left--
		}
	}
	return pass
}

// rowsOf returns what draws a share of n rows.
func rowsOf(n int) func(share float64) *features.Bitmap {
	rng := rand.New(rand.NewPCG(4, 4))
	return func(share float64) *features.Bitmap {
		pass := features.NewBitmap(n)
		for row := range n {
			if rng.Float64() < share {
				pass.Set(features.Row(row))
			}
		}
		return pass
	}
}
