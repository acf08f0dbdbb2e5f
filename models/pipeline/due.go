package pipeline

import (
	"time"

	"github.com/attune-rec/attune/features"
)

// Purchases is how often, on different days, a shopper bought an item, and how
// it is spaced.
type Purchases struct {
	Times    int
	Last     int64         // Unix milliseconds
	Interval time.Duration // between two, on average; 0 where there is but one
}

// PurchasesOf looks for purchases of row in h, which is in the order of time.
// What follows within a day of the last is the same purchase.
func PurchasesOf(h []features.Interaction, row features.Row) Purchases {
	const day = int64(24 * time.Hour / time.Millisecond)
	var p Purchases
	var first int64
	for i := range h {
		if h[i].Row != row || h[i].Type != features.Purchase { // hardly any is of the row: that is easy to foretell
			continue
		}
		switch {
		case p.Times == 0:
			first, p.Last, p.Times = h[i].TimeMS, h[i].TimeMS, 1
		case h[i].TimeMS-p.Last >= day:
			p.Last, p.Times = h[i].TimeMS, p.Times+1
		}
	}
	if p.Times > 1 {
		p.Interval = time.Duration(p.Last-first) * time.Millisecond / time.Duration(p.Times-1)
	}
	return p
}

// Due reports whether a shopper who bought an item several times is about to
// need it again: the interval since the last time has come.
func (p Purchases) Due(now time.Time) bool {
	return p.Times > 1 && now.UnixMilli()-p.Last >= p.Interval.Milliseconds()
}
