package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// A device, a hashed e-mail and a second account become one person and are taken
// apart again; no piece bought is lost or counted twice, after a restart either.
func TestPeopleAreJoinedAndTakenApart(t *testing.T) {
	dir := stock(t)
	c := start(t, config(dir))
	ctx := context.Background()
	digest := strings.Repeat("0aB1", 16)
	bought := map[string]int{"ann": 3, "device:tablet": 2, "email:" + strings.ToLower(digest): 4, "anna": 5}
	day := 0
	for who, n := range bought {
		for range n {
			day++
			c.collect(t, &attunev1.Event{
				Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: who, Item: thing(1), Order: fmt.Sprint(who, day), Quantity: 1,
				Price: &attunev1.Money{Micros: 1_000_000, Currency: "EUR"}, Time: timestamppb.New(time.Now().Add(-time.Duration(day) * time.Hour)),
			})
		}
	}
	has := func(who string, want int64) {
		t.Helper()
		soon(t, fmt.Sprintf("%d pieces of %s", want, who), func() bool {
			p, err := attunev1.NewProfileServiceClient(c.conn).GetProfile(ctx, &attunev1.GetProfileRequest{Id: who})
			return err == nil && p.GetPieces() == want
		})
	}
	for who, n := range bought {
		has(who, int64(n))
	}
	users := attunev1.NewUserServiceClient(c.conn)
	tablet := &attunev1.Alias{Name: &attunev1.Alias_Device{Device: "tablet"}}
	one, err := users.LinkUser(ctx, &attunev1.LinkUserRequest{Id: "ann", Alias: tablet})
	must(t, err)
	if again, err := users.LinkUser(ctx, &attunev1.LinkUserRequest{Id: "ann", Alias: tablet}); err != nil || again.GetKey() != one.GetKey() {
		t.Errorf("linked again: got %v, %v, want the same person", again, err)
	}
	if code, body := c.rest(t, http.MethodPost, "/v1/shops/default/users/ann/aliases:link", `{"emailSha256": "`+digest+`"}`); code != http.StatusOK || body["key"] != one.GetKey() {
		t.Errorf("REST: got %d, %v", code, body)
	}
	other := &attunev1.Alias{Name: &attunev1.Alias_User{User: "anna"}}
	_, err = users.LinkUser(ctx, &attunev1.LinkUserRequest{Id: "ann", Alias: other})
	must(t, err)
	for who := range bought {
		has(who, 14) // whoever is asked for
	}
	c.collect(t, &attunev1.Event{
		Type: attunev1.EventType_EVENT_TYPE_PURCHASE, User: "anna", Item: thing(2), Order: "late", Quantity: 1,
		Price: &attunev1.Money{Micros: 1_000_000, Currency: "EUR"}, Time: timestamppb.Now(),
	})
	has("ann", 15)
	c.stop()
	c = start(t, config(dir))
	users = attunev1.NewUserServiceClient(c.conn)
	has("ann", 15)
	for _, name := range []*attunev1.Alias{tablet, other, {Name: &attunev1.Alias_EmailSha256{EmailSha256: digest}}} {
		_, err := users.UnlinkUser(ctx, &attunev1.UnlinkUserRequest{Id: "ann", Alias: name})
		must(t, err)
		if _, err := users.UnlinkUser(ctx, &attunev1.UnlinkUserRequest{Id: "ann", Alias: name}); status.Code(err) != codes.NotFound {
			t.Errorf("unlinked twice: got %v, want NotFound", err)
		}
	}
	bought["anna"]++
	for who, n := range bought {
		has(who, int64(n))
	}
	for _, wrong := range []*attunev1.Alias{nil, {}, {Name: &attunev1.Alias_User{User: "ann"}}, {Name: &attunev1.Alias_EmailSha256{EmailSha256: "ann@example.com"}}} {
		if _, err := users.LinkUser(ctx, &attunev1.LinkUserRequest{Id: "ann", Alias: wrong}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%v: got %v, want InvalidArgument", wrong, err)
		}
	}
}

// What an item cost and how many there were is told with its times.
func TestItemsHaveAHistory(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	catalogue := attunev1.NewCatalogServiceClient(c.conn)
	put := func(price int64, stock int32) {
		_, err := catalogue.UpsertItem(ctx, &attunev1.UpsertItemRequest{Item: &attunev1.Item{
			Id: "new-1", Title: "Tasse", Prices: map[string]*attunev1.Money{"": {Micros: price * 1_000_000, Currency: "EUR"}},
			Stock: map[string]int32{"Germany": stock},
		}})
		must(t, err)
		time.Sleep(2 * time.Millisecond) // histories are kept to the millisecond
	}
	put(10, 5)
	put(12, 5)
	put(12, 4)
	h, err := catalogue.GetItemHistory(ctx, &attunev1.GetItemHistoryRequest{Id: "new-1"})
	must(t, err)
	var prices, stocks []int64
	for _, change := range h.GetChanges() {
		switch v := change.GetValue().(type) {
		case *attunev1.ItemChange_Price:
			prices = append(prices, v.Price.GetMicros()/1_000_000)
		case *attunev1.ItemChange_Stock:
			stocks = append(stocks, v.Stock)
			if change.GetMarket() != "Germany" {
				t.Errorf("got stock of market %q, want Germany", change.GetMarket())
			}
		}
	}
	if fmt.Sprint(prices, stocks) != "[10 12] [5 4]" {
		t.Errorf("got prices %v and stocks %v, want [10 12] and [5 4]", prices, stocks)
	}
	if code, body := c.rest(t, http.MethodGet, "/v1/shops/default/items/new-1/history", ""); code != http.StatusOK || len(body["changes"].([]any)) != 4 {
		t.Errorf("REST: got %d, %v", code, body)
	}
	if _, err := catalogue.GetItemHistory(ctx, &attunev1.GetItemHistoryRequest{Id: "nothing"}); status.Code(err) != codes.NotFound {
		t.Errorf("got %v of an item that there is not, want NotFound", err)
	}
}
