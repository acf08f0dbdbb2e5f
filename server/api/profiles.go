package api

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/expr"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/profile"
)

// Profiles is ProfileService.
type Profiles struct {
	attunev1.UnimplementedProfileServiceServer
	Keeper *profile.Keeper
	Users  store.Users
	Names  Names
	Tokens *Tokens
}

// person is the key of the shop's own id; store.ErrNotFound for a shop that
// does not exist.
func person(ctx context.Context, names Names, shop features.ShopID, id string) (features.UserKey, error) {
	p, err := names.Known(ctx, shop)
	if err != nil {
		return features.UserKey{}, err
	}
	if p == nil {
		return features.UserKey{}, store.ErrNotFound
	}
	return p.User(id), nil
}

// GetProfile implements the RPC.
func (s *Profiles) GetProfile(ctx context.Context, r *attunev1.GetProfileRequest) (*attunev1.Profile, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	key, err := person(ctx, s.Names, shop, r.GetId())
	if err != nil {
		return nil, Status(err)
	}
	f, err := s.Keeper.Get(ctx, shop, key)
	if err != nil {
		return nil, Status(err)
	}
	return profileToProto(&f, r.GetId()), nil
}

// profilesEach is how many profiles are worth a goroutine.
const profilesEach = 25

// BatchGetProfiles implements the RPC.
func (s *Profiles) BatchGetProfiles(ctx context.Context, r *attunev1.BatchGetProfilesRequest) (*attunev1.BatchGetProfilesResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	ids := r.GetIds()
	names, err := s.Names.Known(ctx, shop)
	if err == nil && names == nil {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, Status(err)
	}
	keys := make([]features.UserKey, len(ids))
	for i, id := range ids {
		keys[i] = names.User(id)
	}
	tellEarly(ctx, s.Keeper.Known(shop, keys))
	found := make([]*attunev1.Profile, len(ids)) // nil: none
	failed := make([]error, min(runtime.GOMAXPROCS(0), max(1, len(ids)/profilesEach)))
	var wg sync.WaitGroup
	for i := range failed {
		from, to := i*len(ids)/len(failed), (i+1)*len(ids)/len(failed)
		if i == len(failed)-1 {
			failed[i] = s.find(ctx, shop, ids[from:to], keys[from:to], found[from:to])
			continue
		}
		wg.Go(func() { failed[i] = s.find(ctx, shop, ids[from:to], keys[from:to], found[from:to]) })
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return nil, Status(err)
		}
	}
	return &attunev1.BatchGetProfilesResponse{Profiles: slices.DeleteFunc(found, func(p *attunev1.Profile) bool { return p == nil })}, nil
}

// find fills in the profiles of those ids that have one.
func (s *Profiles) find(ctx context.Context, shop features.ShopID, ids []string, keys []features.UserKey, found []*attunev1.Profile) error {
	room := profileRoom{each: len(ids)}
	return s.Keeper.Each(ctx, shop, keys, func(at int, f *profile.Found) {
		found[at] = room.profile(f, ids[at])
	})
}

// ListProfiles implements the RPC.
func (s *Profiles) ListProfiles(ctx context.Context, r *attunev1.ListProfilesRequest) (*attunev1.ListProfilesResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	keep, err := s.filter(r.GetFilter())
	if err != nil {
		return nil, Status(err)
	}
	var after features.UserKey
	page, err := s.Tokens.Page(r, "profiles/"+string(shop)+"/"+r.GetFilter(), 100, &after)
	if err != nil {
		return nil, Status(err)
	}
	list, next, err := s.Keeper.List(ctx, shop, after, page.Size, keep)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListProfilesResponse{}
	for i := range list {
		id, err := ownID(ctx, s.Users, shop, list[i].Key)
		if err != nil {
			return nil, Status(err)
		}
		out.Profiles = append(out.Profiles, profileToProto(&list[i], id))
	}
	if next != nil {
		if out.NextPageToken, err = page.Next(*next); err != nil {
			return nil, Status(err)
		}
	}
	return out, nil
}

// filter is what an expression over profile fields keeps.
func (s *Profiles) filter(source string) (func(profile.Found) bool, error) {
	if source == "" {
		return func(profile.Found) bool { return true }, nil
	}
	p, err := s.Keeper.Engine().Compile(source, expr.Segment)
	if err != nil {
		return nil, fieldErrorf("filter", "%v", err)
	}
	return func(f profile.Found) bool {
		return p.Holds(&features.Request{
			Query: features.Query{Now: s.Keeper.Now()}, Item: features.NoRow,
			Shopper: &features.Shopper{Key: f.Key, Profile: f.Profile, Consent: f.Consent},
		})
	}, nil
}

// ownID is the shop's own id of a person; "" when the shop never described them.
func ownID(ctx context.Context, users store.Users, shop features.ShopID, key features.UserKey) (string, error) {
	u, err := users.GetUser(ctx, shop, key)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return u.ID, err
}
