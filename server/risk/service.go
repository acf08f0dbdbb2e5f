package risk

import (
	"cmp"
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/server/api"
	"github.com/attune-rec/attune/server/auth"
)

// Service is RiskService.
type Service struct {
	attunev1.UnimplementedRiskServiceServer
	Keeper *Keeper
	Tokens *api.Tokens
}

func shopOf(name string) features.ShopID {
	return cmp.Or(features.ShopID(name), features.DefaultShop)
}

// AssessRisk implements the RPC.
func (s *Service) AssessRisk(ctx context.Context, r *attunev1.AssessRiskRequest) (*attunev1.AssessRiskResponse, error) {
	a, err := s.Keeper.Assess(ctx, shopOf(r.GetShop()))
	if err != nil {
		return nil, api.Status(err)
	}
	return &attunev1.AssessRiskResponse{Events: a.Events, Flags: a.Flags, Quarantined: a.Quarantined}, nil
}

var states = map[attunev1.RiskState]store.RiskState{
	attunev1.RiskState_RISK_STATE_FLAGGED:     store.RiskFlagged,
	attunev1.RiskState_RISK_STATE_QUARANTINED: store.RiskQuarantined,
	attunev1.RiskState_RISK_STATE_RELEASED:    store.RiskReleased,
}

// ListRiskFlags implements the RPC.
func (s *Service) ListRiskFlags(ctx context.Context, r *attunev1.ListRiskFlagsRequest) (*attunev1.ListRiskFlagsResponse, error) {
	shop, after := shopOf(r.GetShop()), ""
	page, err := s.Tokens.Page(r, "risk/"+string(shop)+"/"+r.GetState().String(), 100, &after)
	if err != nil {
		return nil, api.Status(err)
	}
	flags, err := s.Keeper.o.Store.ListFlags(ctx, shop, states[r.GetState()], after, page.Size+1)
	if err != nil {
		return nil, api.Status(err)
	}
	out := &attunev1.ListRiskFlagsResponse{}
	if flags, out.NextPageToken, err = api.Cut(page, flags, func(last *store.RiskFlag) any { return last.ID() }); err != nil {
		return nil, api.Status(err)
	}
	for i := range flags {
		out.Flags = append(out.Flags, flagToProto(&flags[i]))
	}
	return out, nil
}

// QuarantineRiskFlag implements the RPC.
func (s *Service) QuarantineRiskFlag(ctx context.Context, r *attunev1.QuarantineRiskFlagRequest) (*attunev1.QuarantineRiskFlagResponse, error) {
	f, err := s.Keeper.decide(ctx, shopOf(r.GetShop()), r.GetFlag(), store.RiskQuarantined, auth.From(ctx).ID, r.GetNote())
	if err != nil {
		return nil, api.Status(err)
	}
	return &attunev1.QuarantineRiskFlagResponse{Flag: flagToProto(&f)}, nil
}

// ReleaseRiskFlag implements the RPC.
func (s *Service) ReleaseRiskFlag(ctx context.Context, r *attunev1.ReleaseRiskFlagRequest) (*attunev1.ReleaseRiskFlagResponse, error) {
	f, err := s.Keeper.decide(ctx, shopOf(r.GetShop()), r.GetFlag(), store.RiskReleased, auth.From(ctx).ID, r.GetNote())
	if err != nil {
		return nil, api.Status(err)
	}
	return &attunev1.ReleaseRiskFlagResponse{Flag: flagToProto(&f)}, nil
}

func flagToProto(f *store.RiskFlag) *attunev1.RiskFlag {
	out := &attunev1.RiskFlag{
		Id: f.ID(), Kind: string(f.Kind), Subject: f.Subject.String(), Score: f.Score, FromSequence: f.From, ToSequence: f.To,
		FirstTime: timestamppb.New(f.First), LastTime: timestamppb.New(f.Last), Events: f.Events, FoundTime: timestamppb.New(f.Found),
		DecidedBy: f.Actor, Note: f.Note,
	}
	for p, state := range states {
		if state == f.State {
			out.State = p
		}
	}
	if !f.Decided.IsZero() {
		out.DecidedTime = timestamppb.New(f.Decided)
	}
	for _, r := range f.Reasons {
		out.Reasons = append(out.Reasons, &attunev1.RiskReason{Signal: r.Signal, Value: r.Value, Usual: r.Usual, Weight: r.Weight, Text: r.Text})
	}
	return out
}
