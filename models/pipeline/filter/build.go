// Package filter has the filters, one to a file, and Build, which makes the one
// a recipe names. What may be sold at all (visible, offered and in stock in the
// market, inside the sale window) and what the request excludes is taken out
// by the pipeline itself, whatever the recipe says.
//
// It imports models/pipeline and what lies below. Start reading at Build.
package filter

import (
	"maps"
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

type maker func(params map[string]any) (pipeline.Filter, error)

// makers is every filter there is, by the name recipes use.
func makers() map[string]maker {
	return map[string]maker{
		"hidden":   newHidden,
		"seen":     newSeen,
		"page":     newPage,
		"age":      newAge,
		"price":    newPrice,
		"category": newCategory,
		"language": newLanguage,
	}
}

// Names lists the filters there are, in no order.
func Names() []string { return slices.Collect(maps.Keys(makers())) }

// Build makes the filter that spec names.
func Build(spec models.ComponentSpec) (pipeline.Filter, error) {
	mk, err := pipeline.Pick(makers(), "filter", spec.Name)
	if err != nil {
		return nil, err
	}
	return mk(spec.Params)
}

// maskOnly is for filters that depend on nothing but the item and the request:
// what Mask left may stay.
type maskOnly struct{}

func (maskOnly) Keep(*features.Request, features.Row) bool { return true }

// MaskOnly implements pipeline.MaskOnly.
func (maskOnly) MaskOnly() {}
