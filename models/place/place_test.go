package place_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/place"
)

func TestFindAgainstIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		items := make([]features.Row, n)
		for i := range items {
			items[i] = features.Row(rng.IntN(2*n)) - 1 // rows that are none, and repeated ones
		}
		table := place.Of(items, new(features.Scratch))
		for row := features.Row(-2); int(row) < 2*n+2; row++ {
			if got, want := table.Find(row), slices.Index(items, row); got != want {
				t.Fatalf("%d items, row %d: got %d, want %d", n, row, got, want)
			}
		}
	}
}
