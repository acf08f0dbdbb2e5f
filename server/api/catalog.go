package api

import (
	"context"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Catalog is CatalogService.
type Catalog struct {
	attunev1.UnimplementedCatalogServiceServer
	Store interface {
		store.Catalogue
		ItemHistory(ctx context.Context, shop features.ShopID, id string) ([]store.Price, error)
	}
	Validate protovalidate.Validator
	Tokens   *Tokens
	Changed  func(features.ShopID) // told after a durable change; nil: nobody
}

func (c *Catalog) changed(shop features.ShopID) {
	if c.Changed != nil {
		c.Changed(shop)
	}
}

// UpsertItem implements the RPC.
func (c *Catalog) UpsertItem(ctx context.Context, r *attunev1.UpsertItemRequest) (*attunev1.Item, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	item := r.GetItem()
	if r.GetUpdateMask() != nil {
		old, err := c.Store.GetItem(ctx, shop, item.GetId())
		if err != nil {
			return nil, Status(err)
		}
		merged := itemToProto(&old)
		if err := merge(merged, item, r.GetUpdateMask()); err != nil {
			return nil, Status(err)
		}
		item = merged
	}
	if err := checkItem(item); err != nil {
		return nil, Status(err)
	}
	if err := c.Store.PutItems(ctx, shop, []features.Item{itemFromProto(item)}); err != nil {
		return nil, Status(err)
	}
	c.changed(shop)
	stored, err := c.Store.GetItem(ctx, shop, item.GetId())
	if err != nil {
		return nil, Status(err)
	}
	return itemToProto(&stored), nil
}

// BatchUpsertItems implements the RPC.
func (c *Catalog) BatchUpsertItems(ctx context.Context, r *attunev1.BatchUpsertItemsRequest) (*attunev1.BatchUpsertItemsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.BatchUpsertItemsResponse{}
	items := make([]features.Item, 0, len(r.GetItems()))
	for i, it := range r.GetItems() {
		err := c.Validate.Validate(it)
		if err == nil {
			err = checkItem(it)
		}
		if err != nil {
			out.Errors = append(out.Errors, &attunev1.IndexedError{Index: int64(i), Id: it.GetId(), Error: itemError(err)})
			continue
		}
		items = append(items, itemFromProto(it))
	}
	if len(items) > 0 {
		if err := c.Store.PutItems(ctx, shop, items); err != nil {
			return nil, Status(err)
		}
		c.changed(shop)
	}
	out.Accepted, out.Rejected = int64(len(items)), int64(len(out.GetErrors()))
	return out, nil
}

// GetItem implements the RPC.
func (c *Catalog) GetItem(ctx context.Context, r *attunev1.GetItemRequest) (*attunev1.Item, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	it, err := c.Store.GetItem(ctx, shop, r.GetId())
	if err != nil {
		return nil, Status(err)
	}
	return itemToProto(&it), nil
}

// GetItemHistory implements the RPC.
func (c *Catalog) GetItemHistory(ctx context.Context, r *attunev1.GetItemHistoryRequest) (*attunev1.GetItemHistoryResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	past, err := c.Store.ItemHistory(ctx, shop, r.GetId())
	if err != nil {
		return nil, Status(err)
	}
	if len(past) == 0 { // of an item without a price there is none
		if _, err := c.Store.GetItem(ctx, shop, r.GetId()); err != nil {
			return nil, Status(err)
		}
	}
	out := &attunev1.GetItemHistoryResponse{}
	for _, p := range past {
		change := &attunev1.ItemChange{Time: timestamppb.New(p.Time), Market: p.Market}
		switch p.Field {
		case "price":
			change.Value = &attunev1.ItemChange_Price{Price: moneyToProto(p.Amount)}
		case "list_price":
			change.Value = &attunev1.ItemChange_ListPrice{ListPrice: moneyToProto(p.Amount)}
		default:
			change.Value = &attunev1.ItemChange_Stock{Stock: p.Amount.Micros}
		}
		out.Changes = append(out.Changes, change)
	}
	return out, nil
}

// ListItems implements the RPC.
func (c *Catalog) ListItems(ctx context.Context, r *attunev1.ListItemsRequest) (*attunev1.ListItemsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	after := ""
	page, err := c.Tokens.Page(r, "items/"+string(shop), 100, &after)
	if err != nil {
		return nil, Status(err)
	}
	items, err := c.Store.ListItems(ctx, shop, after, page.Size+1)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListItemsResponse{}
	if items, out.NextPageToken, err = Cut(page, items, func(last *features.Item) any { return last.ID }); err != nil {
		return nil, Status(err)
	}
	for i := range items {
		out.Items = append(out.Items, itemToProto(&items[i]))
	}
	return out, nil
}

// DeleteItem implements the RPC.
func (c *Catalog) DeleteItem(ctx context.Context, r *attunev1.DeleteItemRequest) (*emptypb.Empty, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	if err := c.Store.DeleteItem(ctx, shop, r.GetId()); err != nil {
		return nil, Status(err)
	}
	c.changed(shop)
	return &emptypb.Empty{}, nil
}

// itemError is an error of one of several, in the words of Status.
func itemError(err error) *attunev1.ItemError {
	code, _ := codeOf(err)
	out := &attunev1.ItemError{Code: codeName(code), Message: messageOf(code, err)}
	for i, v := range violationsOf(err) { // the first that names a field, else the first
		if i == 0 || out.GetField() == "" && v.GetField() != "" {
			out.Field, out.Message = v.GetField(), v.GetDescription()
		}
	}
	return out
}
