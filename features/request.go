package features

import "time"

// The surfaces every release has a recipe for. A shop may add its own.
const (
	SurfaceHome = "home"
	SurfaceItem = "item"
	SurfaceCart = "cart"
)

// Query is what a caller asks for, in the shop's own words.
type Query struct {
	Shop     ShopID
	Surface  string
	Market   string // ISO 3166 country or the shop's own market name; "" is unknown
	Locale   string // BCP 47; "" is the shop's own
	Currency string // ISO 4217; "" is the market's
	Channel  string // web, app, mail, store …
	Text     string // what was searched
	Now      time.Time
	Limit    int // items wanted, at least 1
}

// Request is a query with everything that answering it may look at. It is built
// once, by the server from live state or by the trainer from replayed state,
// and read-only afterwards, save for Scratch, which belongs to the one
// goroutine that answers.
type Request struct {
	Query
	Shopper  *Shopper // nil: nobody known
	Item     Row      // the item page's item; NoRow elsewhere
	Cart     []Row
	Exclude  []Row   // asked to be left out: shown on earlier pages, chosen by the caller
	Eligible *Bitmap // rows that may be answered; nil: all
	Catalog  Catalog // nil where nothing needs it (plain evaluation)
	State    State   // what features remembered at Now; nil: none
	Scratch  *Scratch
}

// History is the shopper's interactions that may be used for the answer: none
// without consent.
func (r *Request) History() []Interaction {
	if !r.Shopper.Known() {
		return nil
	}
	return r.Shopper.Recent
}
