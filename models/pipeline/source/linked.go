package source

import (
	"context"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// linked is what the item of the page shows or holds, in its own order: the
// products of an article, a video or a live show, the parts of a bundle.
type linked struct{ named }

func newLinked(spec models.SourceSpec, _ pipeline.Env) (pipeline.Source, error) {
	if err := pipeline.Params(spec.Params, &struct{}{}); err != nil {
		return nil, err
	}
	return &linked{named: named(spec.Name)}, nil
}

// Candidates implements pipeline.Source. The score is 1 for the first link and
// falls with the place.
func (s *linked) Candidates(_ context.Context, r *features.Request, n int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
	if r.Item == features.NoRow || r.Catalog == nil {
		return dst, nil
	}
	it := r.Catalog.Item(r.Item)
	if it == nil {
		return dst, nil
	}
	from := len(dst)
	for i, id := range it.Links {
		row, ok := r.Catalog.Row(id)
		if !ok || row == r.Item || !r.Eligible.Has(row) || given(dst[from:], row) {
			continue
		}
		if len(dst)-from == n {
			break
		}
		dst = append(dst, pipeline.Candidate{Row: row, Score: 1 / float32(1+i)})
	}
	return dst, nil
}

// given reports whether a row is among candidates; an item has few links.
func given(of []pipeline.Candidate, row features.Row) bool {
	for i := range of {
		if of[i].Row == row {
			return true
		}
	}
	return false
}
