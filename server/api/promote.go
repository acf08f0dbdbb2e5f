package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/live"
)

// actor is who changed a serving state, in its history, while no keys tell
// callers apart.
const actor = "api"

// PromoteRelease implements the RPC. It returns when this server serves the
// release; a release that it cannot load is refused before anything changes, and
// so is one that breaks a limit of fairness, unless the call says why it may.
func (s *Releases) PromoteRelease(ctx context.Context, r *attunev1.PromoteReleaseRequest) (*attunev1.CurrentRelease, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	change := release.Change{By: actor, Reason: r.GetReason()}
	unfair, why := s.fair(ctx, shop, r.GetVersion()), r.GetDespiteFairness()
	if unfair != nil && (why == "" || !errors.Is(unfair, eval.ErrUnfair)) {
		return nil, Status(unfair)
	}
	if err := s.ready(ctx, shop, r.GetVersion()); err != nil {
		return nil, Status(err)
	}
	if unfair != nil {
		if err := s.Despite(ctx, shop, r.GetVersion(), fmt.Sprintf("despite fairness: %s; because: %s", unfair, why)); err != nil {
			return nil, Status(err)
		}
		change.Reason = strings.TrimPrefix(change.Reason+"; despite fairness: "+why, "; ")
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

// fair reports eval.ErrUnfair for a release that breaks a limit of its shop.
func (s *Releases) fair(ctx context.Context, shop features.ShopID, version string) error {
	if len(s.Limits) == 0 {
		return nil
	}
	metrics, err := release.ReadMetrics(ctx, s.Store, shop, version)
	if err != nil {
		return err
	}
	err = eval.CheckFair(s.Limits, shop, func(metric string) (low, high float64, ok bool) {
		m, ok := metrics[metric]
		return m.Low, m.High, ok
	})
	if err != nil {
		return fmt.Errorf("release %s: %w", version, err)
	}
	return nil
}

// served reports whether a shop's shoppers ever received a release.
func (s *Releases) served(ctx context.Context, shop features.ShopID, version string) (bool, error) {
	past, err := release.History(ctx, s.Store, shop, 0)
	return slices.ContainsFunc(past, func(p release.Serving) bool { return p.Stable == version }), err
}

// ready loads a release beside what is served, after what lies elsewhere is
// prepared: what cannot be served must not be promoted. Where nothing is served
// yet it is read whole.
func (s *Releases) ready(ctx context.Context, shop features.ShopID, version string) error {
	if s.Prepare != nil {
		if err := s.read(ctx, shop, version); err != nil {
			return err
		}
	}
	err := s.Service.Ready(ctx, shop, version)
	if !errors.Is(err, live.ErrNotServed) {
		return err
	}
	if s.Prepare == nil {
		return s.read(ctx, shop, version)
	}
	return nil
}

func (s *Releases) read(ctx context.Context, shop features.ShopID, version string) error {
	r, err := release.Open(pace.With(ctx, s.Pace), s.Store, shop, version, s.Kinds)
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
	if version := r.GetVersion(); version != "" && len(s.Limits) > 0 { // no way around the limits of promoting
		was, err := s.served(ctx, shop, version)
		if err == nil && !was {
			err = s.fair(ctx, shop, version)
		}
		if err != nil {
			return nil, Status(err)
		}
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
