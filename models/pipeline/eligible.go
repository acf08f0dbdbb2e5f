package pipeline

import "github.com/attune-rec/attune/features"

// base makes eligible the rows that may be sold at all: what the catalogue
// says, narrowed to what the request allows, without what it excludes.
func (w *work) base(allowed *features.Bitmap, rows int) {
	r := &w.req
	switch cat := r.Catalog.(type) {
	case nil:
		if allowed != nil {
			rows = allowed.Len()
		}
		w.eligible.Resize(rows)
		w.eligible.Fill()
	case Eligibler:
		cat.Eligible(r.Market, r.Now, &w.eligible)
	default:
		w.eligible.Resize(cat.Len())
		for row := range features.Row(cat.Len()) {
			it := cat.Item(row)
			if it != nil && !it.Hidden && it.SoldIn(r.Market) && it.InStock(r.Market) && it.OnSale(r.Now) {
				w.eligible.Set(row)
			}
		}
	}
	if allowed != nil {
		w.eligible.And(allowed)
	}
	for _, row := range r.Exclude {
		w.eligible.Clear(row)
	}
}
