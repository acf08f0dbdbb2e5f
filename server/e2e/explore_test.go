package e2e

import (
	"context"
	"testing"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features/store"
)

// A new item gets a chance at one place of the home page, and the record of
// each answer says how great it was, for what was drawn and for what was not.
func TestNewItemsAreExplored(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	ctx := context.Background()
	_, err := c.catalog.UpsertItem(ctx, &attunev1.UpsertItemRequest{Item: &attunev1.Item{Id: "novelty", Title: "Something else", Category: []string{"Other"}}})
	must(t, err)
	const asked, slot, rate = 150, 6, .1
	drawn := map[string]bool{}
	for i := range asked {
		r := c.ask(t, &attunev1.RecommendRequest{User: somebody(i % shoppers), Limit: 10})
		for place, it := range r.GetItems() {
			if it.GetItem() == "novelty" && place == slot-1 {
				drawn[r.GetRecommendationId()] = true
			}
		}
	}
	if len(drawn) == 0 || len(drawn) > asked/3 {
		t.Errorf("the new item stood in place %d of %d in %d of %d answers, want about a tenth", slot, 10, len(drawn), asked)
	}
	c.stop()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	records, err := st.RecentServed(ctx, shop, "home", asked)
	must(t, err)
	if len(records) != asked {
		t.Fatalf("got %d records, want %d", len(records), asked)
	}
	near := func(it store.ServedItem, want float64) bool {
		return float64(it.Propensity) > want-1e-6 && float64(it.Propensity) < want+1e-6
	}
	for _, r := range records {
		for place, it := range r.Items {
			want := 1.
			switch {
			case place == slot-1 && drawn[r.Recommendation]:
				want = rate
			case place == slot-1:
				want = 1 - rate
			}
			if !near(it, want) {
				t.Fatalf("%s in place %d: got propensity %v, want %v", it.Item, place+1, it.Propensity, want)
			}
		}
	}
}
