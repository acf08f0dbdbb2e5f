package pipeline

import (
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
)

// The names by which the default recipes know a release's models.
const (
	ModelFactors = "ials"    // factors with fold-in
	ModelItems   = "itemcf"  // neighbours of items
	ModelContent = "content" // vectors by what is said of the items
	ModelPopular = "popular" // by market
	ModelHybrid  = "hybrid"  // all of them together
	ModelNext    = "next"    // what follows what
	ModelRanker  = "ranker"  // learnt on replayed requests
)

// Defaults is the recipes of the surfaces that every release answers. They are
// written for a release with all the models named above; Trim fits one to a
// release with fewer.
func Defaults() []models.Recipe {
	budget := models.Duration(25 * time.Millisecond)
	popular := []models.SourceSpec{
		{Name: "popular", Source: "popular", Model: ModelPopular, Limit: 100},
	}
	return []models.Recipe{
		{
			Surface: features.SurfaceHome,
			Budget:  budget,
			Sources: []models.SourceSpec{
				{Name: "factors", Source: "factors", Model: ModelFactors, Limit: 150},
				{Name: "similar", Source: "similar", Model: ModelItems, Limit: 150},
				{Name: "interest", Source: "interest", Model: ModelContent, Limit: 100},
				{Name: "trending", Source: "trending", Model: ModelPopular, Limit: 50},
				{Name: "segment", Source: "segment", Limit: 30},
				{Name: "new", Source: "new", Limit: 20, Params: map[string]any{"days": 30}},
				{Name: "again", Source: "again", Limit: 10},
			},
			Filters: []models.ComponentSpec{
				{Name: "hidden"},
				{Name: "seen", Params: map[string]any{"again": true}},
				{Name: "page"},
			},
			Ranker: models.RankerSpec{Ranker: "weighted", Weights: map[string]float64{
				ModelFactors: 1, ModelItems: .6, ModelContent: .3, ModelPopular: .2,
			}},
			Selectors: []models.ComponentSpec{
				{Name: "caps", Params: map[string]any{"group": 1}},
				{Name: "mmr", Params: map[string]any{"model": ModelContent, "lambda": .85}},
				{Name: "explore", Params: map[string]any{"slots": []int{6}, "rate": .1}},
			},
			Fallback: popular,
		},
		{
			Surface: features.SurfaceItem,
			Budget:  budget,
			Sources: []models.SourceSpec{
				{Name: "linked", Source: "linked", Limit: 50}, // of content and bundles; other items link to nothing
				{Name: "related", Source: "related", Model: ModelItems, Limit: 100},
				{Name: "alike", Source: "related", Model: ModelContent, Limit: 50},
			},
			Filters: []models.ComponentSpec{
				{Name: "hidden"},
				{Name: "page"},
			},
			Ranker:    models.RankerSpec{Ranker: "source"},
			Selectors: []models.ComponentSpec{{Name: "caps", Params: map[string]any{"group": 1}}},
			Fallback:  popular,
		},
		{
			Surface: features.SurfaceCart,
			Budget:  budget,
			Sources: []models.SourceSpec{
				{Name: "bought", Source: "bought", Model: ModelItems, Limit: 150},
			},
			Filters: []models.ComponentSpec{
				{Name: "hidden"},
				{Name: "page"},
			},
			Ranker:    models.RankerSpec{Ranker: "source"},
			Selectors: []models.ComponentSpec{{Name: "caps", Params: map[string]any{"group": 1}}},
			Fallback:  popular,
		},
	}
}

// SurfaceFull is the surface of Full.
const SurfaceFull = "home-full"

// Full is the home page with everything there is: ten sources, of which two
// search vectors, the learnt ranker and what keeps a page varied. It is written
// for a release that has all the models.
func Full() models.Recipe {
	return models.Recipe{
		Surface: SurfaceFull,
		Budget:  models.Duration(25 * time.Millisecond),
		Sources: []models.SourceSpec{
			{Name: "factors", Source: "factors", Model: ModelFactors, Limit: 150},
			{Name: "similar", Source: "similar", Model: ModelItems, Limit: 120, Params: map[string]any{"items": 10, "each": 30}},
			{Name: "interest", Source: "interest", Model: ModelContent, Limit: 80},
			{Name: "next", Source: "next", Model: ModelNext, Limit: 60},
			{Name: "favourites", Source: "favourites", Model: ModelPopular, Limit: 80},
			{Name: "trending", Source: "trending", Model: ModelPopular, Limit: 50},
			{Name: "segment", Source: "segment", Limit: 30},
			{Name: "new", Source: "new", Limit: 20, Params: map[string]any{"days": 30}},
			{Name: "recent", Source: "recent", Limit: 20},
			{Name: "again", Source: "again", Limit: 10},
		},
		Filters: []models.ComponentSpec{{Name: "hidden"}, {Name: "seen", Params: map[string]any{"again": true}}, {Name: "page"}},
		Ranker:  models.RankerSpec{Ranker: "learnt", Model: ModelRanker},
		Selectors: []models.ComponentSpec{
			{Name: "caps", Params: map[string]any{"group": 1}},
			{Name: "mmr", Params: map[string]any{"model": ModelContent, "lambda": .85}},
		},
		Fallback: []models.SourceSpec{{Name: "popular", Source: "popular", Model: ModelPopular, Limit: 100}},
	}
}

// Trim is the recipe without what needs a model that has reports not to be
// there: sources, fallbacks, weights and selectors.
func Trim(recipe models.Recipe, has func(model string) bool) models.Recipe {
	absent := func(s models.SourceSpec) bool { return s.Model != "" && !has(s.Model) }
	recipe.Sources = slices.DeleteFunc(slices.Clone(recipe.Sources), absent)
	recipe.Fallback = slices.DeleteFunc(slices.Clone(recipe.Fallback), absent)
	recipe.Selectors = slices.DeleteFunc(slices.Clone(recipe.Selectors), func(c models.ComponentSpec) bool {
		m, ok := c.Params["model"].(string)
		return ok && m != "" && !has(m)
	})
	if recipe.Ranker.Model == "" && len(recipe.Ranker.Weights) > 0 { // by model; else by a model's goals
		weights := map[string]float64{}
		for name, w := range recipe.Ranker.Weights {
			if has(name) {
				weights[name] = w
			}
		}
		recipe.Ranker.Weights = weights
		if len(weights) == 0 {
			recipe.Ranker = models.RankerSpec{Ranker: "source"}
		}
	}
	if recipe.Ranker.Model != "" && !has(recipe.Ranker.Model) {
		recipe.Ranker = models.RankerSpec{Ranker: "source"}
	}
	return recipe
}
