package hybrid

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// cases are users with so many candidates, one of them good, which each part
// puts ahead by so much of its noise; the first part is popularity.
func cases(n int, ahead []float64, seed uint64) []list {
	const candidates = 60
	rng := rand.New(rand.NewPCG(seed, 8))
	out := make([]list, n)
	for i := range out {
		l := list{user: i, good: make([]bool, candidates), ideal: 1}
		good := rng.IntN(candidates)
		l.good[good] = true
		for j := range candidates {
			for _, a := range ahead {
				v := rng.NormFloat64()
				if j == good {
					v += a
				}
				l.x = append(l.x, float32(v))
			}
		}
		out[i] = l
	}
	return out
}

// TestFewCasesTakeWhatIsPlain has a search for weights over popularity and eight
// parts that say nothing, over parts of which one says all, and over parts that
// say most together, ten times each. What is taken must be what is so, as a rule,
// and no worse for others than the search's weights.
func TestFewCasesTakeWhatIsPlain(t *testing.T) {
	const tries = 10
	for _, c := range []struct {
		n     int
		ahead []float64
		want  string // how what is taken begins
	}{
		{60, []float64{1.5, 0, 0, 0, 0, 0, 0, 0, 0}, "popularity alone"},
		{60, []float64{0, 1.5, 0, 0, 0, 0, 0, 0, 0}, "the best part alone"},
		{150, []float64{.5, 1.5, 1.5, 1.5, 0}, "learnt weights"},
	} {
		t.Run(c.want, func(t *testing.T) {
			taken, got, searched, others := 0, 0., 0., cases(1000, c.ahead, 99)
			for seed := range uint64(tries) {
				lists, learn := cases(c.n, c.ahead, seed), searching(len(c.ahead))
				w, why := sober(lists, len(c.ahead), 0, 20, learn)
				if strings.HasPrefix(why, c.want) {
					taken++
				}
				got, searched = got+ndcg(others, w, 20)/tries, searched+ndcg(others, learn(lists), 20)/tries
			}
			if taken < 7 || got < searched-1e-9 {
				t.Errorf("it is taken %d times of %d, and others have NDCG %.4f by what is taken and %.4f by what is learnt, want most and no less", taken, tries, got, searched)
			}
		})
	}
}

func searching(parts int) func([]list) []float64 {
	return func(l []list) []float64 { return searchWeights(l, softmaxWeights(l, parts, towards(l, nil)), 20) }
}

// TestSoberIsNotAlwaysAsked leaves what is learnt from hardly any cases, or from
// many, as it is.
func TestSoberIsNotAlwaysAsked(t *testing.T) {
	ahead := []float64{1.5, 0, 0}
	for _, n := range []int{1, some - 1, few + 1} {
		lists, learn := cases(n, ahead, 1), searching(len(ahead))
		if w, why := sober(lists, len(ahead), 0, 20, learn); why != "" || !slices.Equal(w, learn(lists)) {
			t.Errorf("%d cases: got weights %v, %q, want the search's", n, w, why)
		}
	}
}
