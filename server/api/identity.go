package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// aliasOf is the key of what a person goes by as well. Devices and hashed
// e-mails are users of a name of their own, as events name them.
func aliasOf(a *attunev1.Alias, names *features.Pseudonyms) features.UserKey {
	switch name := a.GetName().(type) {
	case *attunev1.Alias_Session:
		return names.Session(name.Session)
	case *attunev1.Alias_User:
		return names.User(name.User)
	case *attunev1.Alias_Device:
		return names.User(features.DeviceUser(name.Device))
	case *attunev1.Alias_EmailSha256:
		return names.User(features.EmailUser(strings.ToLower(name.EmailSha256)))
	}
	return features.UserKey{}
}

// LinkUser implements the RPC.
func (u *Users) LinkUser(ctx context.Context, r *attunev1.LinkUserRequest) (*attunev1.LinkUserResponse, error) {
	shop, user, alias, err := u.two(ctx, r.GetShop(), r.GetId(), r.GetAlias())
	if err != nil {
		return nil, Status(err)
	}
	person, err := u.Store.Resolve(ctx, shop, user)
	if err != nil {
		return nil, Status(err)
	}
	was, err := u.Store.Resolve(ctx, shop, alias)
	if err != nil {
		return nil, Status(err)
	}
	if person == was {
		return &attunev1.LinkUserResponse{Key: person.String()}, nil // they are one already
	}
	if err := u.Store.Link(ctx, shop, alias, user); err != nil {
		return nil, Status(err)
	}
	if u.Linked != nil {
		u.Linked(shop, alias, person)
	}
	for _, key := range []features.UserKey{user, person, was} { // was: whose the alias was before
		u.changed(shop, key)
	}
	return &attunev1.LinkUserResponse{Key: person.String()}, nil
}

// UnlinkUser implements the RPC.
func (u *Users) UnlinkUser(ctx context.Context, r *attunev1.UnlinkUserRequest) (*attunev1.UnlinkUserResponse, error) {
	shop, user, alias, err := u.two(ctx, r.GetShop(), r.GetId(), r.GetAlias())
	if err != nil {
		return nil, Status(err)
	}
	own, err := u.Store.Aliases(ctx, shop, user)
	if err != nil {
		return nil, Status(err)
	}
	if !slices.Contains(own, alias) {
		return nil, Status(fmt.Errorf("unlink: that is not linked to this user: %w", store.ErrNotFound))
	}
	person, err := u.Store.Resolve(ctx, shop, user)
	if err != nil {
		return nil, Status(err)
	}
	if err := u.Store.Unlink(ctx, shop, alias); err != nil {
		return nil, Status(err)
	}
	if u.Unlinked != nil {
		u.Unlinked(shop, alias, person)
	}
	for _, key := range []features.UserKey{alias, user, person} {
		u.changed(shop, key)
	}
	return &attunev1.UnlinkUserResponse{Key: person.String()}, nil
}

// two is the shop, the user and the alias that a request names.
func (u *Users) two(ctx context.Context, shopName, id string, a *attunev1.Alias) (shop features.ShopID, user, alias features.UserKey, err error) {
	if shop, user, err = u.locate(ctx, shopName, id); err != nil {
		return shop, user, alias, err
	}
	names, err := u.Store.Pseudonyms(ctx, shop)
	if err != nil {
		return shop, user, alias, err
	}
	if alias = aliasOf(a, names); alias == user {
		err = fieldErrorf("alias", "it is the user: name what else the person goes by")
	}
	return shop, user, alias, err
}
