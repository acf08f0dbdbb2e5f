package hybrid

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRaiseFindsWhatPopularityIsWorth has a part that knows taste and one that
// knows what sells; what is good is decided by both.
func TestRaiseFindsWhatPopularityIsWorth(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	cases := func(n int, popularity float64) []list {
		out := make([]list, n)
		for i := range out {
			out[i].ideal = 1
			best, at := -100., 0
			for j := range 60 {
				taste, sells := rng.NormFloat64(), rng.NormFloat64()
				out[i].x = append(out[i].x, float32(taste), float32(sells))
				out[i].good = append(out[i].good, false)
				if v := taste + popularity*sells + .3*rng.NormFloat64(); v > best {
					best, at = v, j
				}
			}
			out[i].good[at] = true
		}
		return out
	}
	w := []float64{2, 0}
	if got := raise(cases(400, .2), w, 1, 20); got[1] < .2 || got[0] != 2 || w[1] != 0 {
		t.Errorf("popularity counts: got %v of %v, want its weight raised and nothing else", got, w)
	}
	if got := raise(cases(400, 0), []float64{2, .5}, 1, 20); got[1] > .1 {
		t.Errorf("popularity counts nothing: got %v, want next to nothing of it", got)
	}
	if got := raise(cases(400, .2), w, -1, 20); !slices.Equal(got, w) {
		t.Errorf("no such part: got %v, want %v", got, w)
	}
	few := cases(10, .2)
	if ndcg(few, []float64{2, .4}, 20) <= ndcg(few, w, 20) {
		t.Fatal("few cases: popularity gains nothing there: the test shows nothing")
	}
	if got := raise(few, w, 1, 20); !slices.Equal(got, w) {
		t.Errorf("few cases: got %v, want %v: a gain within chance counts for nothing", got, w)
	}
}
