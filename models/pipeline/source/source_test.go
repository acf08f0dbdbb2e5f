package source_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/source"
	"github.com/attune-rec/attune/models/vector"
)

var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// words is a model of content: an item's vector says how many letters a, b and
// c its title has.
type words struct {
	models.Model
	vecs []float32
}

func (w *words) Kind() string                                  { return "words" }
func (w *words) Items() int                                    { return len(w.vecs) / 3 }
func (w *words) Dim() int                                      { return 3 }
func (w *words) Vectors() []float32                            { return w.vecs }
func (w *words) Embed(r *features.Request, dst []float32) bool { return false }

func (w *words) EmbedItem(it *features.Item, dst []float32) bool {
	for i, letter := range []string{"a", "b", "c"} {
		dst[i] = float32(strings.Count(it.Title, letter))
	}
	return it.Title != ""
}

func stand(t *testing.T, titles ...string) (*catalog.Snapshot, pipeline.Env) {
	t.Helper()
	items := make([]features.Item, len(titles))
	w := &words{vecs: make([]float32, 3*len(titles))}
	for i, title := range titles {
		items[i] = features.Item{ID: fmt.Sprint(i), Title: title, Created: now.AddDate(0, 0, -10*i)}
		w.EmbedItem(&items[i], w.vecs[3*i:][:3])
	}
	cat, err := catalog.Of(items)
	if err != nil {
		t.Fatal(err)
	}
	x, err := vector.NewExact(w.vecs, 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	return cat, pipeline.Env{
		Models:  map[string]models.Model{"words": w},
		Indexes: map[string]models.Index{"words": vector.WithTail(x, len(titles), 3)},
	}
}

func ask(t *testing.T, spec models.SourceSpec, env pipeline.Env, r *features.Request, n int) (pipeline.Source, []features.Row) {
	t.Helper()
	spec.Name = spec.Source
	s, err := source.Build(spec, env)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	if r.Eligible == nil {
		r.Eligible = features.FullBitmap(r.Catalog.Len())
	}
	r.Scratch = new(features.Scratch)
	cs, err := s.Candidates(context.Background(), r, n, nil)
	if err != nil {
		t.Fatalf("candidates: %v", err)
	}
	var rows []features.Row
	for i, c := range cs {
		rows = append(rows, c.Row)
		if i > 0 && cs[i-1].Score < c.Score {
			t.Errorf("place %d: score %v after %v", i, c.Score, cs[i-1].Score)
		}
	}
	return s, rows
}

func event(row features.Row, what features.EventType, daysAgo float64) features.Interaction {
	return features.Interaction{Row: row, Type: what, TimeMS: now.Add(-time.Duration(daysAgo * 24 * float64(time.Hour))).UnixMilli(), Quantity: 1}
}

func page(cat features.Catalog, h ...features.Interaction) *features.Request {
	return &features.Request{
		Query: features.Query{Now: now, Limit: 10}, Item: features.NoRow, Catalog: cat,
		Shopper: &features.Shopper{Recent: h, Consent: features.AllPurposes},
	}
}

func want(t *testing.T, got []features.Row, rows ...features.Row) {
	t.Helper()
	if !slices.Equal(got, rows) {
		t.Errorf("got rows %v, want %v", got, rows)
	}
}

// greeter is words with a vector for whoever asks from Malta.
type greeter struct{ *words }

func (greeter) EmbedProfile(r *features.Request, dst []float32) bool {
	dst[1] = 1
	return r.Market == "MT"
}

// Someone without a history is proposed what their market likes, where the
// model can tell; a history is never passed over for it.
func TestFactorsGreetsNewShoppers(t *testing.T) {
	cat, env := stand(t, "aaa", "bbb", "abb")
	env.Models["words"] = greeter{env.Models["words"].(*words)}
	spec := models.SourceSpec{Source: "factors", Model: "words"}
	r := page(cat)
	r.Market = "MT"
	_, rows := ask(t, spec, env, r, 2)
	want(t, rows, 1, 2)
	r = page(cat)
	_, rows = ask(t, spec, env, r, 2)
	want(t, rows)
	r = page(cat, event(0, features.Purchase, 1))
	r.Market = "MT"
	_, rows = ask(t, spec, env, r, 2)
	want(t, rows)
}

// An item that came after the model is reached, and reaches others, by what the
// catalogue says of it.
func TestRelatedReachesTailItems(t *testing.T) {
	cat, env := stand(t, "aaa", "bbb", "ccc")
	cat = cat.Apply([]catalog.Change{{Item: &features.Item{ID: "new", Title: "bb"}}})
	if err := env.Indexes["words"].(models.Tail).Upsert(3, []float32{0, 2, 0}); err != nil {
		t.Fatal(err)
	}
	r := page(cat)
	r.Item = 1
	s, rows := ask(t, models.SourceSpec{Source: "related", Model: "words"}, env, r, 5)
	want(t, rows, 3)
	if why, ok := s.(pipeline.Reasoner).Reason(r, 3); !ok || why.Kind != pipeline.SimilarTo || why.Item != 1 {
		t.Errorf("got reason %+v, %v, want similar to 1", why, ok)
	}
	r.Item = 3
	s, rows = ask(t, models.SourceSpec{Source: "related", Model: "words"}, env, r, 5)
	want(t, rows, 1)
	if _, ok := s.(pipeline.Reasoner).Reason(r, 2); ok {
		t.Error("got a reason for an item that has nothing in common")
	}
}

func TestSimilarWeighsTheNewestMost(t *testing.T) {
	cat, env := stand(t, "aa", "bb", "a", "b", "c")
	spec := models.SourceSpec{Source: "similar", Model: "words", Params: map[string]any{"decay": .5}}
	s, rows := ask(t, spec, env, page(cat, event(0, features.View, 2), event(1, features.View, 1)), 2)
	want(t, rows, 3, 2)
	r := page(cat, event(0, features.View, 2), event(1, features.Purchase, 1))
	r.Eligible = features.FullBitmap(5)
	if why, ok := s.(pipeline.Reasoner).Reason(r, 3); !ok || why.Item != 1 || why.Type != features.Purchase {
		t.Errorf("got reason %+v, %v, want the purchase of 1", why, ok)
	}
	_, rows = ask(t, spec, env, page(cat, event(0, features.Dislike, 1), event(4, features.CartRemove, 1)), 5)
	want(t, rows)
}

func TestRecentIsWhatWasLookedAtAndNotBought(t *testing.T) {
	cat, env := stand(t, "a", "b", "c", "d", "e")
	r := page(cat, event(0, features.View, 9), event(1, features.View, 8), event(2, features.View, 7),
		event(1, features.Purchase, 6), event(3, features.Hide, 5), event(0, features.CartAdd, 4), event(4, features.Impression, 3))
	s, rows := ask(t, models.SourceSpec{Source: "recent"}, env, r, 5)
	want(t, rows, 0, 2)
	if why, ok := s.(pipeline.Reasoner).Reason(r, 0); !ok || why.Item != 0 || why.Type != features.CartAdd {
		t.Errorf("got reason %+v, %v, want the item put in the cart", why, ok)
	}
	if _, ok := s.(pipeline.Reasoner).Reason(r, 1); ok {
		t.Error("got a reason for an item that was bought since")
	}
	_, rows = ask(t, models.SourceSpec{Source: "recent"}, env, r, 1)
	want(t, rows, 0)
	r.Shopper.Consent = 0
	_, rows = ask(t, models.SourceSpec{Source: "recent"}, env, r, 5)
	want(t, rows)
}

// What an article shows is proposed on its page, in its order, each once and as
// far as it may be shown.
func TestLinkedIsWhatThePageShows(t *testing.T) {
	cat, err := catalog.Of([]features.Item{
		{ID: "article", Kind: features.Article, Links: []string{"c", "gone", "a", "article", "c", "b"}}, {ID: "a"}, {ID: "b"}, {ID: "c"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := page(cat)
	_, rows := ask(t, models.SourceSpec{Source: "linked"}, pipeline.Env{}, r, 5)
	want(t, rows)
	r.Item = 0
	_, rows = ask(t, models.SourceSpec{Source: "linked"}, pipeline.Env{}, r, 5)
	want(t, rows, 3, 1, 2)
	_, rows = ask(t, models.SourceSpec{Source: "linked"}, pipeline.Env{}, r, 2)
	want(t, rows, 3, 1)
	r.Item = 1
	_, rows = ask(t, models.SourceSpec{Source: "linked"}, pipeline.Env{}, r, 5)
	want(t, rows)
}

func TestAgainPrefersWhatIsDue(t *testing.T) {
	cat, env := stand(t, "due", "soon", "once", "viewed")
	r := page(cat,
		event(0, features.Purchase, 90), event(0, features.Purchase, 60), event(0, features.Purchase, 30), // every 30 days: today
		event(1, features.Purchase, 62), event(1, features.Purchase, 32), event(1, features.Purchase, 2), // in 28 days
		event(2, features.Purchase, 5), event(3, features.View, 1))
	s, rows := ask(t, models.SourceSpec{Source: "again"}, env, r, 5)
	want(t, rows, 0, 1, 2)
	if why, ok := s.(pipeline.Reasoner).Reason(r, 0); !ok || why.Kind != pipeline.BuyAgain || why.Item != 0 {
		t.Errorf("got reason %+v, %v, want buy again", why, ok)
	}
	if _, ok := s.(pipeline.Reasoner).Reason(r, 3); ok {
		t.Error("got buy again for an item never bought")
	}
}

func TestNewArrivals(t *testing.T) {
	cat, env := stand(t, "today", "ten", "twenty", "thirty", "forty")
	cat = cat.Apply([]catalog.Change{
		{Item: &features.Item{ID: "tail", Title: "x", Created: now.AddDate(0, 0, -1)}},
		{Item: &features.Item{ID: "future", Title: "x", Created: now.AddDate(0, 0, 1)}},
		{Item: &features.Item{ID: "ageless", Title: "x"}},
	})
	r := page(cat)
	s, rows := ask(t, models.SourceSpec{Source: "new", Params: map[string]any{"days": 25}}, env, r, 9)
	want(t, rows, 0, 5, 1, 2)
	for row, ok := range map[features.Row]bool{0: true, 5: true, 3: false, 6: false, 7: false} {
		if why, got := s.(pipeline.Reasoner).Reason(r, row); got != ok || ok && why.Kind != pipeline.NewArrival {
			t.Errorf("row %d: got reason %+v, %v, want %v", row, why, got, ok)
		}
	}
	_, rows = ask(t, models.SourceSpec{Source: "new", Params: map[string]any{"days": 0}}, env, r, 2)
	want(t, rows, 0, 5)
}

func TestBuildRefusesParameters(t *testing.T) {
	_, env := stand(t, "a")
	for name, params := range map[string]map[string]any{
		"similar": {"decay": 2}, "bought": {"items": 0}, "new": {"days": -1}, "again": {"days": 0}, "recent": {"colour": "red"},
		"related": {"each": 3},
	} {
		if _, err := source.Build(models.SourceSpec{Name: name, Source: name, Model: "words", Params: params}, env); err == nil {
			t.Errorf("%s with %v: got no error", name, params)
		}
	}
}
