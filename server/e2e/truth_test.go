package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
)

// told is an answer beside what it was asked for.
type told struct {
	how   string
	asked *attunev1.RecommendRequest
	items []*attunev1.RecommendedItem
}

// everyAnswer asks every surface for many shoppers by every way in: one by one,
// in a batch, by REST, and for what is similar.
func everyAnswer(t *testing.T, c *client, surfaces []string) (all []told) {
	t.Helper()
	ctx := context.Background()
	var asked []*attunev1.RecommendRequest
	for s := range 12 {
		for _, surface := range surfaces {
			r := &attunev1.RecommendRequest{Surface: surface, User: somebody(s), Limit: 20, Context: &attunev1.Context{Market: []string{"Germany", "France"}[s%2]}}
			switch s {
			case 10:
				r.User = "nobody known"
			case 11:
				r.User = "newcomer"
			}
			if surface == features.SurfaceItem {
				r.Item = thing(s * 3 % things)
			}
			if surface == features.SurfaceCart {
				r.Cart = []string{thing(s), thing(s + 7)}
			}
			asked = append(asked, r)
		}
	}
	for _, r := range asked {
		all = append(all, told{"gRPC", r, c.ask(t, r).GetItems()})
	}
	batch, err := c.BatchRecommend(ctx, &attunev1.BatchRecommendRequest{Requests: asked})
	must(t, err)
	for i, r := range batch.GetResults() {
		if r.GetResponse() == nil {
			t.Fatalf("batch, request %d: %v", i, r.GetError())
		}
		all = append(all, told{"batch", asked[i], r.GetResponse().GetItems()})
	}
	read := func(how string, r *attunev1.RecommendRequest, code int, body map[string]any) {
		raw, err := json.Marshal(body)
		must(t, err)
		resp := new(attunev1.RecommendResponse)
		if code != 200 {
			t.Fatalf("%s: got %d, %s", how, code, raw)
		}
		must(t, protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, resp))
		all = append(all, told{how, r, resp.GetItems()})
	}
	for i, r := range asked {
		if i%3 != 0 {
			continue
		}
		body, err := protojson.Marshal(r)
		must(t, err)
		code, answer := c.rest(t, "POST", "/v1/shops/default:recommend", string(body))
		read("REST", r, code, answer)
	}
	for i := range things {
		r := &attunev1.RecommendRequest{Surface: features.SurfaceItem, Item: thing(i)}
		similar, err := c.SimilarItems(ctx, &attunev1.SimilarItemsRequest{Item: thing(i), Limit: 20})
		must(t, err)
		all = append(all, told{"similar", r, similar.GetItems()})
		code, answer := c.rest(t, "GET", fmt.Sprintf("/v1/shops/default/items/%s:similar?limit=20", thing(i)), "")
		read("REST, similar", r, code, answer)
	}
	return all
}

func surfaces() []string {
	all := []string{surfacePlain}
	for _, r := range pipeline.Defaults() {
		all = append(all, r.Surface)
	}
	return all
}

// Every reason of every answer, of every surface and by every way in, rests on
// what is there: on what this shopper did, on the cart, on the page, on the
// item's own category and age, on the market.
func TestEveryReasonHasItsEvidence(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	st := openReader(t, dir)
	names, err := st.Pseudonyms(context.Background(), shop)
	must(t, err)
	did := map[string]bool{} // pseudonym, item and type
	for _, e := range purchases(names) {
		did[fmt.Sprint(e.User, e.Item, e.Type)] = true
	}
	for _, i := range []int{3, 5, 8} {
		c.collect(t, &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "newcomer", Item: thing(i)})
		did[fmt.Sprint(names.User("newcomer"), thing(i), features.View)] = true
	}
	category := map[string][]string{}
	for _, it := range items() {
		category[it.ID] = it.Category
	}
	seen := map[string]int{}
	for _, a := range everyAnswer(t, c, surfaces()) {
		for place, it := range a.items {
			why := it.GetReason()
			if why == nil {
				seen["none"]++
				continue
			}
			seen[why.GetKind()]++
			wrong := func(what string) {
				t.Errorf("%s, %s of %q, place %d, %s: %v: %s", a.how, a.asked.GetSurface(), a.asked.GetUser(), place+1, it.GetItem(), why, what)
			}
			// What is told to rest on a shopper's past is in it.
			own := func(e *attunev1.Evidence) bool {
				typ, err := features.ParseEventType(e.GetEventType())
				return err == nil && did[fmt.Sprint(names.User(a.asked.GetUser()), e.GetItem(), typ)]
			}
			if why.GetText() == "" {
				wrong("a reason without a sentence")
			}
			kind := pipeline.ReasonKind(why.GetKind())
			resting := kind != pipeline.Popular && kind != pipeline.NewArrival
			if resting && len(why.GetEvidence()) == 0 {
				wrong("no evidence")
			}
			for _, e := range why.GetEvidence() {
				if !(e.GetContribution() > 0) {
					wrong("evidence that adds nothing")
				}
				asked := e.GetItem() == a.asked.GetItem() || slices.Contains(a.asked.GetCart(), e.GetItem())
				switch kind {
				case pipeline.BecauseOf, pipeline.NextAfter:
					if !own(e) {
						wrong("the shopper did no such thing")
					}
				case pipeline.BuyAgain:
					if e.GetItem() != it.GetItem() || !own(e) {
						wrong("never bought by the shopper")
					}
				case pipeline.BoughtWith:
					if !asked && !own(e) {
						wrong("neither in the cart, on the page nor in the past")
					}
				case pipeline.SimilarTo:
					if !asked && !own(e) || e.GetItem() == it.GetItem() {
						wrong("neither on the page nor in the past")
					}
				case pipeline.ForInterest:
					if !own(e) || !slices.Contains(category[it.GetItem()], e.GetName()) || !slices.Contains(category[e.GetItem()], e.GetName()) {
						wrong("not of that category, or none that the shopper cares for")
					}
				case pipeline.PopularIn:
					if e.GetName() == "" || e.GetName() != a.asked.GetContext().GetMarket() {
						wrong("another market")
					}
				case pipeline.Popular, pipeline.NewArrival:
				default:
					wrong("a kind that nobody checks")
				}
			}
		}
	}
	for _, kind := range []pipeline.ReasonKind{pipeline.BecauseOf, pipeline.SimilarTo, pipeline.BoughtWith, pipeline.PopularIn} {
		if seen[string(kind)] == 0 {
			t.Errorf("no reason of kind %s was seen: %v", kind, seen)
		}
	}
}

// An item that somebody pays for is labelled wherever it stands: by its own
// score, lifted, pinned, in a quota, among what is similar or popular; no other
// item is.
func TestSponsoredItemsAreAlwaysLabelled(t *testing.T) {
	dir := stock(t)
	sold, paid := items(), map[string]bool{}
	for i := range sold {
		if i%5 == 2 {
			sold[i].Sponsor = fmt.Sprint("sponsor ", i%3)
			paid[sold[i].ID] = true
		}
	}
	st := openStore(t, dir)
	must(t, st.PutItems(context.Background(), shop, sold))
	must(t, st.Close())
	promote(t, dir, publish(t, dir, 1, sold))
	c := start(t, config(dir))
	check := func(how string) {
		t.Helper()
		labelled := map[string]int{}
		for _, a := range everyAnswer(t, c, surfaces()) {
			for _, it := range a.items {
				if want := paid[it.GetItem()]; it.GetSponsored() != want {
					t.Errorf("%s, %s, %s of %q: %s by %s: labelled %v, want %v", how, a.how, a.asked.GetSurface(), a.asked.GetUser(), it.GetItem(), it.GetSource(), it.GetSponsored(), want)
				}
				if it.GetSponsored() {
					labelled[a.how]++
				}
			}
		}
		for _, way := range []string{"gRPC", "batch", "REST", "similar", "REST, similar"} {
			if labelled[way] == 0 {
				t.Errorf("%s: no paid item was answered by %s", how, way)
			}
		}
	}
	check("without rules")
	boost := &attunev1.Rule{Name: "lift", Condition: "item.sponsored", Action: &attunev1.Rule_Boost{Boost: &attunev1.BoostAction{Factor: "4.0"}}}
	c.put(t, &attunev1.RuleSet{Id: "paid", Title: "Paid", Rules: []*attunev1.Rule{boost, pinTo("own", "item.id == 'thing-07'", 2, false), pinTo("named", "item.id == 'thing-12'", 3, false)}})
	check("lifted and pinned")
	c.put(t, &attunev1.RuleSet{Id: "paid", Title: "Paid", Rules: []*attunev1.Rule{keepOnly("paid only", "item.sponsored")}})
	check("paid items alone")
}

func openReader(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.OpenReader(context.Background(), store.Options{Dir: dir, Logger: quiet()})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	return st
}
