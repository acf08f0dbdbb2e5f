package ingest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// ItemFields lists what a column can fill of an item. A field that ends in a
// point is followed by a market, a language or a name.
func ItemFields() []string {
	return []string{"id", "kind", "title", "description", "language", "title.", "description.", "category", "brand", "seller", "group",
		"markets", "price", "price.", "list_price", "list_price.", "cost", "cost.", "stock", "stock.", "tags", "attr.", "images", "links",
		"sale_start", "sale_end", "created", "min_age", "delivery_days", "rating", "return_rate", "sales", "hidden", "sponsor"}
}

// ItemSink takes items; a *store.Store is one.
type ItemSink interface {
	PutItems(ctx context.Context, shop features.ShopID, items []features.Item) error
	GetItem(ctx context.Context, shop features.ShopID, id string) (features.Item, error)
	PutDead(ctx context.Context, shop features.ShopID, letters []store.DeadLetter) error
}

// Items imports a table of items. A row changes the fields it fills and leaves
// the others of a stored item as they are; prices and stock that differ go to
// the history. An item that is as stored is not written again, so that a second
// import, or the next try of one that was interrupted, writes only what is
// missing.
func Items(ctx context.Context, src Source, sink ItemSink, o RecordOptions) (RecordReport, error) {
	if o.Shop == "" {
		o.Shop = features.DefaultShop
	}
	clock := times{}
	u := upsert[string, features.Item]{
		records: records{ctx: ctx, src: src, sink: sink, o: &o, kind: "item"},
		keyOf:   func(id string) string { return id },
		get:     func(id string) (features.Item, error) { return sink.GetItem(ctx, o.Shop, id) },
		put:     func(items []features.Item) error { return sink.PutItems(ctx, o.Shop, items) },
		over: func(old features.Item, _, id string, cells []cell) (features.Item, error) {
			it := old
			it.ID = id
			if it.Kind == "" {
				it.Kind = features.Product
			}
			it.Prices, it.ListPrices, it.Costs = maps.Clone(old.Prices), maps.Clone(old.ListPrices), maps.Clone(old.Costs)
			it.Stock, it.Attributes, it.Variants = maps.Clone(old.Stock), maps.Clone(old.Attributes), maps.Clone(old.Variants)
			for _, c := range cells {
				if err := itemField(&it, &c, &o, &clock); err != nil {
					return it, err
				}
			}
			return it, nil
		},
		touch: func(it *features.Item) { it.Updated = time.Time{} },
	}
	return u.run()
}

func itemField(it *features.Item, c *cell, o *RecordOptions, clock *times) error {
	name, of, _ := strings.Cut(c.field, ".")
	var err error
	switch name {
	case "id":
	case "kind":
		kinds := []features.ItemKind{features.Product, features.Bundle, features.Article, features.Video, features.LiveShow, features.Post}
		if it.Kind = features.ItemKind(strings.ToLower(c.value)); !slices.Contains(kinds, it.Kind) {
			err = fmt.Errorf("%q is no kind of item: expected one of %v", short(c.value), kinds)
		}
	case "title", "description":
		itemText(it, name, of, c.value)
	case "language":
		it.Language = c.value
	case "category":
		it.Category = pathOf(c.value)
	case "brand":
		it.Brand = c.value
	case "seller":
		it.Seller = c.value
	case "group":
		it.Group = c.value
	case "sponsor":
		it.Sponsor = c.value
	case "markets":
		it.Markets = listOf(c.value)
	case "tags":
		it.Tags = listOf(c.value)
	case "images":
		it.Images = listOf(c.value)
	case "links":
		it.Links = listOf(c.value)
	case "price":
		err = amount(&it.Prices, of, c.value, o)
	case "list_price":
		err = amount(&it.ListPrices, of, c.value, o)
	case "cost":
		err = amount(&it.Costs, of, c.value, o)
	case "stock":
		var n int32
		if n, err = pieces(c.value, o.DecimalComma); err == nil {
			if it.Stock == nil {
				it.Stock = map[string]int32{}
			}
			it.Stock[of] = max(0, n)
		}
	case "hidden":
		it.Hidden, err = yesNo(c.value)
	case "sale_start":
		it.SaleStart, err = clock.parse(c.value)
	case "sale_end":
		it.SaleEnd, err = clock.parse(c.value)
	case "created":
		it.Created, err = clock.parse(c.value)
	case "min_age":
		it.MinAge, err = pieces(c.value, o.DecimalComma)
	case "delivery_days":
		it.Days, err = pieces(c.value, o.DecimalComma)
	case "rating":
		it.Rating, err = within(c.value, 1, 5, o)
	case "return_rate":
		it.ReturnRate, err = within(c.value, 0, 1, o)
	case "sales":
		var n int32
		if n, err = pieces(c.value, o.DecimalComma); err == nil && n < 0 {
			err = fmt.Errorf("%q is below 0", short(c.value))
		}
		it.Sales = int64(n)
	default:
		set(&it.Attributes, of, c.value)
	}
	if err != nil {
		return c.wrong(err)
	}
	return nil
}

func itemText(it *features.Item, name, language, v string) {
	if language == "" {
		if name == "title" {
			it.Title = v
		} else {
			it.Description = v
		}
		return
	}
	t := it.Variants[language]
	if name == "title" {
		t.Title = v
	} else {
		t.Description = v
	}
	if it.Variants == nil {
		it.Variants = map[string]features.Text{}
	}
	it.Variants[language] = t
}

// pathOf is categories from the root: JSON, or parts between > or /.
func pathOf(v string) []string {
	if strings.HasPrefix(v, "[") {
		return listOf(v)
	}
	by := "/"
	if strings.Contains(v, ">") {
		by = ">"
	}
	return trimmed(strings.Split(v, by))
}

func amount(m *map[string]features.Money, market, v string, o *RecordOptions) error {
	units, err := number(v, o.DecimalComma)
	if err != nil {
		return err
	}
	n, err := micros(units)
	if err != nil {
		return err
	}
	if n < 0 {
		return fmt.Errorf("%q is below 0", short(v))
	}
	if *m == nil {
		*m = map[string]features.Money{}
	}
	(*m)[market] = features.Money{Micros: n, Currency: o.Currency}
	return nil
}

func within(v string, least, most float64, o *RecordOptions) (float32, error) {
	n, err := number(v, o.DecimalComma)
	if err == nil && (n < least || n > most || math.IsNaN(n)) {
		err = fmt.Errorf("%q is not from %g to %g", short(v), least, most)
	}
	return float32(n), err
}
