package tune

import (
	"math"
	"math/rand/v2"

	"github.com/attune-rec/attune/models"
)

// draw is the parameters of the n-th trial of a search: the kind's own defaults
// for 0, and a point of the space, the same for the same seed, for others. What
// is fixed is never varied.
func draw(space []models.Range, fixed map[string]any, seed uint64, n int) map[string]any {
	params := map[string]any{}
	if n > 0 {
		rng := rand.New(rand.NewPCG(seed, uint64(n))) // #nosec G115 -- a count
		for _, r := range space {
			params[r.Param] = point(r, rng)
		}
	}
	for name, v := range fixed {
		params[name] = v
	}
	return params
}

func point(r models.Range, rng *rand.Rand) any {
	if len(r.Values) > 0 {
		return r.Values[rng.IntN(len(r.Values))]
	}
	u := rng.Float64()
	v := r.Low + u*(r.High-r.Low)
	if r.Log {
		v = r.Low * math.Exp(u*math.Log(r.High/r.Low))
	}
	if r.Integer {
		return math.Round(v)
	}
	// Four figures are as much as a search can tell apart, and people can read.
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Max(math.Abs(v), 1e-12))))
	return math.Round(v*scale) / scale
}
