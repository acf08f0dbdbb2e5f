package api

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/models/pipeline/rule"
	"github.com/attune-rec/attune/server/steer"
)

func ruleSetFromProto(p *attunev1.RuleSet) (steer.Set, error) {
	revision, err := revisionOf(p.GetEtag(), "rule_set.etag")
	if err != nil {
		return steer.Set{}, err
	}
	set := steer.Set{
		Title: p.GetTitle(), Revision: revision,
		Set: rule.Set{ID: p.GetId(), Surface: p.GetSurface(), Starts: TimeOf(p.GetStartTime()), Ends: TimeOf(p.GetEndTime())},
	}
	for _, r := range p.GetRules() {
		set.Rules = append(set.Rules, ruleFromProto(r))
	}
	return set, nil
}

func ruleFromProto(p *attunev1.Rule) rule.Rule {
	r := rule.Rule{
		Name: p.GetName(), When: p.GetWhen(), Condition: p.GetCondition(), Priority: int(p.GetPriority()),
		Off: p.Enabled != nil && !p.GetEnabled(),
	}
	switch a := p.GetAction().(type) {
	case *attunev1.Rule_Filter:
		r.Action, r.Drop = rule.Filter, a.Filter.GetDrop()
	case *attunev1.Rule_Boost:
		r.Action, r.Factor = rule.Boost, a.Boost.GetFactor()
	case *attunev1.Rule_Bury:
		r.Action = rule.Bury
	case *attunev1.Rule_Pin:
		r.Action, r.Slot, r.Sponsored = rule.Pin, int(a.Pin.GetSlot()), a.Pin.GetSponsored()
	case *attunev1.Rule_Quota:
		r.Action, r.MinCount, r.MaxCount = rule.Quota, int(a.Quota.GetMinCount()), int(a.Quota.GetMaxCount())
		r.MinShare, r.MaxShare = a.Quota.GetMinShare(), a.Quota.GetMaxShare()
	}
	return r
}

func ruleSetToProto(s *steer.Set) *attunev1.RuleSet {
	p := &attunev1.RuleSet{
		Id: s.ID, Title: s.Title, Surface: s.Surface, StartTime: timeToProto(s.Starts), EndTime: timeToProto(s.Ends),
		Etag: etagOf(s.Revision), CreateTime: timestamppb.New(s.Created), UpdateTime: timestamppb.New(s.Updated),
	}
	for i := range s.Rules {
		p.Rules = append(p.Rules, ruleToProto(&s.Rules[i]))
	}
	return p
}

func ruleToProto(r *rule.Rule) *attunev1.Rule {
	enabled := !r.Off
	p := &attunev1.Rule{
		Name: r.Name, When: r.When, Condition: r.Condition, Enabled: &enabled,
		Priority: int32(r.Priority), // #nosec G115 -- it came as one
	}
	switch r.Action {
	case rule.Filter:
		p.Action = &attunev1.Rule_Filter{Filter: &attunev1.FilterAction{Drop: r.Drop}}
	case rule.Boost:
		p.Action = &attunev1.Rule_Boost{Boost: &attunev1.BoostAction{Factor: r.Factor}}
	case rule.Bury:
		p.Action = &attunev1.Rule_Bury{Bury: &attunev1.BuryAction{}}
	case rule.Pin:
		p.Action = &attunev1.Rule_Pin{Pin: &attunev1.PinAction{Slot: int32(r.Slot), Sponsored: r.Sponsored}} // #nosec G115 -- likewise
	case rule.Quota:
		p.Action = &attunev1.Rule_Quota{Quota: &attunev1.QuotaAction{
			MinCount: int32(r.MinCount), MaxCount: int32(r.MaxCount), MinShare: r.MinShare, MaxShare: r.MaxShare, // #nosec G115 -- likewise
		}}
	}
	return p
}
