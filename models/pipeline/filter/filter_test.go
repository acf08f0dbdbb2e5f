package filter_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline/filter"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func money(units float64) map[string]features.Money {
	return map[string]features.Money{"": features.MoneyOf(units, "EUR")}
}

// left is the rows that a filter leaves.
func left(t *testing.T, name string, params map[string]any, r *features.Request, items ...features.Item) (rows []features.Row) {
	t.Helper()
	f, err := filter.Build(models.ComponentSpec{Name: name, Params: params})
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	for i := range items {
		items[i].ID = string(rune('a' + i))
	}
	n := 6
	if len(items) > 0 {
		c, err := catalog.Of(items)
		if err != nil {
			t.Fatal(err)
		}
		r.Catalog, n = c, len(items)
	}
	r.Now = noon
	eligible := features.FullBitmap(n)
	f.Mask(r, eligible)
	eligible.Each(func(row features.Row) bool {
		if f.Keep(r, row) {
			rows = append(rows, row)
		}
		return true
	})
	return rows
}

func did(kind features.EventType, row features.Row, ago time.Duration) features.Interaction {
	return features.Interaction{Row: row, Type: kind, TimeMS: noon.Add(-ago).UnixMilli()}
}

func TestFilters(t *testing.T) {
	day := 24 * time.Hour
	history := []features.Interaction{
		did(features.Purchase, 0, 9*day), did(features.View, 1, day), did(features.Dislike, 2, day), did(features.Dislike, 3, day), did(features.Like, 3, 0), did(features.Hide, 4, day), did(features.Like, 4, 0),
	}
	who := func(consent features.Purposes) *features.Request {
		return &features.Request{Item: features.NoRow, Shopper: &features.Shopper{Recent: history, Consent: consent, Hidden: features.BitmapOf(6, 5)}}
	}
	nobody := func() *features.Request { return &features.Request{Item: features.NoRow} }
	in := func(locale, market string) *features.Request {
		return &features.Request{Query: features.Query{Locale: locale, Market: market}, Item: features.NoRow}
	}
	said := []features.Item{{Language: "en"}, {Language: "de", Variants: map[string]features.Text{"en": {Title: "x"}}}, {Language: "fr"}, {Language: "de-AT"}, {}}
	sorted := []features.Item{{Category: []string{"Home", "Mugs"}}, {Category: []string{"Home"}}, {Category: []string{"Homeware"}}, {Category: []string{"Fashion", "Mugs"}}, {}}
	priced := []features.Item{{Prices: money(2)}, {Prices: money(5)}, {Prices: map[string]features.Money{"": features.MoneyOf(9, "EUR"), "FR": features.MoneyOf(3, "EUR")}}, {}, {Prices: money(9.01)}}
	for name, c := range map[string]struct {
		filter string
		params map[string]any
		r      *features.Request
		items  []features.Item
		want   []features.Row
	}{
		"hidden, and disliked until liked":  {"hidden", nil, who(features.AllPurposes), nil, []features.Row{0, 1, 3}},
		"hidden without consent":            {"hidden", nil, who(0), nil, []features.Row{0, 1, 3}},
		"hidden by nobody":                  {"hidden", nil, nobody(), nil, []features.Row{0, 1, 2, 3, 4, 5}},
		"bought":                            {"seen", nil, who(features.AllPurposes), nil, []features.Row{1, 2, 3, 4, 5}},
		"bought or seen":                    {"seen", map[string]any{"types": []string{"purchase", "view"}}, who(features.AllPurposes), nil, []features.Row{2, 3, 4, 5}},
		"bought or seen within a week":      {"seen", map[string]any{"types": []string{"purchase", "view"}, "within": "168h"}, who(features.AllPurposes), nil, []features.Row{0, 2, 3, 4, 5}},
		"bought, which may not be known":    {"seen", nil, who(features.Marketing), nil, []features.Row{0, 1, 2, 3, 4, 5}},
		"language":                          {"language", nil, in("en", ""), said, []features.Row{0, 1}},
		"language of a region":              {"language", nil, in("de-AT", ""), said, []features.Row{1, 3}},
		"no language asked for":             {"language", nil, in("", ""), said, []features.Row{0, 1, 2, 3, 4}},
		"only a category":                   {"category", map[string]any{"only": []string{"Home"}}, nobody(), sorted, []features.Row{0, 1}},
		"several categories":                {"category", map[string]any{"only": []string{"Home/Mugs", "Fashion"}}, nobody(), sorted, []features.Row{0, 3}},
		"without a category":                {"category", map[string]any{"without": []string{"Home"}}, nobody(), sorted, []features.Row{2, 3, 4}},
		"a range":                           {"price", map[string]any{"low": 3, "high": 9}, nobody(), priced, []features.Row{1, 2}},
		"a range in a market":               {"price", map[string]any{"low": 3, "high": 4}, in("", "FR"), priced, []features.Row{2}},
		"a lower end":                       {"price", map[string]any{"low": 5}, nobody(), priced, []features.Row{1, 2, 4}},
		"any price, but one":                {"price", nil, nobody(), priced, []features.Row{0, 1, 2, 4}},
		"a range of what nobody knows":      {"price", map[string]any{"low": 1}, nobody(), nil, nil},
		"a category of what nobody knows":   {"category", map[string]any{"only": []string{"Home"}}, nobody(), nil, nil},
		"age":                               {"age", map[string]any{"years": 16}, nobody(), []features.Item{{MinAge: 16}, {MinAge: 17}, {}}, []features.Row{0, 2}},
		"the page, the cart and variants":   {"page", nil, &features.Request{Item: 0, Cart: []features.Row{3}}, []features.Item{{Group: "g"}, {Group: "g"}, {}, {Group: "h"}, {Group: "h"}, {Group: "i"}}, []features.Row{2, 5}},
		"no page":                           {"page", nil, nobody(), []features.Item{{Group: "g"}, {Group: "g"}}, []features.Row{0, 1}},
		"the page where nothing is known":   {"page", nil, &features.Request{Item: 1}, nil, []features.Row{0, 2, 3, 4, 5}},
		"the age of what nobody knows":      {"age", nil, nobody(), nil, []features.Row{0, 1, 2, 3, 4, 5}},
		"a language of what nobody knows":   {"language", nil, in("en", ""), nil, []features.Row{0, 1, 2, 3, 4, 5}},
		"not a category, of nobody's items": {"category", map[string]any{"without": []string{"Home"}}, nobody(), nil, []features.Row{0, 1, 2, 3, 4, 5}},
	} {
		if got := left(t, c.filter, c.params, c.r, slices.Clone(c.items)...); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, spec := range map[string]models.ComponentSpec{
		"unknown": {Name: "taste"}, "no category": {Name: "category"}, "years": {Name: "age", Params: map[string]any{"years": -1}},
		"range": {Name: "price", Params: map[string]any{"low": 3, "high": 2}}, "type": {Name: "seen", Params: map[string]any{"types": []string{"stare"}}},
		"parameter": {Name: "hidden", Params: map[string]any{"days": 3}},
	} {
		if _, err := filter.Build(spec); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
