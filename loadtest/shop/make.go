package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector"
)

// SurfaceOne is a surface of one model source, for the floor. SurfaceScored is
// the same, with the model's scores in the answer, so that they can be worked
// out again.
const (
	SurfaceOne    = "one"
	SurfaceScored = "one-scored"
)

// fit is a model of the release and its parameters.
type fit struct{ name, kind, params string }

// fits is the models of the release that are fitted each by itself.
func (s Size) fits(factors int) []fit {
	all := []fit{
		{pipeline.ModelPopular, "popular", `{}`},
		{pipeline.ModelFactors, "ials", fmt.Sprintf(`{"factors":%d,"epochs":4}`, factors)},
		{pipeline.ModelItems, "item-cf", `{"neighbours":50}`},
		{pipeline.ModelContent, "content", `{"factors":32}`},
		{pipeline.ModelNext, "markov", `{"neighbours":60}`},
	}
	if s.One {
		return all[:2]
	}
	return all
}

// Make builds the shop in dir: the store, and a release that is served. tell is
// called as stages end. Shoppers are "u0", "u1" and so on.
func Make(ctx context.Context, dir string, s Size, factors int, tell func(stage string, took time.Duration)) error {
	began := time.Now()
	stage := func(name string) {
		tell(name, time.Since(began))
		began = time.Now()
	}
	st, err := store.Open(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	goods, acts := s.goods(), s.acts()
	stage("draw the shop")
	err = errors.Join(stock(ctx, st, goods), record(ctx, st, goods, acts), PutRules(ctx, st), st.Close())
	if err != nil {
		return err
	}
	stage(fmt.Sprintf("store %d events", len(acts)))
	to := release.NewFolder(filepath.Join(dir, "releases"))
	version, err := s.publish(ctx, to, factors, goods, acts, stage)
	if err != nil {
		return err
	}
	if _, err := release.Promote(ctx, to, features.DefaultShop, version, release.Change{By: "loadtest"}); err != nil {
		return err
	}
	return nil
}

// publish learns a release of goods from acts and publishes it.
func (s Size) publish(ctx context.Context, to release.Store, factors int, goods []features.Item, acts []act, stage func(string)) (version string, err error) {
	d, err := s.data(goods, acts)
	if err != nil {
		return "", err
	}
	var parts []models.Part
	for _, f := range s.fits(factors) {
		k, err := kind.Of(f.kind)
		if err != nil {
			return "", err
		}
		m, err := k.Fit(ctx, models.FitInput{Train: d, Params: json.RawMessage(f.params), Seed: s.Seed})
		if err != nil {
			return "", fmt.Errorf("fit %s: %w", f.name, err)
		}
		parts = append(parts, models.Part{Name: f.name, Model: m})
		stage("fit " + f.name)
	}
	if !s.One {
		ranker, err := learn(ctx, s.full(), d, parts, acts, goods)
		if err != nil {
			return "", err
		}
		parts = append(parts, models.Part{Name: pipeline.ModelRanker, Model: ranker})
		stage("learn the ranker")
	}
	index, err := vector.Files(ctx, parts, vector.Options{})
	if err != nil {
		return "", err
	}
	stage("build the indexes")
	m, err := release.Publish(ctx, to, release.Draft{
		Shop: features.DefaultShop, Items: goods, Models: parts, Recipes: s.recipes(), Index: index,
		Lineage: release.Lineage{Events: int64(len(acts)), Users: s.Shoppers, Seed: s.Seed},
	})
	if err != nil {
		return "", err
	}
	stage("publish a release")
	return m.Version, nil
}

// recipes are the surfaces of the release.
func (s Size) recipes() []models.Recipe {
	if s.One {
		return []models.Recipe{one(), scored()}
	}
	all := pipeline.Defaults()
	for i := range all {
		all[i] = pipeline.Trim(all[i], func(name string) bool { return name != pipeline.ModelHybrid })
	}
	return append(all, s.full(), one(), scored())
}

// full is home-full with sources that give so much that some 330 different items
// are ranked. Sources of a small shop give the same items, so each is asked for
// more.
func (s Size) full() models.Recipe {
	r := pipeline.Full()
	if s.Items < 10_000 {
		return r
	}
	for i := range r.Sources {
		r.Sources[i].Limit = r.Sources[i].Limit * 18 / 25
	}
	return r
}

func one() models.Recipe {
	return models.Recipe{
		Surface: SurfaceOne, Budget: models.Duration(25 * time.Millisecond),
		Sources: []models.SourceSpec{{Name: "factors", Source: "factors", Model: pipeline.ModelFactors, Limit: 10}},
		Filters: []models.ComponentSpec{{Name: "hidden"}, {Name: "seen"}},
		Ranker:  models.RankerSpec{Ranker: "source"},
	}
}

func scored() models.Recipe {
	r := one()
	r.Surface, r.Ranker = SurfaceScored, models.RankerSpec{Ranker: "model", Model: pipeline.ModelFactors}
	return r
}

func stock(ctx context.Context, st *store.Store, goods []features.Item) error {
	const batch = 1000
	for len(goods) > 0 {
		n := min(batch, len(goods))
		if err := st.PutItems(ctx, features.DefaultShop, goods[:n]); err != nil {
			return err
		}
		goods = goods[n:]
	}
	return nil
}

func record(ctx context.Context, st *store.Store, goods []features.Item, acts []act) error {
	names, err := st.Pseudonyms(ctx, features.DefaultShop)
	if err != nil {
		return err
	}
	keys := map[int32]features.UserKey{}
	events := make([]features.Event, 0, store.MaxBatch)
	flush := func() error {
		_, err := st.Append(ctx, features.DefaultShop, events)
		events = events[:0]
		return err
	}
	for i, a := range acts {
		key, ok := keys[a.user]
		if !ok {
			key = names.User(fmt.Sprint("u", a.user))
			keys[a.user] = key
		}
		events = append(events, features.Event{
			Shop: features.DefaultShop, Type: a.kind, User: key, Item: goods[a.item].ID, Market: market(a.user), Quantity: 1,
			Time: begin.Add(time.Duration(a.at)*time.Minute + time.Duration(i%60_000)*time.Millisecond), Price: goods[a.item].PriceIn(""),
		})
		if len(events) == cap(events) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// data is what models learn from: all but the newest visit of everyone.
func (s Size) data(goods []features.Item, acts []act) (*dataset.Dataset, error) {
	byUser := make([][]act, s.Shoppers)
	for _, a := range acts {
		byUser[a.user] = append(byUser[a.user], a)
	}
	d := &dataset.Dataset{Users: make([]string, s.Shoppers), Items: make([]string, len(goods)), Ptr: make([]int64, 1, s.Shoppers+1), Markets: markets}
	for i := range goods {
		d.Items[i] = goods[i].ID
	}
	for u, mine := range byUser {
		d.Users[u] = fmt.Sprint("u", u)
		for _, a := range mine[:len(mine)-4] {
			d.Log = append(d.Log, interaction(a, goods))
			d.Market = append(d.Market, uint16(int(a.user)%len(markets))) // #nosec G115 -- few
		}
		d.Ptr = append(d.Ptr, int64(len(d.Log)))
	}
	var err error
	d.Catalog, err = catalog.Of(goods)
	return d, err
}

func interaction(a act, goods []features.Item) features.Interaction {
	return features.Interaction{
		Row: features.Row(a.item), Type: a.kind, TimeMS: begin.Add(time.Duration(a.at) * time.Minute).UnixMilli(), Quantity: 1,
		Price: float32(goods[a.item].PriceIn("").Units()),
	}
}
