package pipeline

import (
	"slices"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
)

// Worded is a filter that can also say in words what its Mask leaves.
type Worded interface {
	Filter
	// Words is an attribute and values of it, one of which every row has that Mask
	// leaves, as catalog.Words has them; "" where there is nothing to say.
	Words(r *features.Request) (attr string, values []string)
}

// say puts into the request what its eligible set can be told from in words, for
// indexes that live elsewhere. All that is said of an attribute holds, so that the
// first that is said of it does: the request's own comes before the recipe's.
func (p *Pipeline) say(w *work) {
	if !p.worded {
		return
	}
	w.req.Words = map[string][]string{} // a call may outlive the request
	say := func(attr string, values []string) {
		if w.req.Words[attr] == nil && len(values) > 0 {
			w.req.Words[attr] = slices.Clone(values)
		}
	}
	if w.req.Catalog != nil {
		say(features.AttrMarket, catalog.SoldIn(w.req.Market))
	}
	for _, f := range p.filters {
		if f, ok := f.(Worded); ok {
			say(f.Words(&w.req))
		}
	}
}
