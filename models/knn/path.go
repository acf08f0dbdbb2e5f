package knn

import (
	"context"
	"fmt"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/taste"
)

// KindPath is the name of the path neighbourhood.
const KindPath = "path-knn"

// The presets of "path-knn".
const (
	PresetP3Alpha = "p3alpha" // user and from are Alpha, to is 0
	PresetRP3Beta = "rp3beta" // user and from are Alpha, to is Beta
)

// PathParams are those of "path-knn": item i says for item j
//
//	n_i^-From · Σ_u n_u^-User · n_j^-To
//
// over the users u who met both, where n counts what a user or an item has. So
// User 0, From and To .5 is the cosine; From 1, User 1 and To 0 is the chance
// that a walk from i over a user ends at j (P3alpha; Cooper, Lee, Radinsky,
// Siantos 2014); To above 0 holds popular items back (RP3beta; Paudel,
// Christoffel, Newell, Bernstein 2017).
type PathParams struct {
	User       float64 `json:"user"`
	From       float64 `json:"from"`
	To         float64 `json:"to"`
	Preset     string  `json:"preset,omitempty"` // sets User, From and To; "": as given
	Alpha      float64 `json:"alpha"`            // of a preset
	Beta       float64 `json:"beta"`             // of a preset
	Neighbours int     `json:"neighbours"`       // that may vote on an item
	taste.Options
}

// PathDefaults are the parameters of "path-knn" where none are given.
func PathDefaults() PathParams {
	return PathParams{User: .6, From: .6, To: .2, Alpha: 1, Beta: .4, Neighbours: 500}
}

func (p *PathParams) check() error {
	for _, c := range []struct {
		name             string
		value, low, high float64
	}{
		{"user", p.User, -2, 4}, {"from", p.From, -2, 4}, {"to", p.To, -2, 4}, {"alpha", p.Alpha, 0, 4}, {"beta", p.Beta, 0, 4},
		{"neighbours", float64(p.Neighbours), 1, 100_000},
	} {
		if err := models.CheckRange(c.name, c.value, c.low, c.high); err != nil {
			return err
		}
	}
	switch p.Preset {
	case "":
	case PresetP3Alpha:
		p.User, p.From, p.To = p.Alpha, p.Alpha, 0
	case PresetRP3Beta:
		p.User, p.From, p.To = p.Alpha, p.Alpha, p.Beta
	default:
		return fmt.Errorf("%w: preset is %q: expected %s, %s or none", models.ErrParams, p.Preset, PresetP3Alpha, PresetRP3Beta)
	}
	return nil
}

// Path is the kind "path-knn".
func Path() models.Kind {
	return models.Kind{
		Name:     KindPath,
		Summary:  "items by the walks over users that join them (cosine, P3alpha, RP3beta)",
		Defaults: PathDefaults(),
		Fit:      fitPath,
		Open:     openItems(KindPath),
		Space: []models.Range{
			{Param: "user", Low: 0, High: 1.2}, {Param: "from", Low: 0, High: 1}, {Param: "to", Low: 0, High: .8},
			{Param: "neighbours", Values: []any{100, 300, 500, 1000}},
		},
	}
}

func fitPath(ctx context.Context, in models.FitInput) (models.Model, error) {
	p := PathDefaults()
	if err := models.DecodeParams(in.Params, &p); err != nil {
		return nil, err
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	w, err := taste.New(p.Options, in.Weights)
	if err != nil {
		return nil, err
	}
	x := w.Matrix(in.Train, false)
	if x.NNZ() == 0 {
		return nil, errEmpty(KindPath)
	}
	counts := columnSums(x)
	from, to := powers(counts, p.From), powers(counts, p.To)
	var users []float32
	if p.User != 0 {
		users = powers(rowSums(x), p.User)
	}
	t, err := similar(ctx, x, users, p.Neighbours, in.Workers, in.Progress, func(others []int32, j int32, dots []float32) {
		for e, i := range others {
			dots[e] *= from[i] * to[j]
		}
	})
	if err != nil {
		return nil, err
	}
	return newItems(KindPath, p, w, t, nil)
}
