package api

import (
	"context"
	"slices"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/pipeline"
	"github.com/attune-rec/attune/models/pipeline/rule"
	"github.com/attune-rec/attune/server/recommend"
)

// DryRunRules implements the RPC. Requests are tried one after the other, so
// that the times say what the rules cost. Whose they are stands in the audit log.
func (s *Rules) DryRunRules(ctx context.Context, r *attunev1.DryRunRulesRequest) (*attunev1.DryRunRulesResponse, error) {
	shop, err := shopOf(r.GetShop())
	if err != nil {
		return nil, Status(err)
	}
	var set *rule.Set
	surface := r.GetSurface()
	if r.GetRuleSet() != nil {
		given, err := ruleSetFromProto(r.GetRuleSet())
		if err != nil {
			return nil, Status(err)
		}
		set = &given.Set
		set.Starts, set.Ends = time.Time{}, time.Time{}
		if surface == "" {
			surface = set.Surface
		}
	}
	now, then, err := s.Keeper.Trial(ctx, shop, set, r.GetWithout())
	if err != nil {
		return nil, Status(faulty(err))
	}
	t := &dryRun{s: s, shop: shop, set: set, now: now, then: then, out: &attunev1.DryRunRulesResponse{}}
	for _, q := range r.GetRequests() {
		asked, _, err := s.Asked.query(ctx, shop, q)
		t.try(ctx, asked, err, &attunev1.DryRunResult{Surface: q.GetSurface(), Market: q.GetContext().GetMarket()})
	}
	if r.GetRecent() > 0 {
		recent, err := s.Served.RecentServed(ctx, shop, surface, int(r.GetRecent()))
		if err != nil {
			return nil, Status(err)
		}
		for i := range recent {
			t.try(ctx, queryOf(shop, &recent[i]), nil, &attunev1.DryRunResult{
				RecommendationId: recent[i].Recommendation, Surface: recent[i].Surface, Market: recent[i].Market,
			})
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, Status(err)
	}
	return t.done(), nil
}

// queryOf asks what was asked when a record was written, as far as it says so.
func queryOf(shop features.ShopID, r *store.Served) *recommend.Query {
	return &recommend.Query{
		Shop: shop, User: r.User, Session: r.Session, Surface: r.Surface, Market: r.Market, Item: r.Page, Cart: r.Cart,
		Limit: min(max(len(r.Items), defaultLimit), 200),
	}
}

// dryRun compares answers under the rules as they are and as they would be.
type dryRun struct {
	s         *Rules
	shop      features.ShopID
	set       *rule.Set
	now, then *rule.Rules
	out       *attunev1.DryRunRulesResponse
	effects   []rule.Effect // summed over what was tried
}

func (t *dryRun) try(ctx context.Context, q *recommend.Query, err error, result *attunev1.DryRunResult) {
	t.out.Results = append(t.out.Results, result)
	var trials []recommend.Trial
	if err == nil {
		tell(ctx, q.User, q.Session)
		trials, err = t.s.Asked.Recommender.Try(ctx, q, []pipeline.Steerer{t.now, t.then}, t.look)
	}
	if err != nil {
		result.Error = itemError(err)
		return
	}
	before, after := &trials[0], &trials[1]
	result.Before, result.After = before.Items, after.Items
	result.BeforeMicros, result.AfterMicros = before.Took.Microseconds(), after.Took.Microseconds()
	result.Degradations = degradationsToProto(after.Degraded)
	t.out.Tried++
	for i, item := range before.Items {
		to := slices.Index(after.Items, item)
		if to < 0 {
			t.out.Left++
		}
		if to != i {
			result.Moves = append(result.Moves, move(item, i, to))
		}
	}
	for i, item := range after.Items {
		if !slices.Contains(before.Items, item) {
			result.Moves = append(result.Moves, move(item, -1, i))
		}
	}
	if len(result.GetMoves()) > 0 {
		t.out.Changed++
	}
}

// move is how an item goes from one place, from 0, to another; below 0: none.
func move(item string, from, to int) *attunev1.DryRunMove {
	return &attunev1.DryRunMove{Item: item, From: int32(from + 1), To: int32(to + 1)} // #nosec G115 -- at most 200
}

// counted is for how many of the requests the items that rules are about are
// counted.
const counted = 5

// look adds what the rules do to a request.
func (t *dryRun) look(r *features.Request) {
	if t.set == nil {
		return
	}
	count := 0
	if t.out.GetTried() < counted {
		count = 1
	}
	effects := t.then.Effects(t.set.ID, []*features.Request{r}, count)
	if t.effects == nil {
		t.effects = effects
		return
	}
	for i := range effects {
		t.effects[i].Requests += effects[i].Requests
		t.effects[i].Counted += effects[i].Counted
		t.effects[i].Items += effects[i].Items
	}
}

func (t *dryRun) done() *attunev1.DryRunRulesResponse {
	if t.effects == nil && t.set != nil {
		t.effects = t.then.Effects(t.set.ID, nil, 0)
	}
	for _, e := range t.effects {
		p := &attunev1.RuleEffect{
			Rule: e.Rule, Cost: int64(e.Cost), Residues: int32(e.Residues), Requests: int32(e.Requests), // #nosec G115 -- bounded when compiled
		}
		if e.Counted > 0 {
			p.Items = float64(e.Items) / float64(e.Counted)
		}
		t.out.Effects = append(t.out.Effects, p)
	}
	return t.out
}

func degradationsToProto(ds []pipeline.Degradation) (out []*attunev1.Degradation) {
	for _, d := range ds {
		out = append(out, &attunev1.Degradation{Component: d.Component, Why: d.Why})
	}
	return out
}
