package filter

import (
	"fmt"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// seen takes out items the shopper did something with: by default bought. With
// again, what was bought on several days stays in once its usual interval has
// passed.
type seen struct {
	maskOnly
	types  [256]bool
	within time.Duration
	again  bool
}

type seenParams struct {
	Types  []string        `json:"types"`  // event types, by name
	Within models.Duration `json:"within"` // only what happened so short ago; 0: whenever
	Again  bool            `json:"again"`  // let goods that are due for being bought again stay
}

func newSeen(params map[string]any) (pipeline.Filter, error) {
	p := seenParams{Types: []string{features.Purchase.String()}}
	if err := pipeline.Params(params, &p); err != nil {
		return nil, err
	}
	if p.Within < 0 {
		return nil, fmt.Errorf("within %s: expected 0 or more", time.Duration(p.Within))
	}
	f := &seen{within: time.Duration(p.Within), again: p.Again}
	for _, name := range p.Types {
		t, err := features.ParseEventType(name)
		if err != nil {
			return nil, err
		}
		f.types[t] = true
	}
	return f, nil
}

// Name implements pipeline.Filter.
func (*seen) Name() string { return "seen" }

// Mask implements pipeline.Filter.
func (f *seen) Mask(r *features.Request, eligible *features.Bitmap) {
	h := r.History()
	since := int64(0)
	if f.within > 0 {
		since = r.Now.Add(-f.within).UnixMilli()
	}
	for i := range h {
		if !f.types[h[i].Type] || h[i].TimeMS < since || !eligible.Has(h[i].Row) {
			continue
		}
		if f.again && h[i].Type == features.Purchase && pipeline.PurchasesOf(h, h[i].Row).Due(r.Now) {
			continue
		}
		eligible.Clear(h[i].Row)
	}
}
