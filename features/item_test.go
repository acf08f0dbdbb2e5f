package features_test

import (
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
)

func TestItemByMarketAndTime(t *testing.T) {
	day := time.Date(2011, 11, 9, 0, 0, 0, 0, time.UTC)
	it := features.Item{
		Title: "Mug", Variants: map[string]features.Text{"de": {Title: "Becher"}},
		Markets:   []string{"DE", "FR"},
		Prices:    map[string]features.Money{"": features.MoneyOf(5, "GBP"), "DE": features.MoneyOf(6, "EUR")},
		Stock:     map[string]int32{"DE": 0},
		SaleStart: day, SaleEnd: day.Add(24 * time.Hour),
	}
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("price in DE", it.PriceIn("DE").String(), "6.00 EUR")
	check("price elsewhere", it.PriceIn("FR").String(), "5.00 GBP")
	check("sold in DE", it.SoldIn("DE"), true)
	check("sold in US", it.SoldIn("US"), false)
	check("sold somewhere", it.SoldIn(""), true)
	check("in stock in DE", it.InStock("DE"), false)
	check("in stock in FR", it.InStock("FR"), true)
	check("title in Austria", it.TitleIn("de-AT"), "Becher")
	check("title in English", it.TitleIn("en"), "Mug")
	check("before the sale", it.OnSale(day.Add(-time.Millisecond)), false)
	check("at its start", it.OnSale(day), true)
	check("at its end", it.OnSale(day.Add(24*time.Hour)), false)
}
