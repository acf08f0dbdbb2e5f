package expr

import (
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/attune-rec/attune/features"
)

// scope is a set of what a value depends on.
type scope uint8

const (
	onRequest scope = 1 << iota // the request or the shopper
	onItem                      // the item
	onMarket                    // the item as it is in the request's market
)

// Sizes beyond these are cut off before an expression sees them, so that the
// bound on its cost holds.
const (
	maxText = 512 // bytes of a text
	maxList = 64  // elements of a list
)

// Field is a variable that expressions may use.
type Field struct {
	Name string // "item.price"
	Type string // "number", "text", "yes or no", "time", "list of texts", "texts by name", "numbers by name"
	Doc  string
}

// field is a Field and where its value comes from; a nil value is unknown.
type field struct {
	Field
	typ   *cel.Type
	scope scope
	item  func(it *features.Item, market string) ref.Val
	ask   func(r *features.Request) ref.Val
}

var kinds = map[string]*cel.Type{
	"number": cel.DoubleType, "text": cel.StringType, "yes or no": cel.BoolType, "time": cel.TimestampType,
	"list of texts":   cel.ListType(cel.StringType),
	"texts by name":   cel.MapType(cel.StringType, cel.StringType),
	"numbers by name": cel.MapType(cel.StringType, cel.DoubleType),
}

func vocabulary() []field {
	fields := append(itemFields(), requestFields()...)
	fields = append(fields, profileFields()...)
	for i := range fields {
		fields[i].typ = kinds[fields[i].Type]
	}
	return fields
}

func itemFields() []field {
	var fs []field
	add := func(name, typ, doc string, s scope, get func(it *features.Item, market string) ref.Val) {
		fs = append(fs, field{Field: Field{"item." + name, typ, doc}, scope: s, item: get})
	}
	text := func(name, doc string, get func(it *features.Item) string) {
		add(name, "text", doc, onItem, func(it *features.Item, _ string) ref.Val { return textOf(get(it)) })
	}
	number := func(name, doc string, get func(it *features.Item) (float64, bool)) {
		add(name, "number", doc, onItem, func(it *features.Item, _ string) ref.Val { return numberOf(get(it)) })
	}
	texts := func(name, doc string, get func(it *features.Item) []string) {
		add(name, "list of texts", doc, onItem, func(it *features.Item, _ string) ref.Val { return textsOf(get(it)) })
	}
	when := func(name, doc string, get func(it *features.Item) time.Time) {
		add(name, "time", doc, onItem, func(it *features.Item, _ string) ref.Val { return timeOf(get(it)) })
	}
	local := func(name, doc string, get func(it *features.Item, market string) (float64, bool)) {
		add(name, "number", doc, onItem|onMarket, func(it *features.Item, market string) ref.Val { return numberOf(get(it, market)) })
	}
	text("id", "the shop's id", func(it *features.Item) string { return it.ID })
	text("kind", "product, bundle, article, video, live_show or post", func(it *features.Item) string { return string(it.Kind) })
	text("title", "in the shop's own language", func(it *features.Item) string { return it.Title })
	text("brand", "", func(it *features.Item) string { return it.Brand })
	text("seller", "", func(it *features.Item) string { return it.Seller })
	text("group", "shared by variants of one another", func(it *features.Item) string { return it.Group })
	text("language", "of its title, BCP 47", func(it *features.Item) string { return it.Language })
	text("category_path", "the categories from the root, joined by '/'", func(it *features.Item) string { return strings.Join(it.Category, "/") })
	texts("category", "the categories from the root", func(it *features.Item) []string { return it.Category })
	texts("tags", "", func(it *features.Item) []string { return it.Tags })
	add("attributes", "texts by name", "the shop's own attributes", onItem, func(it *features.Item, _ string) ref.Val {
		return types.NewStringStringMap(types.DefaultTypeAdapter, shortTexts(it.Attributes))
	})
	local("price", "in the request's market", func(it *features.Item, market string) (float64, bool) {
		p := it.PriceIn(market)
		return p.Units(), !p.IsZero()
	})
	local("list_price", "before discount, in the request's market", listPrice)
	local("discount", "share of the list price taken off, 0 to 1; 0 without a list price", func(it *features.Item, market string) (float64, bool) {
		p := it.PriceIn(market)
		list, ok := listPrice(it, market)
		if p.IsZero() || !ok || list <= 0 {
			return 0, !p.IsZero()
		}
		return max(0, 1-p.Units()/list), true
	})
	local("margin", "share of the price kept after goods cost", func(it *features.Item, market string) (float64, bool) {
		c, p := it.CostIn(market), it.PriceIn(market)
		if c.IsZero() || c.Currency != p.Currency || p.Units() <= 0 {
			return 0, false
		}
		return 1 - c.Units()/p.Units(), true
	})
	local("stock", "pieces in the request's market; unknown when unlimited", func(it *features.Item, market string) (float64, bool) {
		n, ok := it.Stock[market]
		if !ok {
			n, ok = it.Stock[""]
		}
		return float64(n), ok
	})
	add("in_stock", "yes or no", "at least one piece in the request's market", onItem|onMarket, func(it *features.Item, market string) ref.Val {
		return types.Bool(it.InStock(market))
	})
	number("rating", "1 to 5", func(it *features.Item) (float64, bool) { return float64(it.Rating), it.Rating > 0 })
	number("return_rate", "share of sold pieces that came back", func(it *features.Item) (float64, bool) { return float64(it.ReturnRate), true })
	number("sales", "pieces sold as the shop counts them", func(it *features.Item) (float64, bool) { return float64(it.Sales), it.Sales > 0 })
	number("min_age", "years", func(it *features.Item) (float64, bool) { return float64(it.MinAge), true })
	number("delivery_days", "days until delivery", func(it *features.Item) (float64, bool) { return float64(it.Days), it.Days > 0 })
	add("sponsored", "yes or no", "somebody pays for its place", onItem, func(it *features.Item, _ string) ref.Val { return types.Bool(it.Sponsor != "") })
	when("created", "", func(it *features.Item) time.Time { return it.Created })
	when("sale_end", "", func(it *features.Item) time.Time { return it.SaleEnd })
	return fs
}

func listPrice(it *features.Item, market string) (float64, bool) {
	p, ok := it.ListPrices[market]
	if !ok {
		p, ok = it.ListPrices[""]
	}
	if !ok || p.Currency != it.PriceIn(market).Currency {
		return 0, false
	}
	return p.Units(), true
}

func requestFields() []field {
	var fs []field
	add := func(name, typ, doc string, get func(r *features.Request) ref.Val) {
		fs = append(fs, field{Field: Field{name, typ, doc}, scope: onRequest, ask: get})
	}
	text := func(name, doc string, get func(q *features.Query) string) {
		add("request."+name, "text", doc, func(r *features.Request) ref.Val { return textOf(get(&r.Query)) })
	}
	text("market", "country or the shop's own market", func(q *features.Query) string { return q.Market })
	text("channel", "web, app, mail, store …", func(q *features.Query) string { return q.Channel })
	text("surface", "home, item, cart …", func(q *features.Query) string { return q.Surface })
	text("locale", "BCP 47", func(q *features.Query) string { return q.Locale })
	text("currency", "ISO 4217", func(q *features.Query) string { return q.Currency })
	text("search", "what was searched", func(q *features.Query) string { return q.Text })
	add("request.now", "time", "", func(r *features.Request) ref.Val { return timeOf(r.Now) })
	add("request.hour", "number", "of the day, 0 to 23, UTC", func(r *features.Request) ref.Val { return numberOf(float64(r.Now.UTC().Hour()), !r.Now.IsZero()) })
	add("request.weekday", "number", "1 Monday to 7 Sunday, UTC", func(r *features.Request) ref.Val {
		return numberOf(float64((int(r.Now.UTC().Weekday())+6)%7+1), !r.Now.IsZero())
	})
	add("request.item", "text", "id of the page's item; unknown elsewhere", func(r *features.Request) ref.Val {
		if r.Catalog == nil || r.Item == features.NoRow || r.Catalog.ID(r.Item) == "" {
			return nil
		}
		return textOf(r.Catalog.ID(r.Item))
	})
	add("request.cart", "list of texts", "ids of the items in the cart", func(r *features.Request) ref.Val {
		var ids []string
		for _, row := range r.Cart {
			if r.Catalog != nil {
				ids = append(ids, r.Catalog.ID(row))
			}
		}
		return textsOf(ids)
	})
	add("user.known", "yes or no", "has a history that may be used", func(r *features.Request) ref.Val { return types.Bool(r.Shopper.Known()) })
	add("user.events", "number", "recent events that may be used", func(r *features.Request) ref.Val { return types.Double(len(r.History())) })
	return fs
}

func profileFields() []field {
	var fs []field
	add := func(name, typ, doc string, get func(p *features.Profile, now time.Time) ref.Val) {
		fs = append(fs, field{Field: Field{"profile." + name, typ, doc}, scope: onRequest, ask: func(r *features.Request) ref.Val {
			if r.Shopper == nil || r.Shopper.Profile == nil || !r.Shopper.Consent.Has(features.Personalisation) {
				return nil
			}
			return get(r.Shopper.Profile, r.Now)
		}})
	}
	number := func(name, doc string, get func(p *features.Profile) float64) {
		add(name, "number", doc, func(p *features.Profile, _ time.Time) ref.Val { return types.Double(get(p)) })
	}
	weights := func(name, doc string, get func(p *features.Profile) []features.Weighted) {
		add(name, "numbers by name", doc, func(p *features.Profile, _ time.Time) ref.Val {
			list := get(p)
			m := make(map[string]float64, min(len(list), maxList))
			for _, w := range list[:min(len(list), maxList)] {
				m[clip(w.Name)] = w.Weight
			}
			return types.NewDynamicMap(types.DefaultTypeAdapter, m)
		})
	}
	days := func(name, doc string, get func(p *features.Profile) time.Time) {
		add(name, "number", doc, func(p *features.Profile, now time.Time) ref.Val {
			t := get(p)
			return numberOf(now.Sub(t).Hours()/24, !t.IsZero() && !now.IsZero())
		})
	}
	add("market", "text", "where the shopper buys", func(p *features.Profile, _ time.Time) ref.Val { return textOf(p.Market) })
	add("lifecycle", "text", "new, active, loyal, at_risk or lost", func(p *features.Profile, _ time.Time) ref.Val { return textOf(p.Lifecycle) })
	days("age_days", "days since the first event", func(p *features.Profile) time.Time { return p.First })
	days("silent_days", "days since the last event", func(p *features.Profile) time.Time { return p.Last })
	number("recency_days", "days from the last order to when the profile was made", func(p *features.Profile) float64 { return p.RecencyDays })
	number("orders", "", func(p *features.Profile) float64 { return float64(p.Orders) })
	number("spent", "in the shop's currency, returns taken off", func(p *features.Profile) float64 { return p.Spent })
	number("pieces", "bought, returned ones taken off", func(p *features.Profile) float64 { return float64(p.Pieces) })
	number("return_share", "of the pieces bought, 0 to 1", func(p *features.Profile) float64 { return p.ReturnShare })
	number("gap_days", "mean days from order to order", func(p *features.Profile) float64 { return p.GapDays })
	number("price_level", "mean percentile of prices paid, 0 to 1", func(p *features.Profile) float64 { return p.PriceLevel })
	number("price_sensitivity", "how many times as often as everybody's purchases theirs are at a discount; 1 when unknown", func(p *features.Profile) float64 { return p.Sensitivity })
	number("shares", "times something was shared", func(p *features.Profile) float64 { return float64(p.Social.Shares) })
	number("voices", "reviews, ratings and comments", func(p *features.Profile) float64 { return float64(p.Social.Voices) })
	number("follows", "accounts followed", func(p *features.Profile) float64 { return float64(p.Social.Follows) })
	add("channel", "text", "by which most visits came", func(p *features.Profile, _ time.Time) ref.Val { return textOf(p.Channel) })
	number("order_value", "spent by order; 0 without one", func(p *features.Profile) float64 {
		if p.Orders == 0 {
			return 0
		}
		return p.Spent / float64(p.Orders)
	})
	weights("categories", "interest by category", func(p *features.Profile) []features.Weighted { return p.Categories })
	weights("brands", "interest by brand", func(p *features.Profile) []features.Weighted { return p.Brands })
	weights("words", "interest by word of titles", func(p *features.Profile) []features.Weighted { return p.Words })
	add("tags", "numbers by name", "confidence by tag", func(p *features.Profile, _ time.Time) ref.Val {
		m := make(map[string]float64, min(len(p.Tags), maxList))
		for _, t := range p.Tags[:min(len(p.Tags), maxList)] {
			m[clip(t.Name)] = t.Confidence
		}
		return types.NewDynamicMap(types.DefaultTypeAdapter, m)
	})
	fs = append(fs, field{Field: Field{"profile.audiences", "list of texts", "partners' lists the shopper is on; unknown without consent to marketing"}, scope: onRequest, ask: func(r *features.Request) ref.Val {
		const need = features.Personalisation | features.Marketing
		if r.Shopper == nil || r.Shopper.Profile == nil || !r.Shopper.Consent.Has(need) {
			return nil
		}
		list := r.Shopper.Profile.Audiences
		names := make([]string, len(list))
		for i := range list {
			names[i] = list[i].Audience
		}
		return textsOf(names)
	}})
	add("segments", "list of texts", "", func(p *features.Profile, _ time.Time) ref.Val { return textsOf(p.Segments) })
	return fs
}

func numberOf(v float64, known bool) ref.Val {
	if !known {
		return nil
	}
	return types.Double(v)
}

func textOf(s string) ref.Val { return types.String(clip(s)) }

func timeOf(t time.Time) ref.Val {
	if t.IsZero() {
		return nil
	}
	return types.Timestamp{Time: t.UTC()}
}

func textsOf(list []string) ref.Val {
	short := make([]string, min(len(list), maxList))
	for i := range short {
		short[i] = clip(list[i])
	}
	return types.NewStringList(types.DefaultTypeAdapter, short)
}

func shortTexts(m map[string]string) map[string]string {
	long := len(m) > maxList
	for k, v := range m {
		long = long || len(k) > maxText || len(v) > maxText
	}
	if !long {
		return m
	}
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	names = smallest(names, maxList)
	short := make(map[string]string, len(names))
	for _, k := range names {
		short[clip(k)] = clip(m[k])
	}
	return short
}

// clip is the first maxText bytes of s, ending with a whole character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "")
}
