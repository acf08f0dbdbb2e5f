package filter

import (
	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// hidden takes out what the shopper hid or disliked. Who did not consent to
// personalisation comes without it, as docs/privacy.md says.
type hidden struct{ maskOnly }

func newHidden(params map[string]any) (pipeline.Filter, error) {
	return hidden{}, pipeline.Params(params, &struct{}{})
}

// Name implements pipeline.Filter.
func (hidden) Name() string { return "hidden" }

// Mask implements pipeline.Filter. An item liked after it was disliked is back;
// a hidden one never is.
func (hidden) Mask(r *features.Request, eligible *features.Bitmap) {
	if r.Shopper == nil {
		return
	}
	eligible.AndNot(r.Shopper.Hidden)
	h := r.Shopper.Recent
	for i := range h {
		switch h[i].Type {
		case features.Hide:
			eligible.Clear(h[i].Row)
		case features.Dislike:
			if !likedAfter(h[i+1:], h[i].Row) {
				eligible.Clear(h[i].Row)
			}
		}
	}
}

func likedAfter(h []features.Interaction, row features.Row) bool {
	for i := range h {
		if h[i].Row == row && h[i].Type == features.Like {
			return true
		}
	}
	return false
}
