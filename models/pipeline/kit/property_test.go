package kit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/raced"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/filter"
	"github.com/attune-rec/attune/models/pipeline/kit"
	"github.com/attune-rec/attune/models/pipeline/rank"
	"github.com/attune-rec/attune/models/pipeline/selector"
	"github.com/attune-rec/attune/models/pipeline/source"
)

// modelOf is the model that each source is tried with.
var modelOf = map[string]string{
	"factors": pipeline.ModelFactors, "interest": pipeline.ModelContent, "similar": pipeline.ModelItems,
	"related": pipeline.ModelItems, "bought": pipeline.ModelItems, "users": pipeline.ModelFactors, "popular": pipeline.ModelPopular,
	"new": "", "linked": "", "recent": "", "again": "", "favourites": pipeline.ModelPopular, "next": pipeline.ModelItems,
	"trending": "", "segment": "", // charts of everything
}

// everything is a chart of all items, whoever asks.
type everything struct{ trend *pipeline.Trend }

func (e everything) Trend(pipeline.Span, string, string) *pipeline.Trend { return e.trend }

// paramsOf is the parameters that each filter is tried with, and refuse says,
// in other words than the filter's, which items must not leave.
var paramsOf = map[string]map[string]any{
	"hidden": nil, "seen": {"types": []string{"purchase", "view"}}, "page": nil, "age": {"years": 16},
	"price": {"low": 3, "high": 12}, "category": {"only": []string{"Home/Mugs", "Fashion"}, "without": []string{"Fashion/Scarves"}},
	"language": nil,
}

func refuse(name string, r *features.Request, it *features.Item, row features.Row) bool {
	did := func(types ...features.EventType) bool {
		return slices.ContainsFunc(r.Shopper.Recent, func(x features.Interaction) bool {
			return x.Row == row && slices.Contains(types, x.Type)
		})
	}
	switch name {
	case "hidden":
		return r.Shopper.Hidden.Has(row) || did(features.Hide)
	case "seen":
		return did(features.Purchase, features.View)
	case "page":
		return row == r.Item || slices.Contains(r.Cart, row) || it.Group == "g14" && r.Item == 14
	case "age":
		return it.MinAge > 16
	case "price":
		return it.PriceIn(r.Market).Units() < 3 || it.PriceIn(r.Market).Units() > 12
	case "category":
		return !slices.Contains(it.Category, "Mugs")
	case "language":
		return it.Language != "en"
	}
	return false
}

func TestNothingUnfilteredLeaves(t *testing.T) {
	cat := shelf(t, nil)
	env := environment(t, nil)
	all := &pipeline.Trend{}
	for row := range features.Row(shelfItems) {
		all.Items, all.Scores = append(all.Items, cat.ID(row)), append(all.Scores, 1)
	}
	env.Trends = everything{all}
	for _, name := range source.Names() {
		if _, ok := modelOf[name]; !ok {
			t.Fatalf("source %q is not tried", name)
		}
	}
	r := request(cat, known(2, 3, 4, 5, 7, 8, 10, 12, 17, 19))
	for i := range r.Shopper.Recent {
		if i%2 == 0 {
			r.Shopper.Recent[i].Type = features.Purchase
		}
	}
	r.Shopper.Recent = append(r.Shopper.Recent, features.Interaction{Row: 6, Type: features.Hide, TimeMS: now.UnixMilli()})
	r.Shopper.Hidden = features.BitmapOf(64, 0, 1, 8, 19)
	r.Shopper.Profile = &features.Profile{Lifecycle: "loyal"}
	r.Market, r.Locale, r.Limit = "DE", "en", shelfItems
	r.Item, r.Cart, r.Exclude = 15, []features.Row{12, 3}, []features.Row{10, 9}
	left := 0
	for _, name := range source.Names() {
		for _, f := range append(filter.Names(), "") {
			params, ok := paramsOf[f]
			if f != "" && !ok {
				t.Fatalf("filter %q is not tried", f)
			}
			for _, fallback := range []bool{false, true} {
				for _, ranker := range []string{"source", "model"} {
					spec := models.SourceSpec{Name: name, Source: name, Model: modelOf[name], Limit: shelfItems}
					if name == "new" {
						spec.Params = map[string]any{"days": 0}
					}
					rec := models.Recipe{Surface: "test", Ranker: models.RankerSpec{Ranker: ranker}}
					if ranker == "model" {
						rec.Ranker.Model = pipeline.ModelFactors
					}
					if f != "" {
						rec.Filters = []models.ComponentSpec{{Name: f, Params: params}}
					}
					if fallback {
						rec.Fallback = []models.SourceSpec{spec}
					} else {
						rec.Sources = []models.SourceSpec{spec}
					}
					ans := answer(t, build(t, rec, env, pipeline.Options{}), r)
					left += len(ans.Items)
					seen := map[features.Row]bool{}
					for _, it := range ans.Items {
						item := cat.Item(it.Row)
						what := fmt.Sprintf("source %s, filter %s, fallback %v: item %d", name, f, fallback, it.Row)
						if refuse(f, r, item, it.Row) {
							t.Errorf("%s left", what)
						}
						if slices.Contains(r.Exclude, it.Row) || item.Hidden || !item.SoldIn("DE") || !item.InStock("DE") || !item.OnSale(now) {
							t.Errorf("%s left, which is excluded or not to be sold", what)
						}
						if seen[it.Row] {
							t.Errorf("%s stands twice", what)
						}
						seen[it.Row] = true
					}
				}
			}
		}
		// Each source gives something when nothing is filtered.
		rec := models.Recipe{Surface: "test", Ranker: models.RankerSpec{Ranker: "source"}, Sources: []models.SourceSpec{
			{Name: name, Source: name, Model: modelOf[name], Params: map[string]any{}},
		}}
		open := *r
		open.Exclude = nil
		if len(answer(t, build(t, rec, env, pipeline.Options{}), &open).Items) == 0 {
			t.Errorf("source %s gave nothing", name)
		}
	}
	if left == 0 {
		t.Fatal("nothing left at all")
	}
}

// TestRenumberedItems gives every item another row: the answers are the same
// items.
func TestRenumberedItems(t *testing.T) {
	perm := rand.New(rand.NewPCG(5, 5)).Perm(shelfItems)
	plain, moved := shelf(t, nil), shelf(t, perm)
	for _, surface := range []string{features.SurfaceHome, features.SurfaceItem, features.SurfaceCart} {
		for _, market := range []string{"", "DE", "FR"} {
			for _, history := range [][]features.Row{nil, {3, 5}, {2, 9, 4}} {
				ask := func(cat *catalog.Snapshot, perm []int) string {
					var rows []features.Row
					for _, row := range history {
						rows = append(rows, features.Row(at(perm, int(row))))
					}
					r := request(cat, known(rows...))
					r.Surface, r.Market = surface, market
					if surface == features.SurfaceItem {
						r.Item = features.Row(at(perm, 7))
					}
					if surface == features.SurfaceCart {
						r.Cart = []features.Row{features.Row(at(perm, 8)), features.Row(at(perm, 1))}
					}
					rec := recipe(t, surface)
					rec.Selectors = nil // the board is so symmetric that MMR meets ties, and ties fall by row
					return render(cat, answer(t, build(t, rec, environment(t, perm), pipeline.Options{}), r))
				}
				if got, want := ask(moved, perm), ask(plain, nil); got != want {
					t.Errorf("%s, market %q, history %v: got\n%s\nwant\n%s", surface, market, history, got, want)
				}
			}
		}
	}
}

// TestSameAnswerWarm: what earlier requests left in caches and pools does not
// show, nor does the caller's own scratch memory.
func TestSameAnswerWarm(t *testing.T) {
	cat := shelf(t, nil)
	env := environment(t, nil)
	rec := recipe(t, features.SurfaceHome)
	warm := build(t, rec, env, pipeline.Options{})
	rng := rand.New(rand.NewPCG(6, 6))
	var scratch features.Scratch
	var ans pipeline.Answer
	for i := range 200 {
		var rows []features.Row
		for range rng.IntN(6) {
			rows = append(rows, features.Row(rng.IntN(shelfItems)))
		}
		r := request(cat, known(rows...))
		r.Market = []string{"", "DE", "FR", "XX"}[rng.IntN(4)]
		r.Limit = 1 + rng.IntN(30)
		if i%2 == 0 {
			r.Scratch = &scratch
		}
		if err := warm.Answer(context.Background(), r, &ans); err != nil {
			t.Fatal(err)
		}
		r.Scratch = nil
		if got, want := render(cat, &ans), render(cat, answer(t, build(t, rec, env, pipeline.Options{}), r)); got != want {
			t.Fatalf("request %d: got\n%s\nwant\n%s", i, got, want)
		}
	}
}

func TestConcurrentAnswers(t *testing.T) {
	cat := shelf(t, nil)
	p := build(t, recipe(t, features.SurfaceHome), environment(t, nil), pipeline.Options{})
	ask := func(i int) string {
		r := request(cat, known(features.Row(i), features.Row(i+2)))
		return render(cat, answer(t, p, r))
	}
	var want [10]string
	for i := range want {
		want[i] = ask(i)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 40 {
				if j := (g + i) % 10; ask(j) != want[j] {
					t.Errorf("request %d differs beside others", j)
				}
			}
		})
	}
	wg.Wait()
}

func TestSteadyAnswersDoNotAllocate(t *testing.T) {
	if raced.On {
		t.Skip("the race detector empties pools at random")
	}
	cat := shelf(t, nil)
	env := environment(t, nil)
	for _, surface := range []string{features.SurfaceHome, features.SurfaceItem, features.SurfaceCart} {
		p := build(t, recipe(t, surface), env, pipeline.Options{})
		r := request(cat, known(2, 3, 4))
		r.Surface, r.Market = surface, "DE"
		if surface == features.SurfaceItem {
			r.Item = 5
		}
		if surface == features.SurfaceCart {
			r.Cart = []features.Row{6, 7}
		}
		var ans pipeline.Answer
		ask := func() {
			if err := p.Answer(context.Background(), r, &ans); err != nil {
				t.Error(err)
			}
		}
		for range 5 {
			ask()
		}
		if len(ans.Items) != r.Limit {
			t.Fatalf("%s: got %d items, want %d", surface, len(ans.Items), r.Limit)
		}
		// Pools may be emptied in between: one in many is no steady cost.
		if got := testing.AllocsPerRun(200, ask); got >= 1 {
			t.Errorf("%s: got %v allocations a request, want none", surface, got)
		}
	}
}

func TestBadRecipesSayWhatThereIs(t *testing.T) {
	env := environment(t, nil)
	good := recipe(t, features.SurfaceHome)
	for name, c := range map[string]struct {
		change func(r *models.Recipe)
		want   []string
	}{
		"source":            {func(r *models.Recipe) { r.Sources[0].Source = "oracle" }, append([]string{"oracle", "home", "factors"}, source.Names()...)},
		"source's model":    {func(r *models.Recipe) { r.Sources[1].Model = "ease" }, []string{"similar", "ease", "itemcf", "popular"}},
		"model's role":      {func(r *models.Recipe) { r.Selectors[1].Params = map[string]any{"model": "ease"} }, []string{"mmr", "ease", "content"}},
		"index":             {func(r *models.Recipe) { r.Sources[0].Model = pipeline.ModelPopular }, []string{"popular", "no index", "content"}},
		"filter":            {func(r *models.Recipe) { r.Filters[0].Name = "wishes" }, append([]string{"wishes"}, filter.Names()...)},
		"ranker":            {func(r *models.Recipe) { r.Ranker.Ranker = "best" }, append([]string{"best"}, rank.Names()...)},
		"weight's model":    {func(r *models.Recipe) { r.Ranker.Weights = map[string]float64{"ease": 1} }, []string{"ease", "ials"}},
		"selector":          {func(r *models.Recipe) { r.Selectors[0].Name = "fair" }, append([]string{"fair"}, selector.Names()...)},
		"unknown parameter": {func(r *models.Recipe) { r.Selectors[0].Params = map[string]any{"colour": 1} }, []string{"caps", "colour", "category"}},
		"event type":        {func(r *models.Recipe) { r.Filters[1].Params = map[string]any{"types": []string{"bought"}} }, []string{"seen", "bought", "purchase"}},
		"name twice":        {func(r *models.Recipe) { r.Fallback[0].Name = "factors" }, []string{"factors"}},
		"no sources":        {func(r *models.Recipe) { r.Sources, r.Fallback = nil, nil }, []string{"home", "0 sources"}},
	} {
		r := good
		r.Sources, r.Filters, r.Selectors = slices.Clone(r.Sources), slices.Clone(r.Filters), slices.Clone(r.Selectors)
		r.Fallback = slices.Clone(r.Fallback)
		c.change(&r)
		_, err := kit.New(r, env, pipeline.Options{})
		if !errors.Is(err, models.ErrRecipe) {
			t.Errorf("%s: got %v, want ErrRecipe", name, err)
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", name, err, word)
			}
		}
	}
}

func TestTrimFitsSmallerReleases(t *testing.T) {
	env := environment(t, nil)
	for _, keep := range [][]string{{pipeline.ModelPopular}, {pipeline.ModelPopular, pipeline.ModelFactors}, {pipeline.ModelPopular, pipeline.ModelItems}} {
		small := pipeline.Env{Models: map[string]models.Model{}, Indexes: map[string]models.Index{}}
		for _, name := range keep {
			small.Models[name] = env.Models[name]
			if x, ok := env.Indexes[name]; ok {
				small.Indexes[name] = x
			}
		}
		for _, rec := range pipeline.Defaults() {
			p := build(t, pipeline.Trim(rec, func(name string) bool { return small.Models[name] != nil }), small, pipeline.Options{})
			if ans := answer(t, p, request(shelf(t, nil), known(3))); len(ans.Items) != 5 {
				t.Errorf("%s with %v: got %d items, want 5", rec.Surface, keep, len(ans.Items))
			}
		}
	}
}
