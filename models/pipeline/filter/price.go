package filter

import (
	"fmt"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/pipeline"
)

// price keeps items whose price in the market lies in a range, in the price's
// own unit. An item without a price is not in any range.
type price struct {
	maskOnly
	low, high float64
}

func newPrice(params map[string]any) (pipeline.Filter, error) {
	p := struct {
		Low  float64 `json:"low"`
		High float64 `json:"high"` // 0: no upper end
	}{}
	if err := pipeline.Params(params, &p); err != nil {
		return nil, err
	}
	if p.Low < 0 || p.High < 0 || p.High != 0 && p.High < p.Low {
		return nil, fmt.Errorf("range %g to %g: expected 0 <= low <= high", p.Low, p.High)
	}
	return &price{low: p.Low, high: p.High}, nil
}

// Name implements pipeline.Filter.
func (*price) Name() string { return "price" }

// Mask implements pipeline.Filter.
func (f *price) Mask(r *features.Request, eligible *features.Bitmap) {
	if r.Catalog == nil {
		eligible.And(nil)
		return
	}
	pipeline.KeepPriced(r, f.low, f.high, eligible)
}
