package features

import "time"

// Row is an item's dense number. Rows below a release's size are its items;
// rows at and past it are the live tail: items that are newer than the release.
type Row int32

// NoRow stands where no item is meant.
const NoRow Row = -1

// ItemKind is what an item is.
type ItemKind string

// The kinds of items.
const (
	Product  ItemKind = "product"
	Bundle   ItemKind = "bundle"
	Article  ItemKind = "article"
	Video    ItemKind = "video"
	LiveShow ItemKind = "live_show"
	Post     ItemKind = "post"
)

// Text is what an item says in one language.
type Text struct {
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
}

// Item is one entry of a shop's catalogue. Maps and slices are shared and
// read-only once the item is in a Catalog.
type Item struct {
	ID          string            // the shop's id, unique in the shop
	Kind        ItemKind          //
	Title       string            // in the shop's own language
	Description string            //
	Language    string            // BCP 47 of Title and Description; "" is unknown
	Variants    map[string]Text   // by BCP 47
	Category    []string          // path from the root: {"Home", "Kitchen", "Mugs"}
	Brand       string            //
	Seller      string            //
	Group       string            // items that are variants of one another share it
	Markets     []string          // where it is sold; empty means everywhere
	Prices      map[string]Money  // by market; "" is the price elsewhere
	ListPrices  map[string]Money  // before discount, by market; "" elsewhere
	Costs       map[string]Money  // goods cost by market, for margins; "" elsewhere
	Stock       map[string]int32  // pieces by market; "" elsewhere; no entry means unlimited
	Tags        []string          //
	Attributes  map[string]string //
	Images      []string          // URLs
	Links       []string          // ids of items this content shows, or a bundle holds
	SaleStart   time.Time         // zero: always
	SaleEnd     time.Time         // zero: never; exclusive
	MinAge      int32             // years; 0: everyone
	Days        int32             // days until delivery; 0: not given
	Rating      float32           // 1 to 5; 0: not given
	ReturnRate  float32           // share of sold pieces that came back, 0 to 1
	Sales       int64             // pieces sold as the shop counts them, in all its channels; 0: not given
	Hidden      bool              // known, but never to be recommended
	Sponsor     string            // who pays for its place; "" for none
	Created     time.Time         //
	Updated     time.Time         //
}

// PriceIn is the item's price in market, or elsewhere when the market has none
// of its own; zero when it has no price.
func (it *Item) PriceIn(market string) Money {
	if p, ok := it.Prices[market]; ok {
		return p
	}
	return it.Prices[""]
}

// CostIn is what the item's goods cost the shop in market, or elsewhere when the
// market has no cost of its own; zero when it is not known.
func (it *Item) CostIn(market string) Money {
	if c, ok := it.Costs[market]; ok {
		return c
	}
	return it.Costs[""]
}

// InStock reports whether at least one piece can be had in market.
func (it *Item) InStock(market string) bool {
	n, ok := it.Stock[market]
	if !ok {
		n, ok = it.Stock[""]
	}
	return !ok || n > 0
}

// SoldIn reports whether the item is offered in market at all. An unknown
// market ("") takes every item.
func (it *Item) SoldIn(market string) bool {
	if market == "" || len(it.Markets) == 0 {
		return true
	}
	for _, m := range it.Markets {
		if m == market {
			return true
		}
	}
	return false
}

// OnSale reports whether now lies in the item's sale window.
func (it *Item) OnSale(now time.Time) bool {
	return (it.SaleStart.IsZero() || !now.Before(it.SaleStart)) && (it.SaleEnd.IsZero() || now.Before(it.SaleEnd))
}

// TitleIn is the title in the language of locale, or the shop's own.
func (it *Item) TitleIn(locale string) string {
	if t, ok := it.Variants[locale]; ok && t.Title != "" {
		return t.Title
	}
	if len(locale) > 2 {
		if t, ok := it.Variants[locale[:2]]; ok && t.Title != "" {
			return t.Title
		}
	}
	return it.Title
}

// The attributes a Catalog has bitmaps for.
const (
	AttrMarket   = "market"   // value: a market the item is sold in
	AttrStock    = "stock"    // value: a market the item is in stock in; "" elsewhere
	AttrCategory = "category" // value: a prefix of the category path, joined by '/'
	AttrBrand    = "brand"    //
	AttrSeller   = "seller"   //
	AttrLanguage = "language" // value: a BCP 47 tag it has text in
	AttrKind     = "kind"     // value: an ItemKind
	AttrTag      = "tag"      //
	AttrVisible  = "visible"  // value "": neither hidden nor deleted
)

// Catalog is a consistent, read-only view of a shop's items by row: those of
// the release and the live tail. It is safe for concurrent use.
type Catalog interface {
	Len() int                         // rows, tail included
	Row(id string) (Row, bool)        // of a known, possibly deleted item
	Item(row Row) *Item               // nil when deleted or out of range
	ID(row Row) string                // "" when out of range
	Where(attr, value string) *Bitmap // rows with that value; nil when there are none; shared, read-only
}
