package hybrid_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/hybrid"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/modeltest"
)

// odd is a shop of the given shape: each of users has as many events as events
// draws, of items as item draws, and a time where there are any.
func odd(users int, events func(*rand.Rand) int, item func(*rand.Rand, int) int, timed bool) *dataset.Dataset {
	rng := rand.New(rand.NewPCG(11, 12))
	var b dataset.Builder
	for u := range users {
		at := rng.Int64N(1e10)
		for k := range events(rng) {
			it := features.Interaction{Type: features.Purchase, Quantity: 1}
			if timed {
				at += rng.Int64N(1e9)
				it.TimeMS = 1_600_000_000_000 + at
			}
			b.Add(fmt.Sprint("u", u), fmt.Sprint("i", item(rng, k)), "", it)
		}
	}
	return b.Build()
}

func exactly(n int) func(*rand.Rand) int { return func(*rand.Rand) int { return n } }

func evenly(items int) func(*rand.Rand, int) int {
	return func(rng *rand.Rand, _ int) int { return rng.IntN(items) }
}

// TestOddShops has the default recipe on data that leaves it little to choose
// by: it fits, says something of everyone with a history, and never infinity.
func TestOddShops(t *testing.T) {
	skewed := func(rng *rand.Rand, _ int) int { return int(math.Exp(rng.Float64()*6.2)) - 1 }
	for name, d := range map[string]*dataset.Dataset{
		"one user, one item":         odd(1, exactly(1), evenly(1), false),
		"one user":                   odd(1, exactly(30), evenly(40), true),
		"one item":                   odd(50, exactly(1), evenly(1), true),
		"two items":                  odd(40, exactly(3), evenly(2), false),
		"one event each":             odd(300, exactly(1), evenly(50), false),
		"one event each, with times": odd(300, exactly(1), evenly(50), true),
		"everyone has everything":    odd(30, exactly(10), func(_ *rand.Rand, k int) int { return k }, true),
		"the same again and again":   odd(60, exactly(12), func(_ *rand.Rand, k int) int { return k % 2 }, true),
		"few of very many items":     odd(200, exactly(3), evenly(5000), false),
		"popularity is all":          odd(300, func(rng *rand.Rand) int { return 1 + rng.IntN(8) }, skewed, true),
		"one does half of all":       odd(60, func(rng *rand.Rand) int { return []int{2, 2, 2, 100}[rng.IntN(4)] }, evenly(200), false),
	} {
		if raced.On && name != "one event each, with times" && name != "popularity is all" {
			continue // the goroutines are the same
		}
		t.Run(name, func(t *testing.T) {
			m, err := hybrid.Fit(context.Background(), models.FitInput{Train: d, Seed: 1, Workers: 2, Kinds: kind.Of})
			if err != nil {
				t.Fatal(err)
			}
			rows := make([]features.Row, d.NumItems())
			for i := range rows {
				rows[i] = features.Row(i)
			}
			got := make([]float32, len(rows))
			for u := range min(d.NumUsers(), 20) {
				m.Score(modeltest.Request(d, u), rows, got)
				for row, v := range got {
					if math.IsInf(float64(v), 0) {
						t.Fatalf("user %d, item %d: got %v, want a number or NaN", u, row, v)
					}
				}
			}
			nobody := modeltest.Request(d, 0)
			nobody.Shopper = nil
			m.Score(nobody, rows, got)
			for row, v := range got {
				if math.IsInf(float64(v), 0) {
					t.Fatalf("nobody, item %d: got %v, want a number or NaN", row, v)
				}
			}
		})
	}
}
