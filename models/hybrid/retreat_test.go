package hybrid

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRetreatGoesAsFarAsTheCasesLetIt has three parts: two say the same of what
// is good, so that the cases cannot tell how to weigh them, and one was left
// out.
func TestRetreatGoesAsFarAsTheCasesLetIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	cases := func(second float64) []list {
		out := make([]list, 300)
		for i := range out {
			out[i].ideal = 1
			for j := range 40 {
				good := j == i%40
				x := rng.NormFloat64()
				y := rng.NormFloat64()
				if good {
					x, y = x+2, y+2*second
				}
				out[i].x = append(out[i].x, float32(x), float32(y), float32(rng.NormFloat64()))
				out[i].good = append(out[i].good, good)
			}
		}
		return out
	}
	prior := []float64{1, 1, 1}
	alike := retreat(cases(1), []float64{1.1, .9, 0}, prior, 20)
	if want := []float64{1, 1, 0}; !slices.Equal(alike, want) {
		t.Errorf("parts that are alike: got %v, want the prior %v without what was left out", alike, want)
	}
	// The second part is noise: the cases are against the prior, which would
	// weigh it as much as the first.
	noise := retreat(cases(0), []float64{1.9, .1, 0}, prior, 20)
	if noise[1] > .6*noise[0] || noise[2] != 0 {
		t.Errorf("a part of noise: got %v, want it to stay well below the other", noise)
	}
	if got := retreat(cases(1), []float64{0, 0, 0}, prior, 20); !slices.Equal(got, []float64{0, 0, 0}) {
		t.Errorf("nothing learnt: got %v, want it left alone", got)
	}
}
