package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/types/known/emptypb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline/rule"
	"github.com/attune-rec/attune/server/steer"
)

// Served is the answers that were given lately.
type Served interface {
	RecentServed(ctx context.Context, shop features.ShopID, surface string, limit int) ([]store.Served, error)
}

// Rules is RuleService.
type Rules struct {
	attunev1.UnimplementedRuleServiceServer
	Keeper *steer.Keeper
	Served Served          // recent answers, for dry runs
	Asked  *Recommendation // what dry runs ask
	Tokens *Tokens
}

// UpsertRuleSet implements the RPC.
func (s *Rules) UpsertRuleSet(ctx context.Context, r *attunev1.UpsertRuleSetRequest) (*attunev1.RuleSet, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	set, err := ruleSetFromProto(r.GetRuleSet())
	if err != nil {
		return nil, Status(err)
	}
	kept, err := s.Keeper.Put(ctx, shop, set)
	if err != nil {
		return nil, Status(faulty(err))
	}
	return ruleSetToProto(&kept), nil
}

// GetRuleSet implements the RPC.
func (s *Rules) GetRuleSet(ctx context.Context, r *attunev1.GetRuleSetRequest) (*attunev1.RuleSet, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	set, err := s.Keeper.Get(ctx, shop, r.GetId())
	if err != nil {
		return nil, Status(err)
	}
	return ruleSetToProto(&set), nil
}

// ListRuleSets implements the RPC.
func (s *Rules) ListRuleSets(ctx context.Context, r *attunev1.ListRuleSetsRequest) (*attunev1.ListRuleSetsResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	after := ""
	page, err := s.Tokens.Page(r, "rule-sets/"+string(shop), 20, &after)
	if err != nil {
		return nil, Status(err)
	}
	sets, err := s.Keeper.List(ctx, shop, after, page.Size+1)
	if err != nil {
		return nil, Status(err)
	}
	out := &attunev1.ListRuleSetsResponse{}
	if sets, out.NextPageToken, err = Cut(page, sets, func(last *steer.Set) any { return last.ID }); err != nil {
		return nil, Status(err)
	}
	for i := range sets {
		out.RuleSets = append(out.RuleSets, ruleSetToProto(&sets[i]))
	}
	return out, nil
}

// DeleteRuleSet implements the RPC.
func (s *Rules) DeleteRuleSet(ctx context.Context, r *attunev1.DeleteRuleSetRequest) (*emptypb.Empty, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	revision, err := revisionOf(r.GetEtag(), "etag")
	if err != nil {
		return nil, Status(err)
	}
	if err := s.Keeper.Delete(ctx, shop, r.GetId(), revision); err != nil {
		return nil, Status(err)
	}
	return &emptypb.Empty{}, nil
}

// faulty says of a rule that cannot run which field of the request is wrong.
func faulty(err error) error {
	var f *rule.Fault
	switch {
	case !errors.As(err, &f):
		return err
	case f.Field == "":
		return fieldErrorf("rule_set.rules", "%v", f.Err)
	}
	field := f.Field
	switch field {
	case "factor":
		field = "boost.factor"
	case "slot":
		field = "pin.slot"
	}
	return fieldErrorf(fmt.Sprintf("rule_set.rules[%d].%s", f.Index, field), "%v", f.Err)
}

// etagOf and revisionOf turn a revision into what callers give back.
func etagOf(revision int64) string { return "r" + strconv.FormatInt(revision, 36) }

func revisionOf(etag, field string) (int64, error) {
	if etag == "" {
		return 0, nil
	}
	revision, err := strconv.ParseInt(etag[1:], 36, 64)
	if err != nil || etag[0] != 'r' || revision <= 0 {
		return 0, fieldErrorf(field, "%q is no etag of a rule set: give back the one of GetRuleSet, or none", etag)
	}
	return revision, nil
}
