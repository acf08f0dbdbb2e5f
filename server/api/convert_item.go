package api

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
)

func itemFromProto(it *attunev1.Item) features.Item {
	kind := features.ItemKind(it.GetKind())
	if kind == "" {
		kind = features.Product
	}
	out := features.Item{
		ID: it.GetId(), Kind: kind, Title: it.GetTitle(), Description: it.GetDescription(), Language: it.GetLanguage(),
		Category: it.GetCategory(), Brand: it.GetBrand(), Seller: it.GetSeller(), Group: it.GetGroup(), Markets: it.GetMarkets(),
		Prices: pricesFromProto(it.GetPrices()), ListPrices: pricesFromProto(it.GetListPrices()), Costs: pricesFromProto(it.GetCosts()),
		Stock: it.GetStock(), Tags: it.GetTags(), Attributes: it.GetAttributes(), Images: it.GetImages(), Links: it.GetLinks(),
		SaleStart: TimeOf(it.GetSaleStart()), SaleEnd: TimeOf(it.GetSaleEnd()),
		MinAge: it.GetMinAge(), Days: it.GetDeliveryDays(), Rating: float32(it.GetRating()), ReturnRate: float32(it.GetReturnRate()), Sales: it.GetSales(),
		Hidden: it.GetHidden(), Sponsor: it.GetSponsor(),
	}
	if v := it.GetVariants(); len(v) > 0 {
		out.Variants = make(map[string]features.Text, len(v))
		for lang, text := range v {
			out.Variants[lang] = features.Text{Title: text.GetTitle(), Description: text.GetDescription()}
		}
	}
	return out
}

func itemToProto(it *features.Item) *attunev1.Item {
	out := &attunev1.Item{
		Id: it.ID, Kind: string(it.Kind), Title: it.Title, Description: it.Description, Language: it.Language,
		Category: it.Category, Brand: it.Brand, Seller: it.Seller, Group: it.Group, Markets: it.Markets,
		Prices: pricesToProto(it.Prices), ListPrices: pricesToProto(it.ListPrices), Costs: pricesToProto(it.Costs),
		Stock: it.Stock, Tags: it.Tags, Attributes: it.Attributes, Images: it.Images, Links: it.Links,
		SaleStart: timeToProto(it.SaleStart), SaleEnd: timeToProto(it.SaleEnd),
		MinAge: it.MinAge, DeliveryDays: it.Days, Rating: float64(it.Rating), ReturnRate: float64(it.ReturnRate), Sales: it.Sales,
		Hidden: it.Hidden, Sponsor: it.Sponsor, CreateTime: timeToProto(it.Created), UpdateTime: timeToProto(it.Updated),
	}
	if len(it.Variants) > 0 {
		out.Variants = make(map[string]*attunev1.ItemText, len(it.Variants))
		for lang, text := range it.Variants {
			out.Variants[lang] = &attunev1.ItemText{Title: text.Title, Description: text.Description}
		}
	}
	return out
}

// checkItem reports what is wrong with an item beyond its annotations.
func checkItem(it *attunev1.Item) error {
	if s, e := it.GetSaleStart(), it.GetSaleEnd(); s != nil && e != nil && !e.AsTime().After(s.AsTime()) {
		return fieldErrorf("item.sale_end", "expected a time after sale_start")
	}
	for _, prices := range []struct {
		field string
		by    map[string]*attunev1.Money
	}{{"item.prices", it.GetPrices()}, {"item.list_prices", it.GetListPrices()}, {"item.costs", it.GetCosts()}} {
		for market, m := range prices.by {
			if m.GetMicros() < 0 {
				return fieldErrorf(prices.field, "expected an amount of at least 0 in market %q: got %d micros", market, m.GetMicros())
			}
		}
	}
	for market, n := range it.GetStock() {
		if n < 0 {
			return fieldErrorf("item.stock", "expected at least 0 pieces in market %q: got %d", market, n)
		}
	}
	return nil
}

func pricesFromProto(p map[string]*attunev1.Money) map[string]features.Money {
	if len(p) == 0 {
		return nil
	}
	out := make(map[string]features.Money, len(p))
	for market, m := range p {
		out[market] = moneyFromProto(m)
	}
	return out
}

func pricesToProto(p map[string]features.Money) map[string]*attunev1.Money {
	if len(p) == 0 {
		return nil
	}
	out := make(map[string]*attunev1.Money, len(p))
	for market, m := range p {
		out[market] = moneyToProto(m)
	}
	return out
}

// TimeOf is what a message says, the zero time where it says none.
func TimeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
