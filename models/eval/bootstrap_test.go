package eval

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The interval of a mean of n normal values is close to ±1.96/√n.
func TestIntervalsOfKnownSpread(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 2000
	x, y, holes := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
		y[i] = x[i] + .01 + .05*rng.NormFloat64()
		holes[i] = x[i]
		if i%2 == 0 {
			holes[i] = math.NaN()
		}
	}
	got := Intervals([][]float64{x, Differences(y, x), holes}, 7, 2)
	for s, want := range []float64{1.96 / math.Sqrt(n), 1.96 * .05 / math.Sqrt(n), 1.96 / math.Sqrt(n/2)} {
		if half := (got[s].High - got[s].Low) / 2; math.Abs(half/want-1) > .1 {
			t.Errorf("series %d: got half width %v, want about %v", s, half, want)
		}
	}
	if m := mean(x); got[0].Low > m || got[0].High < m {
		t.Errorf("got interval %v around %v", got[0], m)
	}
	if got[1].Low <= 0 {
		t.Errorf("a paired difference of .01 with little noise is not told from 0: got %v", got[1])
	}
	if again := Intervals([][]float64{x, Differences(y, x), holes}, 7, 1); again[0] != got[0] || again[1] != got[1] || again[2] != got[2] {
		t.Errorf("one worker: got %v, want %v", again, got)
	}
	if other := Intervals([][]float64{x}, 8, 1); other[0] == got[0] {
		t.Errorf("another seed gives the same interval %v", other[0])
	}
}

func TestPickIsEven(t *testing.T) {
	rng := rand.NewPCG(1, 2)
	var counts [7]int
	for range 70_000 {
		counts[pick(rng.Uint64(), 7)]++
	}
	for i, c := range counts {
		if c < 9_500 || c > 10_500 {
			t.Errorf("got %d draws of %d, want about 10000", c, i)
		}
	}
}
