package e2e

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/history"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
)

func TestMain(m *testing.M) {
	if !served() {
		goleak.VerifyTestMain(m)
	}
}

const shop = features.DefaultShop

// The shop sells two sorts of things, mugs and scarves, to shoppers who like
// one of the two, in two markets. Shopper number i bought everything of their
// sort but item i and those that only the other market has.
const (
	things   = 40
	shoppers = 60
	day      = 24 * time.Hour
)

var opened = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

func thing(i int) string    { return fmt.Sprintf("thing-%02d", i) }
func somebody(i int) string { return fmt.Sprintf("shopper-%02d", i) }

func marketOf(shopper int) string { return []string{"Germany", "France"}[shopper/2%2] }

func items() []features.Item {
	all := make([]features.Item, things)
	for i := range all {
		it := features.Item{
			ID: thing(i), Kind: features.Product, Created: opened, Updated: opened,
			Prices: map[string]features.Money{"": features.MoneyOf(float64(2+i%7), "EUR")},
		}
		if i%2 == 0 {
			it.Title, it.Category = fmt.Sprintf("Mug No %d", i), []string{"Kitchen", "Mugs"}
			it.Description = "a ceramic mug for coffee and tea"
			it.Variants = map[string]features.Text{"de": {Title: fmt.Sprintf("Tasse Nr %d", i)}}
		} else {
			it.Title, it.Category = fmt.Sprintf("Scarf No %d", i), []string{"Clothes", "Scarves"}
			it.Description = "a woollen scarf against wind and cold"
			it.Variants = map[string]features.Text{"de": {Title: fmt.Sprintf("Schal Nr %d", i)}}
		}
		if i%10 == 8 {
			it.Markets = []string{"Germany"}
		}
		if i%10 == 9 {
			it.Markets = []string{"France"}
		}
		all[i] = it
	}
	return all
}

// purchases is what the shoppers did before the server was there.
func purchases(names *features.Pseudonyms) []features.Event {
	all, sold := []features.Event{}, items()
	for s := range shoppers {
		for i := range things {
			if i%2 != s%2 || i == s%things || !sold[i].SoldIn(marketOf(s)) || (i+s)%3 == 0 {
				continue
			}
			all = append(all, features.Event{
				Shop: shop, ID: fmt.Sprintf("%d-%d", s, i), Type: features.Purchase, User: names.User(somebody(s)), Item: thing(i),
				Time: opened.Add(time.Duration(s*7+i*13) * time.Hour), Market: marketOf(s), Quantity: int32(1 + i%2),
				Price: sold[i].PriceIn(""), Order: fmt.Sprintf("order-%d-%d", s, i/8),
			})
		}
	}
	return all
}

// stock is a data directory with the shop's catalogue and log in it.
func stock(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	st := openStore(t, dir)
	ctx := context.Background()
	names, err := st.Pseudonyms(ctx, shop)
	must(t, err)
	must(t, st.PutItems(ctx, shop, items()))
	_, err = st.Append(ctx, shop, purchases(names))
	must(t, err)
	must(t, st.Close())
	return dir
}

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), store.Options{Dir: dir, Logger: quiet()})
	must(t, err)
	return st
}

// training is the shop's log as models are trained on it.
func training(t *testing.T, dir string, sold []features.Item) *dataset.Dataset {
	t.Helper()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	var b dataset.Builder
	for i := range sold {
		b.Item(sold[i].ID)
	}
	must(t, st.Scan(context.Background(), shop, 1, 0, func(e *features.Event) error {
		b.Add(e.Subject().String(), e.Item, e.Market, features.Interaction{
			Type: e.Type, TimeMS: e.Time.UnixMilli(), Quantity: float32(e.Quantity), Price: float32(e.Price.Units()),
		})
		return nil
	}))
	d := b.Build()
	shelf, err := catalog.Of(sold)
	must(t, err)
	d.Catalog = shelf
	return d
}

// train fits the kinds that the default recipes ask for. More factors make
// another model with other scores.
func train(t *testing.T, d *dataset.Dataset, seed uint64) []models.Part {
	t.Helper()
	var parts []models.Part
	for _, part := range []struct{ name, kind, params string }{
		{pipeline.ModelFactors, "ials", `{"factors": 8, "epochs": 6}`},
		{pipeline.ModelItems, "item-cf", ``},
		{pipeline.ModelContent, "content", ``},
		{pipeline.ModelPopular, "popular", ``},
	} {
		k, err := kind.Of(part.kind)
		must(t, err)
		m, err := k.Fit(context.Background(), models.FitInput{Train: d, Params: []byte(part.params), Seed: seed, Workers: 1})
		if err != nil {
			t.Fatalf("fit %s: %v", part.kind, err)
		}
		parts = append(parts, models.Part{Name: part.name, Model: m})
	}
	return parts
}

// surfacePlain is answered by the factors' own scores, so that a test can work
// them out.
const surfacePlain = "plain"

func recipes(parts []models.Part) []models.Recipe {
	has := func(name string) bool {
		for _, p := range parts {
			if p.Name == name {
				return true
			}
		}
		return false
	}
	var all []models.Recipe
	for _, r := range pipeline.Defaults() {
		r.Budget = models.Duration(10 * time.Second) // a busy machine must not degrade a test
		all = append(all, pipeline.Trim(r, has))
	}
	return append(all, models.Recipe{
		Surface: surfacePlain, Budget: models.Duration(10 * time.Second),
		Sources: []models.SourceSpec{{Name: "factors", Source: "factors", Model: pipeline.ModelFactors, Limit: 200}},
		Ranker:  models.RankerSpec{Ranker: "model", Model: pipeline.ModelFactors},
	})
}

// publish trains on the data directory's log and publishes a release of the
// items there, and what is given besides. It is not promoted.
func publish(t *testing.T, dir string, seed uint64, sold []features.Item) string {
	t.Helper()
	d := training(t, dir, sold)
	parts := train(t, d, seed)
	m, err := release.Publish(context.Background(), releases(dir), release.Draft{
		Shop: shop, Items: sold, Models: parts, Recipes: recipes(parts), Metrics: release.Metrics{"ndcg@10": {Value: .5}},
		Lineage: release.Lineage{Events: int64(len(d.Log)), Users: d.NumUsers(), Seed: seed, Code: "test", DataFrom: opened, DataTo: opened.Add(30 * day)},
	})
	must(t, err)
	return m.Version
}

func releases(dir string) release.Store { return release.NewFolder(filepath.Join(dir, "releases")) }

func promote(t *testing.T, dir, version string) {
	t.Helper()
	_, err := release.Promote(context.Background(), releases(dir), shop, version, release.Change{By: "test"})
	must(t, err)
}

// judge opens a release on its own, as anyone could, to work scores out.
type judge struct {
	items *catalog.Snapshot
	model models.Model
}

func newJudge(t *testing.T, dir, version string) *judge {
	t.Helper()
	r, err := release.Open(context.Background(), releases(dir), shop, version, func(name string) (models.Kind, bool) {
		k, err := kind.Of(name)
		return k, err == nil
	})
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	shelf, err := catalog.Of(r.Items)
	must(t, err)
	m, ok := r.Model(pipeline.ModelFactors)
	if !ok {
		t.Fatal("release has no factors")
	}
	return &judge{items: shelf, model: m}
}

// scores are those of the items for someone with this history: the model's own
// fold-in of the whole log.
func (j *judge) scores(log []features.Event, ids []string) []float32 {
	who := history.Of(log).Shopper(j.items)
	who.Consent = features.AllPurposes
	r := &features.Request{
		Query:   features.Query{Shop: shop, Now: time.Now(), Limit: len(ids)},
		Shopper: who, Item: features.NoRow, Catalog: j.items, Scratch: new(features.Scratch),
	}
	rows := make([]features.Row, len(ids))
	for i, id := range ids {
		rows[i], _ = j.items.Row(id)
	}
	out := make([]float32, len(rows))
	j.model.Score(r, rows, out)
	return out
}

// near reports whether two scores are equal to 1e-5.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5*(1+math.Abs(b)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
