package source

import (
	"fmt"
	"maps"
	"slices"

	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// maker makes a source of its kind.
type maker func(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error)

// makers is every source there is, by the name recipes use.
func makers() map[string]maker {
	return map[string]maker{
		"factors":    newFactors,    // the shopper's vector through the model's index
		"interest":   newInterest,   // the same, with the categories it rests on as reasons
		"similar":    newSimilar,    // beside the newest items of the history
		"related":    newRelated,    // beside the page's item
		"linked":     newLinked,     // what the page's item shows or holds
		"bought":     newBought,     // beside the items of the cart
		"users":      newScored,     // what shoppers alike did: a model that scores every item
		"popular":    newPopular,    // most wanted in the market
		"trending":   newTrending,   // most wanted of late in the market, by shoppers alike first
		"segment":    newSegment,    // most wanted by the shopper's segments over weeks
		"favourites": newFavourites, // most wanted in the shopper's categories
		"next":       newNext,       // what follows what the shopper did last
		"new":        newArrivals,   // newest first
		"recent":     newRecent,     // what the shopper looked at
		"again":      newAgain,      // what the shopper bought
	}
}

// Names lists the sources there are, in no order.
func Names() []string { return slices.Collect(maps.Keys(makers())) }

// Build makes the source that spec names. The error says what is missing and
// what there is.
func Build(spec models.SourceSpec, env pipeline.Env) (pipeline.Source, error) {
	mk, err := pipeline.Pick(makers(), "source", spec.Source)
	if err != nil {
		return nil, err
	}
	s, err := mk(spec, env)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", spec.Source, err)
	}
	return s, nil
}
