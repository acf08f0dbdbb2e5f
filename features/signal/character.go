package signal

import (
	"math"

	"github.com/attune-rec/attune/features"
)

// Character is what is concluded of the shopper: the silence since the last
// event by the shopper's own gap between orders, the price level, the share of
// returns, and the confidence of the motives; unknown without a profile.
type Character struct{}

// motives are the tags that it looks at.
var motives = [3]string{"value", "quality", "individuality"}

const characterWidth = 3 + len(motives)

// Name implements features.Feature.
func (Character) Name() string { return "character" }

// Width implements features.Feature.
func (Character) Width() int { return characterWidth }

// About implements Signal.
func (Character) About() About {
	return About{Of: "user", From: "profile", Numbers: []string{
		"days since the last event by the usual gap between orders", "price level", "share of returns",
		"confidence of `value`", "of `quality`", "of `individuality`",
	}}
}

// Update implements features.Feature: the profile tells all.
func (Character) Update(features.State, features.Event) {}

// Value implements features.Feature.
func (f Character) Value(r *features.Request, items []features.Row, out []float32) {
	v := f.of(r)
	for i := range items {
		copy(out[characterWidth*i:], v[:])
	}
}

func (f Character) begin(r *features.Request, d *desk) { d.character = f.of(r) }

func (Character) block(d *desk, lo, hi int, out []float32, stride int) {
	for i := lo; i < hi; i++ {
		*(*[characterWidth]float32)(out[i*stride:]) = d.character
	}
}

// of looks at nothing of the profile that moves with the clock: it may have
// been made some minutes ago.
func (Character) of(r *features.Request) (v [characterWidth]float32) {
	fill(v[:])
	if !r.Shopper.Known() || r.Shopper.Profile == nil || r.Shopper.Profile.Last.IsZero() {
		return v
	}
	p := r.Shopper.Profile
	const usual = 45 // days between orders of who has no rhythm yet
	gap := p.GapDays
	if p.Orders < 2 {
		gap = usual
	}
	v[0] = float32(math.Log1p(max(0, r.Now.Sub(p.Last).Hours()/24)) - math.Log1p(gap))
	v[1], v[2] = float32(p.PriceLevel), float32(p.ReturnShare)
	for m, name := range motives {
		v[3+m] = 0
		for i := range p.Tags {
			if p.Tags[i].Name == name {
				v[3+m] = float32(p.Tags[i].Confidence)
			}
		}
	}
	return v
}
