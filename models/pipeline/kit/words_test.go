package kit_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
)

// What a request says in words holds for every item that is eligible: an index
// elsewhere that finds only such items misses none. Without words, all would hold.
func TestWordsHoldForWhatIsEligible(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	items := make([]features.Item, 400)
	for i := range items {
		it := features.Item{ID: fmt.Sprint(i), Language: pick("", "en", "de", "de-AT"), Category: []string{pick("x", "y", "z")}}
		for range rng.IntN(3) {
			it.Markets = append(it.Markets, pick("DE", "FR", "IT"))
			it.Category = append(it.Category, pick("x", "y"))
		}
		if rng.IntN(3) == 0 {
			it.Variants = map[string]features.Text{pick("en", "de", "zh"): {Title: "x"}}
		}
		items[i] = it
	}
	shop, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]int{}
	only := []string{"x", "y/x"}
	rec := models.Recipe{Sources: sourcesOf("far"), Filters: []models.ComponentSpec{{Name: "category", Params: map[string]any{"only": only}}, {Name: "language"}}}
	for _, market := range []string{"", "DE", "nowhere"} {
		for _, locale := range []string{"", "de", "de-AT", "fr"} {
			for _, categories := range [][]string{nil, {"x/y"}, {"y", "z", "none"}} {
				r := request(shop, nil)
				r.Market, r.Locale, r.Categories = market, locale, categories
				far := &stub{name: "far", remote: true, ask: func(_ context.Context, r *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
					want := map[string][]string{features.AttrCategory: only}
					if market != "" {
						want[features.AttrMarket] = catalog.SoldIn(market)
					}
					if locale != "" {
						want[features.AttrLanguage] = []string{locale, locale[:2]}[:1+len(locale)/3]
					}
					if categories != nil { // the request's own before the recipe's
						want[features.AttrCategory] = categories
					}
					if fmt.Sprint(r.Words) != fmt.Sprint(want) {
						t.Errorf("got words %v, want %v", r.Words, want)
					}
					for attr, values := range r.Words {
						r.Eligible.Each(func(row features.Row) bool {
							said[attr]++
							if has := catalog.Words(&items[row], attr); !slices.ContainsFunc(has, func(v string) bool { return slices.Contains(values, v) }) {
								t.Errorf("row %d is eligible and has %s %q: none of %q", row, attr, has, values)
							}
							return true
						})
					}
					return dst, nil
				}}
				if _, err := run(t, rec, r, pipeline.Options{}, far); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(said) != len(catalog.Worded()) {
		t.Errorf("looked at words of %v, want all of %v", said, catalog.Worded())
	}
	near := &stub{name: "far", ask: func(_ context.Context, r *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
		if r.Words != nil {
			t.Errorf("a source in the process: got words %v, want none", r.Words)
		}
		return dst, nil
	}}
	r := request(shop, nil)
	r.Market = "DE"
	if _, err := run(t, rec, r, pipeline.Options{}, near); err != nil {
		t.Fatal(err)
	}
}

// What is narrowed by anything else than words is in the eligible rows alone: stock,
// what is hidden, left out or dear, and categories that are kept back.
func TestWordsLeaveTheRestToTheRows(t *testing.T) {
	costs := func(units float64) map[string]features.Money {
		return map[string]features.Money{"": features.MoneyOf(units, "EUR")}
	}
	items := make([]features.Item, 7)
	for i := range items {
		items[i] = features.Item{ID: fmt.Sprint(i), Category: []string{"x", "y"}, Prices: costs(5)}
	}
	items[1].Stock = map[string]int32{"DE": 0}
	items[2].Hidden = true
	items[3].Prices = costs(500)
	items[4].Category = []string{"x", "kept back"}
	shop, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	r := request(shop, &features.Shopper{Hidden: features.BitmapOf(7, 6)})
	r.Market, r.PriceTo, r.Categories, r.Exclude = "DE", 10, []string{"x"}, []features.Row{5}
	asked := false
	far := &stub{name: "far", remote: true, ask: func(_ context.Context, r *features.Request, _ int, dst []pipeline.Candidate) ([]pipeline.Candidate, error) {
		asked = true
		want := map[string][]string{features.AttrMarket: catalog.SoldIn("DE"), features.AttrCategory: {"x"}}
		if !maps.EqualFunc(r.Words, want, slices.Equal) {
			t.Errorf("got words %v, want %v", r.Words, want)
		}
		if got := r.Eligible.AppendRows(nil); !slices.Equal(got, []features.Row{0}) {
			t.Errorf("got rows %v eligible, want the first alone", got)
		}
		return dst, nil
	}}
	rec := models.Recipe{Sources: sourcesOf("far"), Filters: []models.ComponentSpec{
		{Name: "hidden"}, {Name: "category", Params: map[string]any{"without": []string{"x/kept back"}}},
	}}
	if _, err := run(t, rec, r, pipeline.Options{}, far); err != nil || !asked {
		t.Errorf("got %v, asked %v", err, asked)
	}
}
