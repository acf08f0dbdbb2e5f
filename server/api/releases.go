package api

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/pace"
	"github.com/attune-rec/attune/models/eval"
	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/server/live"
)

// Service is what takes a serving state into service.
type Service interface {
	// Load takes the state as it stands now.
	Load(ctx context.Context, shop features.ShopID) error
	// Ready loads a release beside what is served, live.ErrNotServed where nothing is.
	Ready(ctx context.Context, shop features.ShopID, version string) error
	Status(shop features.ShopID) (live.Status, bool)
}

// Releases is ReleaseService.
type Releases struct {
	attunev1.UnimplementedReleaseServiceServer
	Store   release.Store
	Kinds   release.Kinds
	Service Service
	Tokens  *Tokens
	Limits  []eval.FairLimit                                    // that a release must hold to be promoted
	Pace    *pace.Pacer                                         // of reading a release through; nil: at full speed
	Prepare func(ctx context.Context, r *release.Release) error // before a promotion; nil: nothing to do
	Taken   func(ctx context.Context, shop features.ShopID)     // after a change is carried out; nil: nobody to tell

	// Despite writes down that a release is promoted although a limit does not hold,
	// before it is. Needed where there are limits.
	Despite func(ctx context.Context, shop features.ShopID, version, why string) error
}

// ListReleases implements the RPC.
func (s *Releases) ListReleases(ctx context.Context, r *attunev1.ListReleasesRequest) (*attunev1.ListReleasesResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	versions, err := s.Store.Versions(ctx, shop)
	if err != nil {
		return nil, Status(err)
	}
	slices.Reverse(versions)
	after := ""
	page, err := s.Tokens.Page(r, "releases/"+string(shop), 20, &after)
	if err != nil {
		return nil, Status(err)
	}
	if after != "" {
		versions = slices.DeleteFunc(versions, func(v string) bool { return v >= after })
	}
	out := &attunev1.ListReleasesResponse{}
	if versions, out.NextPageToken, err = Cut(page, versions, func(last *string) any { return *last }); err != nil {
		return nil, Status(err)
	}
	for _, v := range versions {
		rel, err := s.release(ctx, shop, v)
		if err != nil {
			return nil, Status(err)
		}
		out.Releases = append(out.Releases, rel)
	}
	return out, nil
}

// GetRelease implements the RPC.
func (s *Releases) GetRelease(ctx context.Context, r *attunev1.GetReleaseRequest) (*attunev1.Release, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	rel, err := s.release(ctx, shop, r.GetVersion())
	return rel, Status(err)
}

func (s *Releases) release(ctx context.Context, shop features.ShopID, version string) (*attunev1.Release, error) {
	m, err := release.ReadManifest(ctx, s.Store, shop, version)
	if err != nil {
		return nil, err
	}
	metrics, err := release.ReadMetrics(ctx, s.Store, shop, version)
	if err != nil {
		return nil, err
	}
	out := &attunev1.Release{
		Version: m.Version, CreateTime: timestamppb.New(m.Created), Items: int64(m.Items), Events: m.Lineage.Events, Users: int64(m.Lineage.Users),
		DataFrom: timeToProto(m.Lineage.DataFrom), DataTo: timeToProto(m.Lineage.DataTo), Bytes: m.Bytes(), Code: m.Lineage.Code,
	}
	for _, e := range m.Models {
		out.Models = append(out.Models, &attunev1.ReleaseModel{Name: e.Name, Kind: e.Kind})
	}
	if len(metrics) > 0 {
		out.Metrics = make(map[string]float64, len(metrics))
		for name, metric := range metrics {
			out.Metrics[name] = metric.Value
		}
	}
	return out, nil
}

// GetCurrentRelease implements the RPC.
func (s *Releases) GetCurrentRelease(ctx context.Context, r *attunev1.GetCurrentReleaseRequest) (*attunev1.CurrentRelease, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	out, err := s.current(ctx, shop)
	return out, Status(err)
}

func (s *Releases) current(ctx context.Context, shop features.ShopID) (*attunev1.CurrentRelease, error) {
	past, err := release.History(ctx, s.Store, shop, 0)
	if err != nil {
		return nil, err
	}
	if len(past) == 0 {
		_, err := release.Current(ctx, s.Store, shop)
		return nil, err
	}
	state := past[len(past)-1]
	out := &attunev1.CurrentRelease{
		Number: state.Number, Stable: state.Stable, Previous: release.Previous(past), Time: timeToProto(state.Time),
	}
	if state.Canary != nil {
		out.Canary, out.CanaryShare = state.Canary.Version, state.Canary.Share
	}
	if status, ok := s.Service.Status(shop); ok {
		out.Loaded = status.Stable
	}
	return out, nil
}
