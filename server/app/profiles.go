package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline/source"
	"github.com/attune-rec/attune/server/collect"
	"github.com/attune-rec/attune/server/profile"
	"github.com/attune-rec/attune/server/shopper"
)

// profiles is the live profiles of shoppers.
func (s *Server) profiles() (*profile.Keeper, error) {
	k, err := profile.New(profile.Options{
		Store: s.store, Dir: filepath.Join(s.config.Data, "profiles"), Size: s.config.Profiles, Load: s.config.StoreWait,
		Quarantined: s.quarantined.holds, Pace: &s.pacer, Logger: s.log, Registerer: s.metrics,
	})
	if err != nil {
		return nil, err
	}
	s.people.Store(k)
	s.closing(k.Close)
	return k, nil
}

// segments is what a shopper counts in where trends are counted, as far as a
// profile of them is in memory.
func (s *Server) segments(shop features.ShopID, key features.UserKey) []string {
	if people := s.people.Load(); people != nil { // while it starts there is none
		return source.SegmentsOf(people.Kept(shop, key))
	}
	return nil
}

// listeners are told in order.
type listeners []collect.Listener

// Stored implements collect.Listener.
func (l listeners) Stored(shop features.ShopID, events []features.Event) {
	for _, one := range l {
		one.Stored(shop, events)
	}
}

// Linked implements collect.Listener.
func (l listeners) Linked(shop features.ShopID, alias, user features.UserKey) {
	for _, one := range l {
		one.Linked(shop, alias, user)
	}
}

// forgetter drops what is kept of a shopper.
type forgetter func(shop features.ShopID, key features.UserKey)

// all calls each in turn.
func all(each ...forgetter) func(features.ShopID, features.UserKey) {
	return func(shop features.ShopID, key features.UserKey) {
		for _, forget := range each {
			forget(shop, key)
		}
	}
}

// concluded is what is concluded of a person, or nil.
func concluded(k *profile.Keeper) func(context.Context, features.ShopID, features.UserKey) (*features.Profile, error) {
	return func(ctx context.Context, shop features.ShopID, key features.UserKey) (*features.Profile, error) {
		f, err := k.Get(ctx, shop, key)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		return f.Profile, err
	}
}

// profiled is the live state of shoppers with what is concluded of them, so
// that rules, segments and rankers see it. Without a profile an answer is as
// good as it can be, so that its lack never fails one.
type profiled struct {
	shoppers *shopper.Cache
	profiles *profile.Keeper
}

// Get implements recommend.Shoppers.
func (p profiled) Get(ctx context.Context, shop features.ShopID, user, session features.UserKey, v shopper.View) (*features.Shopper, error) {
	who, err := p.shoppers.Get(ctx, shop, user, session, v)
	if err != nil || !who.Known() {
		return who, err
	}
	f, err := p.profiles.Get(ctx, shop, who.Key)
	if err != nil {
		return who, nil //nolint:nilerr // said by the keeper's metrics; the answer goes on
	}
	with := *who
	with.Profile = f.Profile
	return &with, nil
}
