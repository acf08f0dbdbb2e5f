// Package selector has the selectors, one to a file, and Build, which makes the
// one a recipe names.
//
// It imports models/pipeline and what lies below. Start reading at Build.
package selector

import (
	"maps"
	"slices"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

type maker func(spec models.ComponentSpec, env pipeline.Env) (pipeline.Selector, error)

// makers is every selector there is, by the name recipes use.
func makers() map[string]maker {
	return map[string]maker{
		"mmr":       newMMR,       // not all alike
		"dpp":       newDPP,       // not all alike, as a set
		"caps":      newCaps,      // so many of a category, brand, seller or group
		"fatigue":   newFatigue,   // not again what was shown lately
		"sponsored": newSponsored, // places that somebody pays for
		"explore":   newExplore,   // new items get a chance
	}
}

// Names lists the selectors there are, in no order.
func Names() []string { return slices.Collect(maps.Keys(makers())) }

// Build makes the selector that spec names.
func Build(spec models.ComponentSpec, env pipeline.Env) (pipeline.Selector, error) {
	mk, err := pipeline.Pick(makers(), "selector", spec.Name)
	if err != nil {
		return nil, err
	}
	return mk(spec, env)
}
