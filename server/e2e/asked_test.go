package e2e

import (
	"context"
	"slices"
	"testing"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// Whoever asks for answers of a person, or tries rules on them, is told of by
// who read what, though no answer names the person; a person who did not agree
// to it is not, since nothing of them is read.
func TestAnswersTellWhoAsked(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	private := attunev1.NewPrivacyServiceClient(c.conn)
	no := false
	_, err := private.SetConsent(ctx, &attunev1.SetConsentRequest{Id: somebody(7), Personalisation: &no})
	must(t, err)
	for _, n := range []int{1, 1, 7} {
		c.ask(t, &attunev1.RecommendRequest{User: somebody(n), Limit: 3})
	}
	_, err = c.BatchRecommend(ctx, &attunev1.BatchRecommendRequest{Requests: []*attunev1.RecommendRequest{{User: somebody(1)}, {User: somebody(2)}}})
	must(t, err)
	_, err = c.rules().DryRunRules(ctx, &attunev1.DryRunRulesRequest{
		RuleSet:  &attunev1.RuleSet{Id: "mugs", Rules: []*attunev1.Rule{keepOnly("only-mugs", "'Mugs' in item.category")}},
		Requests: []*attunev1.RecommendRequest{{User: somebody(3)}, {User: somebody(3)}, {User: somebody(4)}},
	})
	must(t, err)
	methods := func(n int) (got []string) {
		t.Helper()
		all, err := private.ListAccesses(ctx, &attunev1.ListAccessesRequest{Id: somebody(n)})
		must(t, err)
		for _, a := range all.GetAccesses() {
			switch m := a.GetMethod(); m {
			case attunev1.RecommendationService_Recommend_FullMethodName, attunev1.RecommendationService_BatchRecommend_FullMethodName, attunev1.RuleService_DryRunRules_FullMethodName:
				got = append(got, m)
			}
		}
		slices.Sort(got)
		return got
	}
	if got, want := methods(3), []string{attunev1.RuleService_DryRunRules_FullMethodName}; !slices.Equal(got, want) {
		t.Errorf("whom rules were tried on: got %v at once, want %v", got, want)
	}
	both := []string{attunev1.RecommendationService_BatchRecommend_FullMethodName, attunev1.RecommendationService_Recommend_FullMethodName}
	soon(t, "accesses of who was answered", func() bool { return slices.Equal(methods(1), both) && slices.Equal(methods(2), both[:1]) })
	if got := methods(7); len(got) > 0 {
		t.Errorf("without consent: got %v, want nothing read", got)
	}
	affected, err := private.ListAffected(ctx, &attunev1.ListAffectedRequest{Actor: "anonymous"})
	must(t, err)
	keys := map[string]bool{}
	for _, p := range affected.GetPersons() {
		keys[p.GetSubject()] = true
	}
	profiles := attunev1.NewProfileServiceClient(c.conn)
	for n := 1; n <= 4; n++ {
		p, err := profiles.GetProfile(ctx, &attunev1.GetProfileRequest{Id: somebody(n)})
		must(t, err)
		if !keys[p.GetKey()] {
			t.Errorf("%s was read and is not among the %d affected", somebody(n), len(keys))
		}
	}
	if got, err := private.ListAccesses(ctx, &attunev1.ListAccessesRequest{Actor: "anonymous", PageSize: 1000}); err != nil ||
		!slices.ContainsFunc(got.GetAccesses(), func(a *attunev1.Access) bool {
			return a.GetMethod() == attunev1.RuleService_DryRunRules_FullMethodName && a.GetSubject() == "mugs"
		}) {
		t.Errorf("got %v, %v, want that the dry run names its rule set", got.GetAccesses(), err)
	}
}
