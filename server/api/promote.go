package api

import (
	"context"
	"errors"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

// actor is who changed a serving state, in its history, while no keys tell
// callers apart.
const actor = "api"

// PromoteRelease implements the RPC. It returns when this server serves the
// release; a release that it cannot load is refused before anything changes.
func (s *Releases) PromoteRelease(ctx context.Context, r *attunev1.PromoteReleaseRequest) (*attunev1.CurrentRelease, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	change := release.Change{By: actor, Reason: r.GetReason()}
	if err := s.verify(ctx, shop, r.GetVersion()); err != nil {
		return nil, Status(err)
	}
	if share := r.GetCanaryShare(); share > 0 && share < 1 {
		_, err = release.StartCanary(ctx, s.Store, shop, r.GetVersion(), share, change)
	} else {
		_, err = release.Promote(ctx, s.Store, shop, r.GetVersion(), change)
	}
	if err != nil {
		return nil, Status(err)
	}
	out, err := s.take(ctx, shop)
	return out, Status(err)
}

// verify reads a release whole, and prepares what lies elsewhere: what cannot be
// served must not be promoted.
func (s *Releases) verify(ctx context.Context, shop features.ShopID, version string) error {
	r, err := release.Open(ctx, s.Store, shop, version, s.Kinds)
	if err != nil {
		return err
	}
	if s.Prepare != nil {
		err = s.Prepare(ctx, r)
	}
	return errors.Join(err, r.Close())
}

// RollbackRelease implements the RPC. It returns when this server serves the
// release.
func (s *Releases) RollbackRelease(ctx context.Context, r *attunev1.RollbackReleaseRequest) (*attunev1.CurrentRelease, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	if _, err := release.Rollback(ctx, s.Store, shop, r.GetVersion(), release.Change{By: actor, Reason: r.GetReason()}); err != nil {
		return nil, Status(err)
	}
	out, err := s.take(ctx, shop)
	return out, Status(err)
}

// take carries a new state out and says what is served then.
func (s *Releases) take(ctx context.Context, shop features.ShopID) (*attunev1.CurrentRelease, error) {
	if err := s.Service.Load(ctx, shop); err != nil {
		return nil, err
	}
	if s.Taken != nil {
		s.Taken(ctx, shop)
	}
	return s.current(ctx, shop)
}
