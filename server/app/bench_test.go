package app

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/catalog"
	"github.com/attune-rec/attune/features/dataset"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/recommend"
)

// The benchmarks' shop has the size of MovieLens 100K: 943 shoppers, 1,682
// items, 100,000 interactions, popularity by Zipf's law.
const benchUsers, benchItems, benchEvents = 943, 1682, 100_000

func benchServer(b *testing.B) *Server {
	b.Helper()
	ctx, dir := context.Background(), b.TempDir()
	fatal := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	sold := make([]features.Item, benchItems)
	for i := range sold {
		sold[i] = features.Item{
			ID: fmt.Sprint(i), Kind: features.Product, Title: fmt.Sprintf("thing %d of sort %d", i, i%37), Category: []string{fmt.Sprintf("sort %d", i%37)},
			Prices: map[string]features.Money{"": features.MoneyOf(float64(1+i%50), "EUR")}, Created: time.Unix(1.7e9, 0), Updated: time.Unix(1.7e9, 0),
		}
	}
	st, err := store.Open(ctx, store.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	fatal(err)
	names, err := st.Pseudonyms(ctx, features.DefaultShop)
	fatal(err)
	rng := rand.New(rand.NewPCG(1, 2))
	var builder dataset.Builder
	for i := range sold {
		builder.Item(sold[i].ID)
	}
	events := make([]features.Event, 0, benchEvents)
	for n := range benchEvents {
		user := fmt.Sprint(n % benchUsers)
		item := fmt.Sprint(int(math.Exp(rng.Float64()*math.Log(benchItems))) - 1)
		at := time.UnixMilli(1_700_000_000_000 + int64(n)*1000)
		events = append(events, features.Event{Shop: features.DefaultShop, Type: features.Purchase, User: names.User(user), Item: item, Time: at})
		builder.Add(user, item, "", features.Interaction{Type: features.Purchase, TimeMS: at.UnixMilli(), Quantity: 1})
	}
	for len(events) > 0 {
		n := min(len(events), store.MaxBatch)
		_, err := st.Append(ctx, features.DefaultShop, events[:n])
		fatal(err)
		events = events[n:]
	}
	fatal(st.Close())
	d := builder.Build()
	d.Catalog, err = catalog.Of(sold)
	fatal(err)
	var parts []models.Part
	for name, kind := range map[string]string{
		pipeline.ModelFactors: "ials", pipeline.ModelItems: "item-cf", pipeline.ModelContent: "content", pipeline.ModelPopular: "popular",
	} {
		k, ok := kinds(kind)
		if !ok {
			b.Fatalf("no kind %s", kind)
		}
		m, err := k.Fit(ctx, models.FitInput{Train: d, Seed: 1})
		fatal(err)
		parts = append(parts, models.Part{Name: name, Model: m})
	}
	recipes := pipeline.Defaults()
	for i := range recipes {
		recipes[i] = pipeline.Trim(recipes[i], func(name string) bool { return name != pipeline.ModelHybrid })
	}
	recipes = append(recipes, models.Recipe{
		Surface: "factors", Budget: models.Duration(time.Second),
		Sources: []models.SourceSpec{{Name: "factors", Source: "factors", Model: pipeline.ModelFactors, Limit: 10}},
		Filters: []models.ComponentSpec{{Name: "hidden"}, {Name: "seen"}},
		Ranker:  models.RankerSpec{Ranker: "model", Model: pipeline.ModelFactors},
	})
	releases := release.NewFolder(filepath.Join(dir, "releases"))
	m, err := release.Publish(ctx, releases, release.Draft{Shop: features.DefaultShop, Items: sold, Models: parts, Recipes: recipes})
	fatal(err)
	_, err = release.Promote(ctx, releases, features.DefaultShop, m.Version, release.Change{By: "bench"})
	fatal(err)
	s, err := Build(ctx, Config{
		Data: dir, GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Follow: time.Minute, Shoppers: 10_000, StoreWait: time.Minute, Queue: 1 << 16,
		EventAge: 1e18, ClockAhead: time.Minute, MaxMessage: 1 << 20, Grace: time.Minute,
	}, slog.New(slog.DiscardHandler), "bench")
	fatal(err)
	run, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(run, func() { close(ready) }) }()
	<-ready
	b.Cleanup(func() {
		stop()
		fatal(<-done)
	})
	return s
}

// BenchmarkRecommend is a recommendation to a known shopper: in the domain, as
// the RPC's method, and over gRPC on loopback with the client on the same
// cores. Surface factors is one model's; home is the default recipe.
func BenchmarkRecommend(b *testing.B) {
	s := benchServer(b)
	names, err := s.store.Pseudonyms(context.Background(), features.DefaultShop)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := grpc.NewClient(s.GRPC(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	client := attunev1.NewRecommendationServiceClient(conn)
	ctx := context.Background()
	for i := range benchUsers { // histories are read once
		if _, err := client.Recommend(ctx, &attunev1.RecommendRequest{User: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
	}
	for _, surface := range []string{"factors", "home", "item"} {
		item := ""
		if surface == "item" {
			item = "7"
		}
		b.Run(surface+"/domain", func(b *testing.B) {
			var ans recommend.Answer
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q := recommend.Query{Shop: features.DefaultShop, User: names.User(fmt.Sprint(i % benchUsers)), Surface: surface, Item: item, Limit: 10}
				if err := s.recommendation.Recommender.Recommend(ctx, &q, &ans); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(surface+"/method", func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r := &attunev1.RecommendRequest{User: fmt.Sprint(i % benchUsers), Surface: surface, Item: item}
				if _, err := s.recommendation.Recommend(ctx, r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(surface+"/grpc", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(benchUsers); pb.Next(); i++ {
					r := &attunev1.RecommendRequest{User: fmt.Sprint(i % benchUsers), Surface: surface, Item: item}
					if _, err := client.Recommend(ctx, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
