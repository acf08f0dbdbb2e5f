package pipeline

import (
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
)

// Rows are said what a map of them says, after any puts, and nothing once
// forgotten.
func TestIndexIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var x index
	for round := range 20 {
		want := map[features.Row]int32{}
		for range rng.IntN(4000) {
			row := features.Row(rng.IntN(6000)) << rng.IntN(12)
			said := int32(rng.IntN(100)) - 50
			if said == 0 {
				said = rejected
			}
			x.put(row, said)
			want[row] = said
			if probe := features.Row(rng.IntN(6000)); x.of(probe) != want[probe] {
				t.Fatalf("round %d: row %d: got %d, want %d", round, probe, x.of(probe), want[probe])
			}
		}
		for row, said := range want {
			if got := x.of(row); got != said {
				t.Fatalf("round %d: row %d: got %d, want %d", round, row, got, said)
			}
		}
		x.clear()
		for row := range want {
			if got := x.of(row); got != 0 {
				t.Fatalf("round %d: row %d: got %d after clear", round, row, got)
			}
		}
	}
}
