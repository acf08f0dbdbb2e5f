package job

import (
	"fmt"
	"math"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

// Verify checks every file of a release, opens its models and asks each for
// scores.
type Verify struct {
	Releases `embed:""`
	Version  string `arg:"" optional:"" help:"The release; the newest when none is given."`
}

// verified is what Verify found.
type verified struct {
	Version string          `json:"version"`
	Files   int             `json:"files"`
	Bytes   int64           `json:"bytes"`
	Items   int             `json:"items"`
	Models  []verifiedModel `json:"models"`
}

type verifiedModel struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Items  int    `json:"items"`
	Scored int    `json:"scored"` // of the probed items, for a shopper who met the first ones
}

// Run implements the command.
func (v *Verify) Run(env *Env) error {
	return v.with(env, func(st release.Store) error {
		version, err := v.newest(env, st, v.Version)
		if err != nil {
			return err
		}
		bar := env.Progress("verify " + version)
		defer bar.Done()
		r, err := release.Open(env.Ctx, st, v.shop(), version, kinds)
		if err != nil {
			return err
		}
		defer r.Close()
		found := verified{Version: version, Files: len(r.Manifest.Files) + 2, Bytes: r.Bytes(), Items: len(r.Items)}
		for _, p := range r.Models() {
			scored, err := probe(p.Model, r)
			if err != nil {
				return fmt.Errorf("model %q: %w", p.Name, err)
			}
			found.Models = append(found.Models, verifiedModel{Name: p.Name, Kind: p.Model.Kind(), Items: p.Model.Items(), Scored: scored})
		}
		if env.JSON {
			return env.WriteJSON(found)
		}
		fmt.Fprintf(env.Out, "%s is whole: %d files, %d bytes, %d items\n", found.Version, found.Files, found.Bytes, found.Items)
		for _, m := range found.Models {
			fmt.Fprintf(env.Out, "  %s (%s): %d items, scores %d of those probed\n", m.Name, m.Kind, m.Items, m.Scored)
		}
		return nil
	})
}

// probe scores some items for a shopper who met others; an infinite score is an
// error, NaN is not: a model may have nothing to say.
func probe(m interface {
	Score(*features.Request, []features.Row, []float32)
}, r *release.Release) (int, error) {
	const met, asked = 5, 100
	n := len(r.Items)
	shopper := &features.Shopper{Consent: features.AllPurposes}
	for row := range min(met, n) {
		shopper.Recent = append(shopper.Recent, features.Interaction{Row: features.Row(row), Type: features.Purchase, TimeMS: r.Manifest.Lineage.DataTo.UnixMilli(), Quantity: 1})
	}
	rows := make([]features.Row, min(asked, n))
	for i := range rows {
		rows[i] = features.Row(i * n / len(rows))
	}
	out := make([]float32, len(rows))
	req := &features.Request{
		Query:   features.Query{Shop: r.Manifest.Shop, Surface: features.SurfaceHome, Now: r.Manifest.Lineage.DataTo, Limit: 10},
		Shopper: shopper, Item: features.NoRow, Scratch: new(features.Scratch),
	}
	m.Score(req, rows, out)
	scored := 0
	for i, s := range out {
		if math.IsInf(float64(s), 0) {
			return 0, fmt.Errorf("%w: item %q scores %v", release.ErrCorrupt, r.Items[rows[i]].ID, s)
		}
		if s == s {
			scored++
		}
	}
	return scored, nil
}
