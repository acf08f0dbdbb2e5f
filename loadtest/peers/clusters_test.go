package main

import (
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/linalg"
)

func TestClusters(t *testing.T) {
	const n, groups = 2000, 10
	rows := clusters(n, groups, indexDim, .3, 2)
	if !slices.Equal(rows, clusters(n, groups, indexDim, .3, 2)) {
		t.Fatal("the same seed gives other vectors")
	}
	of := clusterOf(n, groups)
	centres := groupCentres(rows, of, groups)
	near := make([]float32, groups)
	for i, g := range of {
		linalg.DotRows(rows[i*indexDim:][:indexDim], centres, near)
		if best := slices.Index(near, slices.Max(near)); best != int(g) {
			t.Fatalf("row %d lies in cluster %d, want %d", i, best, g)
		}
	}
}

func TestFarthestLetsTheShareThrough(t *testing.T) {
	const n, groups = 2000, 10
	rows, of := clusters(n, groups, indexDim, .3, 2), clusterOf(n, groups)
	centres := groupCentres(rows, of, groups)
	q := clusters(1, groups, indexDim, 0, 3)
	near := make([]float32, groups)
	linalg.DotRows(q, centres, near)
	order := slices.Sorted(slices.Values(near))
	for _, share := range []float64{.5, .1, .001} {
		pass := farthest(q, centres, of, share)
		if got, want := pass.Count(), int(share*n); got != want {
			t.Errorf("share %g: got %d rows, want %d", share, got, want)
		}
		for row, g := range of {
			if pass.Has(features.Row(row)) && near[g] > order[groups*6/10] {
				t.Errorf("share %g: row %d of a near cluster passes", share, row)
			}
		}
	}
	if got := rowsOf(n)(.5).Count(); got < n*4/10 || got > n*6/10 {
		t.Errorf("half at random: got %d of %d", got, n)
	}
}
