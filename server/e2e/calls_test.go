package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
)

// ready is a server with one release.
func ready(t *testing.T) *client {
	t.Helper()
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	return start(t, config(dir))
}

// Every mistake of a caller is answered with its code and the field it is in.
func TestMistakesNameTheirField(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	event := func(change func(*attunev1.Event)) func() error {
		e := &attunev1.Event{Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "u", Item: thing(1)}
		change(e)
		return func() error {
			_, err := c.events.Collect(ctx, &attunev1.CollectRequest{Event: e})
			return err
		}
	}
	recommend := func(r *attunev1.RecommendRequest) func() error {
		return func() error { _, err := c.Recommend(ctx, r); return err }
	}
	for name, m := range map[string]struct {
		call  func() error
		code  codes.Code
		field string
	}{
		"limit too high":             {recommend(&attunev1.RecommendRequest{Limit: 201}), codes.InvalidArgument, "limit"},
		"shop's name":                {recommend(&attunev1.RecommendRequest{Shop: "No Shop"}), codes.InvalidArgument, "shop"},
		"locale":                     {recommend(&attunev1.RecommendRequest{Context: &attunev1.Context{Locale: "not a locale"}}), codes.InvalidArgument, "context.locale"},
		"currency":                   {recommend(&attunev1.RecommendRequest{Context: &attunev1.Context{Currency: "euro"}}), codes.InvalidArgument, "context.currency"},
		"surface without recipe":     {recommend(&attunev1.RecommendRequest{Surface: "billboard"}), codes.InvalidArgument, "surface"},
		"page token":                 {recommend(&attunev1.RecommendRequest{PageToken: "made up"}), codes.InvalidArgument, "page_token"},
		"empty item in a cart":       {recommend(&attunev1.RecommendRequest{Cart: []string{""}}), codes.InvalidArgument, "cart[0]"},
		"shop without release":       {recommend(&attunev1.RecommendRequest{Shop: "other"}), codes.FailedPrecondition, ""},
		"event without type":         {event(func(e *attunev1.Event) { e.Type = 0 }), codes.InvalidArgument, "event.type"},
		"event of nobody":            {event(func(e *attunev1.Event) { e.User = "" }), codes.InvalidArgument, "event"},
		"event about nothing":        {event(func(e *attunev1.Event) { e.Item = "" }), codes.InvalidArgument, "event"},
		"negative pieces":            {event(func(e *attunev1.Event) { e.Quantity = -1 }), codes.InvalidArgument, "event.quantity"},
		"six stars":                  {event(func(e *attunev1.Event) { e.Type, e.Value = attunev1.EventType_EVENT_TYPE_RATING, 6 }), codes.InvalidArgument, "event.value"},
		"last decade":                {event(func(e *attunev1.Event) { e.Time = timestamppb.New(opened.AddDate(-10, 0, 0)) }), codes.InvalidArgument, "event.time"},
		"no event at all":            {func() error { _, err := c.events.Collect(ctx, &attunev1.CollectRequest{}); return err }, codes.InvalidArgument, "event"},
		"similar to nothing":         {func() error { _, err := c.SimilarItems(ctx, &attunev1.SimilarItemsRequest{}); return err }, codes.InvalidArgument, "item"},
		"similar to an unknown item": {func() error { _, err := c.SimilarItems(ctx, &attunev1.SimilarItemsRequest{Item: "x"}); return err }, codes.NotFound, ""},
		"unknown release": {func() error {
			_, err := c.releases.PromoteRelease(ctx, &attunev1.PromoteReleaseRequest{Version: "20260101T000000Z-none"})
			return err
		}, codes.NotFound, ""},
		"nothing to roll back to": {func() error {
			_, err := c.releases.RollbackRelease(ctx, &attunev1.RollbackReleaseRequest{})
			return err
		}, codes.NotFound, ""},
		"item without id": {func() error {
			_, err := c.catalog.UpsertItem(ctx, &attunev1.UpsertItemRequest{Item: &attunev1.Item{}})
			return err
		}, codes.InvalidArgument, "item.id"},
		"unknown user": {func() error { _, err := c.users.GetUser(ctx, &attunev1.GetUserRequest{Id: "x"}); return err }, codes.NotFound, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := m.call()
			if status.Code(err) != m.code {
				t.Fatalf("got %v, want %v", err, m.code)
			}
			if reasonOf(err) == "" {
				t.Errorf("got no ErrorInfo: %v", err)
			}
			var fields []string
			for _, d := range status.Convert(err).Details() {
				if bad, ok := d.(*errdetails.BadRequest); ok {
					for _, v := range bad.GetFieldViolations() {
						fields = append(fields, v.GetField())
					}
				}
			}
			if (m.field == "") != (len(fields) == 0) || m.field != "" && !slices.Contains(fields, m.field) {
				t.Errorf("got fields %v, want %q", fields, m.field)
			}
		})
	}
}

func TestBatchesAreJudgedOneByOne(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	good := func(id string) *attunev1.Event {
		return &attunev1.Event{Id: id, Type: attunev1.EventType_EVENT_TYPE_VIEW, User: "u", Item: thing(1)}
	}
	bad := good("bad")
	bad.Type = attunev1.EventType_EVENT_TYPE_RATING
	old := good("old")
	old.Time = timestamppb.New(opened.AddDate(-10, 0, 0))
	events := []*attunev1.Event{good("1"), bad, good("2"), good("1"), old, {}}
	batch, err := c.events.CollectBatch(ctx, &attunev1.CollectBatchRequest{Events: events})
	must(t, err)
	stream, err := c.events.CollectStream(ctx)
	must(t, err)
	for _, e := range append(events, good("3")) {
		must(t, stream.Send(&attunev1.CollectStreamRequest{Event: e}))
	}
	streamed, err := stream.CloseAndRecv()
	must(t, err)
	for name, got := range map[string]*attunev1.CollectBatchResponse{"batch": batch, "stream": streamed} {
		accepted, duplicates := int64(2), int64(1)
		if name == "stream" {
			accepted, duplicates = 1, 3
		}
		if got.GetAccepted() != accepted || got.GetDuplicates() != duplicates || got.GetRejected() != 3 || len(got.GetErrors()) != 3 {
			t.Fatalf("%s: got %v, want %d accepted, %d duplicates, 3 rejected", name, got, accepted, duplicates)
		}
		byIndex := map[int64]*attunev1.EventError{}
		for _, e := range got.GetErrors() {
			byIndex[e.GetIndex()] = e
		}
		if e := byIndex[1]; e.GetId() != "bad" || e.GetError().GetField() != "value" || e.GetError().GetCode() != "INVALID_ARGUMENT" {
			t.Errorf("%s: got %v for event 1, want its value", name, e)
		}
		if e := byIndex[4]; e.GetId() != "old" || e.GetError().GetField() != "time" {
			t.Errorf("%s: got %v for event 4, want its time", name, e)
		}
		if e := byIndex[5]; e.GetError().GetField() != "type" {
			t.Errorf("%s: got %v for event 5, want its type", name, e)
		}
	}
	answers, err := c.BatchRecommend(ctx, &attunev1.BatchRecommendRequest{Requests: []*attunev1.RecommendRequest{
		{User: somebody(4), Limit: 3}, {Surface: "billboard"}, {Surface: features.SurfaceItem, Item: thing(3), Limit: 2},
	}})
	must(t, err)
	r := answers.GetResults()
	if len(r) != 3 || len(r[0].GetResponse().GetItems()) != 3 || r[1].GetError().GetField() != "surface" || len(r[2].GetResponse().GetItems()) != 2 {
		t.Fatalf("got %v", r)
	}
}

func reversed(all []features.Item) []features.Item {
	slices.Reverse(all)
	return all
}

// Pages go on where the one before ended, also after a swap, until the shop
// has nothing more.
func TestPagesDoNotRepeat(t *testing.T) {
	dir := stock(t)
	first, second := publish(t, dir, 1, items()), publish(t, dir, 2, reversed(items()))
	promote(t, dir, first)
	c := start(t, config(dir))
	seen := map[string]bool{}
	r := &attunev1.RecommendRequest{User: "newcomer", Limit: 7, Context: &attunev1.Context{Market: "Germany"}}
	for page := 0; ; page++ {
		resp := c.ask(t, r)
		for _, id := range idsOf(resp.GetItems()) {
			if seen[id] {
				t.Fatalf("page %d repeats %s", page, id)
			}
			seen[id] = true
		}
		if r.PageToken = resp.GetNextPageToken(); r.PageToken == "" {
			break
		}
		if page == 1 {
			_, err := c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: second})
			must(t, err)
		}
	}
	if want := things - things/10; len(seen) != want {
		t.Fatalf("got %d items on all pages, want the %d that are sold in Germany", len(seen), want)
	}
}

// A new item can be found at once, a deleted one never, by REST and by gRPC.
func TestCatalogueChangesHoldForTheNextAnswer(t *testing.T) {
	c := ready(t)
	code, item := c.rest(t, http.MethodPut, "/v1/shops/default/items/new-mug",
		`{"title":"Mug brand new","description":"a ceramic mug for coffee and tea","category":["Kitchen","Mugs"],"prices":{"":{"currency":"EUR","micros":"4000000"}}}`)
	if code != http.StatusOK || item["id"] != "new-mug" {
		t.Fatalf("upsert: got %d %v", code, item)
	}
	similar := func(to string) []string {
		resp, err := c.SimilarItems(context.Background(), &attunev1.SimilarItemsRequest{Item: to, Limit: 40})
		must(t, err)
		return idsOf(resp.GetItems())
	}
	if got := similar(thing(6)); !slices.Contains(got, "new-mug") {
		t.Fatalf("similar to a mug: got %v, want new-mug among them", got)
	}
	if got := similar("new-mug"); len(got) == 0 || !strings.HasPrefix(got[0], "thing-") {
		t.Fatalf("similar to the new mug: got %v, want other mugs", got)
	}
	if code, out := c.rest(t, http.MethodDelete, "/v1/shops/default/items/"+thing(12), ""); code != http.StatusOK {
		t.Fatalf("delete: got %d %v", code, out)
	}
	if got := similar(thing(6)); slices.Contains(got, thing(12)) {
		t.Fatalf("got the deleted %s in %v", thing(12), got)
	}
	if code, out := c.rest(t, http.MethodGet, "/v1/shops/default/items/"+thing(12)+":similar", ""); code != http.StatusNotFound {
		t.Fatalf("similar to a deleted item: got %d %v, want 404", code, out)
	}
}

// Whoever takes consent back is answered as nobody, at once.
func TestConsentHoldsForTheNextAnswer(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	ask := func(user string) *attunev1.RecommendResponse {
		return c.ask(t, &attunev1.RecommendRequest{User: user, Surface: surfacePlain})
	}
	if len(ask(somebody(4)).GetItems()) == 0 {
		t.Fatal("a known shopper receives nothing")
	}
	_, err := c.users.UpsertUser(ctx, &attunev1.UpsertUserRequest{User: &attunev1.User{Id: somebody(4), Consent: &attunev1.Consent{Analytics: true}}})
	must(t, err)
	if got := ask(somebody(4)).GetItems(); len(got) != 0 {
		t.Fatalf("got %d personal items without consent, want none", len(got))
	}
}

func TestRESTSaysTheSame(t *testing.T) {
	c := ready(t)
	code, out := c.rest(t, http.MethodPost, "/v1/shops/default:recommend", `{"user":"shopper-04","surface":"plain","limit":3}`)
	resp := c.ask(t, &attunev1.RecommendRequest{User: somebody(4), Surface: surfacePlain, Limit: 3})
	list, _ := out["items"].([]any)
	if code != http.StatusOK || len(list) != 3 || out["release"] != resp.GetRelease() {
		t.Fatalf("got %d %v", code, out)
	}
	for i, it := range list {
		m := it.(map[string]any)
		if m["item"] != resp.GetItems()[i].GetItem() || !near(m["score"].(float64), resp.GetItems()[i].GetScore()) {
			t.Errorf("item %d: got %v, want %v", i, m, resp.GetItems()[i])
		}
	}
	for path, want := range map[string]int{
		"/v1/shops/default/items/thing-03:similar?limit=2&context.market=Germany": 200, "/v1/shops/default/releases:current": 200,
		"/v1/shops/default/releases": 200, "/v1/shops/default/items/none": 404, "/nothing": 404, "/openapi.json": 200,
	} {
		if code, out := c.rest(t, http.MethodGet, path, ""); code != want {
			t.Errorf("GET %s: got %d %v, want %d", path, code, out, want)
		}
	}
	if code, out := c.rest(t, http.MethodPost, "/v1/shops/default/events", `{"type":"EVENT_TYPE_VIEW","usr":"x"}`); code != 400 || !strings.Contains(out["message"].(string), "usr") {
		t.Errorf("unknown field: got %d %v, want 400 that names it", code, out)
	}
	if code, out := c.rest(t, http.MethodPost, "/v1/shops/default/events", `{"user":"x"}`); code != 400 || out["details"] == nil {
		t.Errorf("bad event: got %d %v, want 400 with details", code, out)
	}
	if code, out := c.rest(t, http.MethodPost, "/v1/shops/default:recommend", `{"query":"`+strings.Repeat("x", 2<<20)+`"}`); code != http.StatusRequestEntityTooLarge {
		t.Errorf("large request: got %d %v, want 413", code, out)
	}
}

// Health says that there is nothing to answer with, and that there is.
func TestHealth(t *testing.T) {
	dir := stock(t)
	v := publish(t, dir, 1, items())
	c := start(t, config(dir))
	h := healthpb.NewHealthClient(c.conn)
	check := func() healthpb.HealthCheckResponse_ServingStatus {
		resp, err := h.Check(context.Background(), &healthpb.HealthCheckRequest{})
		must(t, err)
		return resp.GetStatus()
	}
	if got := check(); got != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("without a release: got %v", got)
	}
	promote(t, dir, v)
	eventually(t, "health is SERVING", func() bool { return check() == healthpb.HealthCheckResponse_SERVING })
}
