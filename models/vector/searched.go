package vector

import (
	"slices"

	"github.com/attune-rec/attune/models"
)

// Searched is those of the parts whose vectors the recipes' sources search, in
// their order.
func Searched(parts []models.Part, recipes []models.Recipe) []models.Part {
	named := map[string]bool{}
	for _, r := range recipes {
		for _, s := range append(slices.Clone(r.Sources), r.Fallback...) {
			named[s.Model] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(parts), func(p models.Part) bool {
		_, ok := p.Model.(models.Embedder)
		return !ok || !named[p.Name]
	})
}
