package filter

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// language keeps items with text in the request's language. A request without
// a locale takes all.
type language struct{ maskOnly }

func newLanguage(params map[string]any) (pipeline.Filter, error) {
	return language{}, pipeline.Params(params, &struct{}{})
}

// Name implements pipeline.Filter.
func (language) Name() string { return "language" }

// Mask implements pipeline.Filter.
func (language) Mask(r *features.Request, eligible *features.Bitmap) {
	if r.Locale == "" || r.Catalog == nil {
		return
	}
	own := r.Catalog.Where(features.AttrLanguage, r.Locale)
	if len(r.Locale) <= 2 {
		eligible.And(own)
		return
	}
	both := own.Grow(eligible.Len())
	both.Or(r.Catalog.Where(features.AttrLanguage, r.Locale[:2]))
	eligible.And(both)
}

// Words implements pipeline.Worded.
func (language) Words(r *features.Request) (attr string, values []string) {
	switch {
	case r.Locale == "" || r.Catalog == nil:
		return "", nil
	case len(r.Locale) <= 2:
		return features.AttrLanguage, []string{r.Locale}
	}
	return features.AttrLanguage, []string{r.Locale, r.Locale[:2]}
}
