package profile

import (
	"context"
	"slices"
	"time"

	"github.com/attune-rec/attune/features"
)

// Listed says that a partner's list of a shop changed: every profile reflects
// it from its next read on.
func (k *Keeper) Listed(id features.ShopID) { k.shop(id).listing.Add(1) }

// list reads which partners' lists the shopper is on, under any of their names,
// unless that is known or there are none; e's lock is held.
func (s *shop) list(ctx context.Context, key features.UserKey, e *entry) error {
	now := s.listing.Load() // before the reads: a change meanwhile is read again
	if e.listed == now {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.k.o.Load)
	defer cancel()
	names, err := s.k.o.Store.Aliases(ctx, s.id, key)
	if err != nil {
		return err
	}
	lists, err := s.k.o.Store.Memberships(ctx, s.id, append(names, key))
	if err != nil {
		return err
	}
	e.lists, e.listed, e.made = lists, now, nil
	return nil
}

// on is the lists that e's shopper is on at a time. Who did not agree to
// marketing is on none.
func (e *entry) on(now time.Time) []features.Membership {
	if len(e.lists) == 0 || !e.consent.Has(features.Marketing) {
		return nil
	}
	if !slices.ContainsFunc(e.lists, func(m features.Membership) bool { return !m.Holds(now) }) {
		return e.lists
	}
	return slices.DeleteFunc(slices.Clone(e.lists), func(m features.Membership) bool { return !m.Holds(now) })
}
