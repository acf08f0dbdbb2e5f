package api

import (
	"context"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/types/known/emptypb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
)

// Users is UserService.
type Users struct {
	attunev1.UnimplementedUserServiceServer
	Store interface {
		store.Users
		store.Identities
	}
	Validate protovalidate.Validator
	Tokens   *Tokens
	Changed  func(features.ShopID, features.UserKey) // told after a durable change; nil: nobody
	// Linked and Unlinked are told of an alias and the person that it is, or
	// was, one with; nil: nobody.
	Linked, Unlinked func(shop features.ShopID, alias, person features.UserKey)
}

func (u *Users) changed(shop features.ShopID, key features.UserKey) {
	if u.Changed != nil {
		u.Changed(shop, key)
	}
}

// locate is the shop and the person that a request names.
func (u *Users) locate(ctx context.Context, shopName, id string) (features.ShopID, features.UserKey, error) {
	shop, err := shopOf(shopName)
	if err != nil {
		return "", features.UserKey{}, err
	}
	names, err := u.Store.Pseudonyms(ctx, shop)
	if err != nil {
		return "", features.UserKey{}, err
	}
	return shop, names.User(id), nil
}

// UpsertUser implements the RPC.
func (u *Users) UpsertUser(ctx context.Context, r *attunev1.UpsertUserRequest) (*attunev1.User, error) {
	user := r.GetUser()
	shop, key, err := u.locate(ctx, r.GetShop(), user.GetId())
	if err != nil {
		return nil, Status(err)
	}
	if r.GetUpdateMask() != nil {
		old, err := u.Store.GetUser(ctx, shop, key)
		if err != nil {
			return nil, Status(err)
		}
		merged := userToProto(&old)
		if err := merge(merged, user, r.GetUpdateMask()); err != nil {
			return nil, Status(err)
		}
		user = merged
	}
	names, err := u.Store.Pseudonyms(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	if err := u.Store.PutUsers(ctx, shop, []store.User{userFromProto(user, names)}); err != nil {
		return nil, Status(err)
	}
	u.changed(shop, key)
	stored, err := u.Store.GetUser(ctx, shop, key)
	if err != nil {
		return nil, Status(err)
	}
	return userToProto(&stored), nil
}

// BatchUpsertUsers implements the RPC.
func (u *Users) BatchUpsertUsers(ctx context.Context, r *attunev1.BatchUpsertUsersRequest) (*attunev1.BatchUpsertUsersResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	names, err := u.Store.Pseudonyms(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.BatchUpsertUsersResponse{}
	users := make([]store.User, 0, len(r.GetUsers()))
	for i, user := range r.GetUsers() {
		if err := u.Validate.Validate(user); err != nil {
			out.Errors = append(out.Errors, &attunev1.IndexedError{Index: int64(i), Id: user.GetId(), Error: itemError(err)})
			continue
		}
		users = append(users, userFromProto(user, names))
	}
	if len(users) > 0 {
		if err := u.Store.PutUsers(ctx, shop, users); err != nil {
			return nil, Status(err)
		}
		for i := range users {
			u.changed(shop, users[i].Key)
		}
	}
	out.Accepted, out.Rejected = int64(len(users)), int64(len(out.GetErrors()))
	return out, nil
}

// GetUser implements the RPC.
func (u *Users) GetUser(ctx context.Context, r *attunev1.GetUserRequest) (*attunev1.User, error) {
	shop, key, err := u.locate(ctx, r.GetShop(), r.GetId())
	if err != nil {
		return nil, Status(err)
	}
	user, err := u.Store.GetUser(ctx, shop, key)
	if err != nil {
		return nil, Status(err)
	}
	return userToProto(&user), nil
}

// ListUsers implements the RPC.
func (u *Users) ListUsers(ctx context.Context, r *attunev1.ListUsersRequest) (*attunev1.ListUsersResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	var after features.UserKey
	page, err := u.Tokens.Page(r, "users/"+string(shop), 100, &after)
	if err != nil {
		return nil, Status(err)
	}
	users, err := u.Store.ListUsers(ctx, shop, after, page.Size+1)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListUsersResponse{}
	if users, out.NextPageToken, err = Cut(page, users, func(last *store.User) any { return last.Key }); err != nil {
		return nil, Status(err)
	}
	for i := range users {
		out.Users = append(out.Users, userToProto(&users[i]))
	}
	return out, nil
}

// DeleteUser implements the RPC.
func (u *Users) DeleteUser(ctx context.Context, r *attunev1.DeleteUserRequest) (*emptypb.Empty, error) {
	shop, key, err := u.locate(ctx, r.GetShop(), r.GetId())
	if err != nil {
		return nil, Status(err)
	}
	if err := u.Store.DeleteUser(ctx, shop, key); err != nil {
		return nil, Status(err)
	}
	u.changed(shop, key)
	return &emptypb.Empty{}, nil
}
