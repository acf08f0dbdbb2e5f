package mf

import (
	"fmt"
	"math"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/taste"
)

// The solvers of a user's or an item's least squares.
const (
	SolverAuto     = "auto"     // cholesky
	SolverCholesky = "cholesky" // exact
	SolverCG       = "cg"       // a few steps of conjugate gradient from the last vector
)

// Params are those of "ials". Zero stands for a value chosen by the size and
// density of the data where the field says so; a fitted model keeps what was
// chosen.
type Params struct {
	Factors int `json:"factors"` // numbers in a vector; 0: by size
	Epochs  int `json:"epochs"`  // passes over users and items
	// Unobserved is the weight of the wish that a pair nobody saw scores 0,
	// against 1 for a pair that was; 0: half the root of the density.
	Unobserved float64 `json:"unobserved"`
	// Regularisation is λ; 0: by density.
	Regularisation float64 `json:"regularisation"`
	// Exponent is ν: a vector that rests on n observations of N candidates is
	// regularised by λ·(n + Unobserved·N)^ν, scaled so that the sum over all
	// vectors is that of ν = 1.
	Exponent float64 `json:"exponent"`
	Spread   float64 `json:"spread"` // standard deviation of a first vector's length
	Solver   string  `json:"solver"`
	Steps    int     `json:"steps"` // of conjugate gradient
	// Patience is how many epochs may pass without a better NDCG@20 on the
	// validation data before training ends; 0: never early. The best epoch's
	// vectors are kept. Without validation data it has no effect.
	Patience int `json:"patience"`
	// Content says what the catalogue is good for: ContentMap leads from what is
	// said of an item to a vector, for items that nobody met and for those newer
	// than the model; ContentFuse draws every item's vector towards it in
	// training as well; ContentOff leaves it alone. A map that explains nothing
	// of items held out from it is not used.
	Content string `json:"content"`
	taste.Options
}

// What the catalogue is good for.
const (
	ContentOff  = "off"
	ContentMap  = "map"
	ContentFuse = "fuse"
)

// Defaults are the parameters of "ials" where none are given.
func Defaults() Params {
	return Params{Epochs: 7, Exponent: 1, Spread: .1, Solver: SolverAuto, Steps: 3, Patience: 2, Content: ContentMap}
}

func (p *Params) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"factors", float64(p.Factors), 0, 4096}, {"epochs", float64(p.Epochs), 1, 1000},
		{"unobserved", p.Unobserved, 0, 100}, {"regularisation", p.Regularisation, 0, 1000},
		{"exponent", p.Exponent, 0, 2}, {"spread", p.Spread, 1e-6, 100},
		{"steps", float64(p.Steps), 1, 1000}, {"patience", float64(p.Patience), 0, 1000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	switch p.Content {
	case ContentOff, ContentMap, ContentFuse:
	case "":
		p.Content = ContentOff // a model of before there were maps
	default:
		return fmt.Errorf("%w: content is %q: expected %s, %s or %s", models.ErrParams, p.Content, ContentOff, ContentMap, ContentFuse)
	}
	switch p.Solver {
	case SolverAuto, SolverCholesky, SolverCG:
		return nil
	}
	return fmt.Errorf("%w: solver is %q: expected %s, %s or %s", models.ErrParams, p.Solver, SolverAuto, SolverCholesky, SolverCG)
}

// resolve puts a value in place of each zero that stands for one.
func (p *Params) resolve(users, items, pairs int) {
	density := float64(pairs) / math.Max(1, float64(users)*float64(items))
	if p.Factors == 0 {
		p.Factors = factors(pairs, density)
	}
	if p.Unobserved == 0 {
		p.Unobserved = math.Min(math.Max(.5*math.Sqrt(density), .001), 1)
	}
	if p.Regularisation == 0 {
		p.Regularisation = math.Min(math.Max(.003*math.Cbrt(density/.0008), .003), .012)
	}
	if p.Solver == SolverAuto {
		p.Solver = SolverCholesky
	}
}

// factors grows with the root of what there is to learn from, up to five times
// as fast where pairs are rare, and is held back where training would take
// hours.
func factors(pairs int, density float64) int {
	spread := math.Min(math.Max(math.Sqrt(.012/density), 1), 5)
	d := 16 * int(math.Round(math.Sqrt(float64(pairs))/80*spread))
	most := 768
	switch {
	case pairs > 10_000_000:
		most = 128
	case pairs > 3_000_000:
		most = 256
	}
	return min(max(d, 32), most)
}
