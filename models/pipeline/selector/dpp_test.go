package selector_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// TestDPPAgainstDeterminants follows the definition: each step takes the
// candidate with which the kernel's determinant is largest.
func TestDPPAgainstDeterminants(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	sharp := 0
	for trial := range 300 {
		n, dim, limit := 2+rng.IntN(20), 6, 2+rng.IntN(8)
		m := &vectors{dim: dim, vecs: make([]float32, n*dim)}
		for i := range m.vecs {
			m.vecs[i] = float32(rng.NormFloat64())
		}
		copy(m.vecs, make([]float32, dim)) // one without a direction
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(rng.NormFloat64())
		}
		slices.SortFunc(scores, func(a, b float32) int { return int(math.Copysign(1, float64(b-a))) })
		theta := []float64{0, .5, .8, .95}[trial%4]
		window := 1 + rng.IntN(25)
		want, sure := determinants(m, scores, theta, min(n, max(window, limit)), min(limit, n))
		if !sure {
			continue
		}
		sharp++
		env := pipeline.Env{Models: map[string]models.Model{"m": m}}
		spec := models.ComponentSpec{Name: "dpp", Params: map[string]any{"theta": theta, "model": "m", "window": window}}
		if got := ask(t, spec, env, request(limit), scores...); !slices.Equal(got, want) {
			t.Fatalf("trial %d, theta %v, window %d, limit %d: got %v, want %v", trial, theta, window, limit, got, want)
		}
	}
	if sharp < 200 {
		t.Fatalf("only %d trials had clear winners", sharp)
	}
}

// determinants is the greedy choice by whole determinants; not sure where two
// are too close for float32.
func determinants(m *vectors, scores []float32, theta float64, window, places int) (rows []features.Row, sure bool) {
	alpha := theta / (2 * (1 - theta))
	top, low := float64(scores[0]), float64(scores[window-1])
	kernel := func(i, j int) float64 {
		alike := 0.0
		if i == j {
			alike = 1
		} else {
			var ab, aa, bb float64
			for k := range m.dim {
				x, y := float64(m.vecs[i*m.dim+k]), float64(m.vecs[j*m.dim+k])
				ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
			}
			if aa > 0 && bb > 0 {
				alike = (1 + ab/math.Sqrt(aa*bb)) / 2
			}
		}
		q := func(i int) float64 { return math.Exp(alpha * (float64(scores[i]) - low) / (top - low)) }
		return q(i) * q(j) * alike
	}
	var taken []int
	before := 1.0
	for len(taken) < places {
		best, second, at := 0.0, 0.0, -1
		for i := range window {
			if slices.Contains(taken, i) {
				continue
			}
			set := append(slices.Clone(taken), i)
			l := make([][]float64, len(set))
			for a := range set {
				for b := range set {
					l[a] = append(l[a], kernel(set[a], set[b]))
				}
			}
			if gain := determinant(l) / before; gain > best {
				best, second, at = gain, best, i
			} else {
				second = max(second, gain)
			}
		}
		if best < 1e-4 || best-second < 1e-4*best {
			return nil, false
		}
		taken = append(taken, at)
		before *= best
	}
	for _, i := range taken {
		rows = append(rows, features.Row(i))
	}
	for i := range scores {
		if !slices.Contains(taken, i) {
			rows = append(rows, features.Row(i))
		}
	}
	return rows, true
}

func determinant(m [][]float64) float64 {
	det := 1.0
	for c := range m {
		p := c
		for r := c; r < len(m); r++ {
			if math.Abs(m[r][c]) > math.Abs(m[p][c]) {
				p = r
			}
		}
		if m[p][c] == 0 {
			return 0
		}
		if p != c {
			m[p], m[c] = m[c], m[p]
			det = -det
		}
		det *= m[c][c]
		for r := c + 1; r < len(m); r++ {
			f := m[r][c] / m[c][c]
			for k := c; k < len(m); k++ {
				m[r][k] -= f * m[c][k]
			}
		}
	}
	return det
}

// Twins of what is taken add nothing and come last; what cannot be judged stays
// last.
func TestDPPWithTwins(t *testing.T) {
	m := &vectors{dim: 2, vecs: []float32{1, 0, 1, 0, 1, 0, 0, 1, 0, 1}}
	env := pipeline.Env{Models: map[string]models.Model{"m": m}}
	spec := models.ComponentSpec{Name: "dpp", Params: map[string]any{"theta": .5, "model": "m"}}
	if got := ask(t, spec, env, request(4), 1, .99, .98, .2, .1); !slices.Equal(got, []features.Row{0, 3, 1, 2, 4}) {
		t.Errorf("got rows %v, want one of each side first, then by score", got)
	}
	nan := float32(math.NaN())
	if got := ask(t, spec, env, request(5), 1, .9, nan, nan, nan); !slices.Equal(got, []features.Row{0, 1, 2, 3, 4}) {
		t.Errorf("got rows %v, want what cannot be judged last", got)
	}
	if got := ask(t, spec, env, request(3), 1, 1, 1); len(got) != 3 || got[0] != 0 {
		t.Errorf("equal scores: got rows %v, want all, the first first", got)
	}
}
