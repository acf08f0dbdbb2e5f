package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/trainer/job"
)

// wideThings is how many items the wide shop has.
const wideThings = 3000

func wideThing(i int) string { return fmt.Sprintf("thing-%04d", i) }

// wide is a shop of many items on many shelves, whose shoppers like even ones or
// odd ones; the smaller markets and the last shelves have odd ones only.
func wide() []features.Item {
	all := make([]features.Item, wideThings)
	for i := range all {
		it := features.Item{ID: wideThing(i), Kind: features.Product, Created: opened, Updated: opened, Title: fmt.Sprintf("Thing No %d", i)}
		switch {
		case i%1000 == 501:
			it.Markets = []string{"Malta"}
		case i%100 == 51:
			it.Markets = []string{"Monaco", "France"}
		case i%500 == 7: // sold everywhere
		case i%2 == 0:
			it.Markets = []string{"Germany"}
		default:
			it.Markets = []string{"France"}
		}
		it.Category = []string{fmt.Sprintf("Aisle %d%d", i%2, i*5/wideThings), fmt.Sprint("Shelf ", i*150/wideThings)}
		all[i] = it
	}
	return all
}

// stockWide puts the wide shop and what was bought there into a data directory.
func stockWide(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	st := openStore(t, dir)
	ctx := context.Background()
	names, err := st.Pseudonyms(ctx, shop)
	must(t, err)
	must(t, st.PutItems(ctx, shop, wide()))
	rng := rand.New(rand.NewPCG(1, 2))
	var log []features.Event
	for s := range 150 {
		for n := range 60 {
			log = append(log, features.Event{
				Shop: shop, ID: fmt.Sprintf("%d-%d", s, n), Type: features.Purchase, User: names.User(somebody(s)),
				Item: wideThing(rng.IntN(wideThings/2)*2 + s%2), Time: opened.Add(time.Duration(s+n*13) * time.Hour), Quantity: 1,
			})
		}
	}
	_, err = st.Append(ctx, shop, log)
	must(t, err)
	must(t, st.Close())
	return dir
}

// A request narrowed to a market or to categories is asked of Milvus in words, and
// finds what a look at every item finds, however few there are and wherever they
// lie; an item that changes its market or category is right in the next answer,
// and after a restart.
func TestMilvusWords(t *testing.T) {
	var address string
	asked := func() map[string]int { return nil }
	if milvustest.Available() {
		address = milvustest.Start(t).Address
	} else {
		s := milvustest.NewServer(t)
		address, asked = s.Address, s.Asked
	}
	dir := stockWide(t)
	version := publish(t, dir, 1, wide())
	flags := inMilvus(address)
	command(t, &job.Promote{Releases: where(dir), Version: version, Cluster: job.Cluster{Milvus: flags}})
	st := openStore(t, dir)
	names, err := st.Pseudonyms(context.Background(), shop)
	must(t, err)
	past, err := st.History(context.Background(), shop, names.User(somebody(4)), features.HistoryCap)
	must(t, err)
	must(t, st.Close())
	j := newJudge(t, dir, version)
	cfg := config(dir)
	cfg.Milvus = flags
	c := start(t, cfg)

	sold := wide()
	ids := make([]string, len(sold))
	for i := range sold {
		ids[i] = sold[i].ID
	}
	scores := j.scores(past, ids)
	check := func(when string) {
		t.Helper()
		for _, r := range []struct {
			market     string
			categories []string
		}{
			{"Malta", nil}, {"Monaco", nil}, {"Germany", nil}, {"France", nil}, {"Nowhere", nil}, {"", []string{"Aisle 14"}}, {"", []string{"Aisle 14/Shelf 149"}},
			{"", []string{"Aisle 10", "Aisle 04/Shelf 149", "No aisle"}}, {"France", []string{"Aisle 13"}}, {"Monaco", []string{"Aisle 12", "Aisle 14"}}, {"Germany", []string{"Aisle 14"}},
		} {
			what := fmt.Sprintf("%s, market %q, categories %q", when, r.market, r.categories)
			var want []float32
			for i := range sold {
				path := strings.Join(sold[i].Category, "/") + "/"
				under := func(category string) bool { return strings.HasPrefix(path, category+"/") }
				if sold[i].SoldIn(r.market) && (r.categories == nil || slices.ContainsFunc(r.categories, under)) {
					want = append(want, scores[i])
				}
			}
			slices.SortFunc(want, func(a, b float32) int { return cmp.Compare(b, a) })
			want = want[:min(20, len(want))]
			got := c.ask(t, &attunev1.RecommendRequest{
				User: somebody(4), Surface: surfacePlain, Limit: 20, Categories: r.categories, Context: &attunev1.Context{Market: r.market},
			}).GetItems()
			if len(got) != len(want) {
				t.Errorf("%s: got %d items, want %d", what, len(got), len(want))
				continue
			}
			for i := range want {
				if !near(got[i].GetScore(), float64(want[i])) {
					t.Errorf("%s, place %d: got %s with score %v, want %v", what, i, got[i].GetItem(), got[i].GetScore(), want[i])
					break
				}
			}
		}
	}
	check("as filled")
	if exprs := asked(); exprs != nil {
		said := map[string]bool{}
		for expr := range exprs {
			for _, attr := range []string{"attr_market", "attr_category"} {
				said[attr] = said[attr] || strings.Contains(expr, attr)
			}
			if strings.Contains(expr, "row in") {
				t.Errorf("Milvus was asked by rows: %.80s, want words", expr)
			}
		}
		if !said["attr_market"] || !said["attr_category"] {
			t.Errorf("Milvus was asked by %v, want words of markets and of categories", exprs)
		}
	}

	best := 0
	for i := range scores {
		if scores[i] > scores[best] {
			best = i
		}
	}
	for i, to := range map[int]struct {
		markets  []string
		category []string
	}{best: {[]string{"Malta"}, []string{"Aisle 14", "Shelf 149"}}, 501: {[]string{"Germany"}, []string{"Aisle 04"}}, 51: {nil, sold[51].Category}} {
		sold[i].Markets, sold[i].Category = to.markets, to.category
		_, err := c.catalog.UpsertItem(context.Background(), &attunev1.UpsertItemRequest{Item: &attunev1.Item{
			Id: sold[i].ID, Title: sold[i].Title, Kind: "product", Markets: to.markets, Category: to.category,
		}})
		must(t, err)
		check(fmt.Sprintf("%s changed", sold[i].ID))
	}
	c.stop()
	c = start(t, cfg)
	check("after a restart")
}
