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
	Device   string // phone, tablet, desktop …
	Text     string // what was searched
	Now      time.Time
	Limit    int // items wanted, at least 1

	PriceFrom  float64  // only items that cost at least so many units in the market; 0: no lower end
	PriceTo    float64  // and at most so many; 0: no upper end
	Categories []string // only items of one of these paths, joined by '/'; empty: of all
}

// Shown is an item that the shopper was answered lately.
type Shown struct {
	Row    Row
	TimeMS int64 // Unix milliseconds
}

// Trials is what came of showing items to anyone, for exploration. It is safe
// for concurrent use.
type Trials interface {
	// Trial is how many looks the item in row had and how many clicks came of
	// them. A place far down counts as a part of a look.
	Trial(row Row) (looks, clicks float64)
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
	Shown    []Shown // answered to the shopper lately, oldest first; none without consent
	Trials   Trials  // nil: not known
	Eligible *Bitmap // rows that may be answered; nil: all
	// Words is what can be said of Eligible in words, for an index that lives
	// elsewhere: of each attribute (AttrMarket …) every row of it has one of the
	// values. nil: nothing.
	Words   map[string][]string
	Catalog Catalog // nil where nothing needs it (plain evaluation)
	State   State   // what features remembered at Now; nil: none
	Scratch *Scratch
}

// History is the shopper's interactions that may be used for the answer: none
// without consent.
func (r *Request) History() []Interaction {
	if !r.Shopper.Known() {
		return nil
	}
	return r.Shopper.Recent
}

// Workspace is the request's Scratch, or a new one where it has none.
func (r *Request) Workspace() *Scratch {
	if r.Scratch != nil {
		return r.Scratch
	}
	return new(Scratch)
}

// WithScratch is the request itself where it has a Scratch, else a copy that
// has one of its own.
func (r *Request) WithScratch() *Request {
	if r.Scratch != nil {
		return r
	}
	own := *r
	own.Scratch = new(Scratch)
	return &own
}
