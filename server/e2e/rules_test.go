package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

func (c *client) rules() attunev1.RuleServiceClient { return attunev1.NewRuleServiceClient(c.conn) }

func (c *client) put(t *testing.T, set *attunev1.RuleSet) *attunev1.RuleSet {
	t.Helper()
	out, err := c.rules().UpsertRuleSet(context.Background(), &attunev1.UpsertRuleSetRequest{RuleSet: set})
	must(t, err)
	return out
}

func keepOnly(name, condition string) *attunev1.Rule {
	return &attunev1.Rule{Name: name, Condition: condition, Action: &attunev1.Rule_Filter{Filter: &attunev1.FilterAction{}}}
}

func pinTo(name, condition string, slot int32, sponsored bool) *attunev1.Rule {
	return &attunev1.Rule{Name: name, Condition: condition, Action: &attunev1.Rule_Pin{Pin: &attunev1.PinAction{Slot: slot, Sponsored: sponsored}}}
}

func isMug(id string) bool {
	n := 0
	_, _ = fmt.Sscanf(id, "thing-%d", &n)
	return n%2 == 0
}

// A rule holds for the answer after the call that made it, outlives a restart,
// and is gone with the call that deletes it; other shops never see it.
func TestRulesHoldForTheNextAnswer(t *testing.T) {
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := start(t, config(dir))
	ask := &attunev1.RecommendRequest{User: somebody(1), Limit: 8}
	plain := idsOf(c.ask(t, ask).GetItems())
	if !slices.ContainsFunc(plain, func(id string) bool { return !isMug(id) }) {
		t.Fatalf("got %v, want scarves before there are rules", plain)
	}
	set := c.put(t, &attunev1.RuleSet{Id: "mugs", Title: "Week of the mug", Surface: "home", Rules: []*attunev1.Rule{
		keepOnly("only-mugs", "'Mugs' in item.category"), pinTo("paid", "item.id == 'thing-12'", 2, true),
	}})
	if set.GetEtag() == "" || set.GetUpdateTime() == nil || !set.GetRules()[0].GetEnabled() {
		t.Fatalf("got %v, want an etag, a time and enabled rules", set)
	}
	follows := func(c *client) {
		t.Helper()
		got := c.ask(t, ask).GetItems()
		for i, it := range got {
			if !isMug(it.GetItem()) || it.GetSponsored() != (i == 1) {
				t.Errorf("got %s in place %d, sponsored %v, want mugs, the second labelled", it.GetItem(), i+1, it.GetSponsored())
			}
		}
		if len(got) != 8 || got[1].GetItem() != "thing-12" {
			t.Errorf("got %v, want eight with thing-12 in the second place", idsOf(got))
		}
	}
	follows(c)
	if got := c.ask(t, &attunev1.RecommendRequest{User: somebody(1), Surface: "cart", Cart: []string{thing(1)}}); len(got.GetItems()) == 0 || got.GetItems()[0].GetSponsored() {
		t.Errorf("another surface: got %v, want it as it was", got.GetItems())
	}
	// The catalogue changes: what is a mug no longer is filtered at once.
	_, err := c.catalog.UpsertItem(context.Background(), &attunev1.UpsertItemRequest{Item: &attunev1.Item{Id: thing(2), Title: "A scarf now", Category: []string{"Clothes", "Scarves"}}})
	must(t, err)
	if got := idsOf(c.ask(t, &attunev1.RecommendRequest{User: somebody(1), Limit: 40}).GetItems()); slices.Contains(got, thing(2)) || len(got) < 10 {
		t.Errorf("got %v, want mugs without thing-02", got)
	}
	c.stop()
	c = start(t, config(dir))
	follows(c)
	if code, body := c.rest(t, http.MethodGet, "/v1/shops/default/ruleSets/mugs", ""); code != http.StatusOK || body["etag"] != set.GetEtag() || body["title"] != "Week of the mug" {
		t.Errorf("by REST: got %d, %v", code, body)
	}
	if code, body := c.rest(t, http.MethodDelete, "/v1/shops/default/ruleSets/mugs?etag="+set.GetEtag(), ""); code != http.StatusOK {
		t.Fatalf("delete by REST: got %d, %v", code, body)
	}
	if got := idsOf(c.ask(t, ask).GetItems()); !slices.Equal(got, plain) {
		t.Errorf("without the rules: got %v, want %v as before", got, plain)
	}
}

// A rule is for the members of a segment alone, as soon as the segment is there.
func TestRulesAreForSegments(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	_, err := attunev1.NewSegmentServiceClient(c.conn).UpsertSegment(ctx, &attunev1.UpsertSegmentRequest{Segment: &attunev1.Segment{Name: "buyers", Rule: "profile.orders > 0"}})
	must(t, err)
	member := &attunev1.RecommendRequest{User: somebody(1), Limit: 8}
	plain := idsOf(c.ask(t, member).GetItems())
	last := plain[len(plain)-1]
	pin := pinTo("theirs", "item.id == '"+last+"'", 1, false)
	pin.When = "'buyers' in profile.segments"
	c.put(t, &attunev1.RuleSet{Id: "target", Surface: "home", Rules: []*attunev1.Rule{pin}})
	soon(t, "the rule to hold for a member", func() bool { return idsOf(c.ask(t, member).GetItems())[0] == last })
	if got := idsOf(c.ask(t, &attunev1.RecommendRequest{User: "nobody known", Limit: 8}).GetItems()); got[0] == last {
		t.Errorf("got %v for who is no member, want %s not before the others", got, last)
	}
}

func TestRuleSetsAreKept(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	off := false
	want := []*attunev1.Rule{
		{Name: "a", When: "profile.orders > 3", Condition: "item.price < 9", Priority: 7, Action: &attunev1.Rule_Boost{Boost: &attunev1.BoostAction{Factor: "item.in_stock ? 2.0 : 1.0"}}},
		{Name: "b", Condition: "item.price < 9", Enabled: &off, Action: &attunev1.Rule_Bury{Bury: &attunev1.BuryAction{}}},
		{Name: "c", Condition: "item.price < 9", Action: &attunev1.Rule_Quota{Quota: &attunev1.QuotaAction{MinCount: 1, MaxShare: .5}}},
		{Name: "d", Condition: "item.price < 9", Action: &attunev1.Rule_Filter{Filter: &attunev1.FilterAction{Drop: true}}},
	}
	begin, end := timestamppb.New(opened), timestamppb.New(opened.Add(time.Hour))
	first := c.put(t, &attunev1.RuleSet{Id: "one", Surface: "home", StartTime: begin, EndTime: end, Rules: want})
	got, err := c.rules().GetRuleSet(ctx, &attunev1.GetRuleSetRequest{Id: "one"})
	must(t, err)
	if got.String() != first.String() || !got.GetStartTime().AsTime().Equal(opened) || len(got.GetRules()) != 4 {
		t.Errorf("got %v, want %v", got, first)
	}
	for i, r := range got.GetRules() {
		w := want[i]
		if r.GetName() != w.GetName() || r.GetWhen() != w.GetWhen() || r.GetPriority() != w.GetPriority() || r.GetEnabled() != (i != 1) || fmt.Sprint(r.GetAction()) != fmt.Sprint(w.GetAction()) {
			t.Errorf("rule %d: got %v, want %v", i, r, w)
		}
	}
	first.Rules = first.GetRules()[:1]
	second := c.put(t, first)
	if second.GetEtag() == got.GetEtag() || !second.GetCreateTime().AsTime().Equal(got.GetCreateTime().AsTime()) {
		t.Errorf("got %v, want another etag and the same time of making", second)
	}
	if _, err := c.rules().UpsertRuleSet(ctx, &attunev1.UpsertRuleSetRequest{RuleSet: got}); status.Code(err) != codes.Aborted {
		t.Errorf("an old etag: got %v, want ABORTED", err)
	}
	if _, err := c.rules().DeleteRuleSet(ctx, &attunev1.DeleteRuleSetRequest{Id: "one", Etag: got.GetEtag()}); status.Code(err) != codes.Aborted {
		t.Errorf("delete by an old etag: got %v, want ABORTED", err)
	}
	for _, id := range []string{"two", "three"} {
		c.put(t, &attunev1.RuleSet{Id: id})
	}
	var ids []string
	for token := ""; ; {
		page, err := c.rules().ListRuleSets(ctx, &attunev1.ListRuleSetsRequest{PageSize: 2, PageToken: token})
		must(t, err)
		for _, s := range page.GetRuleSets() {
			ids = append(ids, s.GetId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(ids, []string{"one", "three", "two"}) {
		t.Errorf("list: got %v", ids)
	}
	if page, err := c.rules().ListRuleSets(ctx, &attunev1.ListRuleSetsRequest{Shop: "other"}); err != nil || len(page.GetRuleSets()) > 0 {
		t.Errorf("another shop: got %v, %v, want none", page, err)
	}
	for _, err := range []error{
		func() error {
			_, err := c.rules().GetRuleSet(ctx, &attunev1.GetRuleSetRequest{Shop: "other", Id: "one"})
			return err
		}(),
		func() error {
			_, err := c.rules().DeleteRuleSet(ctx, &attunev1.DeleteRuleSetRequest{Id: "four"})
			return err
		}(),
	} {
		if status.Code(err) != codes.NotFound {
			t.Errorf("got %v, want NOT_FOUND", err)
		}
	}
}

// A wrong rule is refused with its field, the place of the fault and what there
// is instead, and changes nothing.
func TestWrongRulesNameTheirField(t *testing.T) {
	c := ready(t)
	boost := func(factor string) *attunev1.Rule {
		return &attunev1.Rule{Name: "b", Action: &attunev1.Rule_Boost{Boost: &attunev1.BoostAction{Factor: factor}}}
	}
	fine := keepOnly("fine", "true")
	dear := keepOnly("dear", strings.Repeat("item.tags.exists(a, item.category.exists(b, b == a && b in profile.categories)) && ", 9)+"true")
	for name, m := range map[string]struct {
		set         *attunev1.RuleSet
		field, says string
	}{
		"no field":      {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{fine, keepOnly("x", "item.in_stock && item.prize > 3")}}, "rule_set.rules[1].condition", "column 18"},
		"the fields":    {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{keepOnly("x", "item.prize > 3")}}, "rule_set.rules[0].condition", "item.price"},
		"no number":     {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{boost("item.title")}}, "rule_set.rules[0].boost.factor", "number"},
		"item in when":  {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{{Name: "w", When: "item.price > 1", Condition: "true", Action: &attunev1.Rule_Bury{Bury: &attunev1.BuryAction{}}}}}, "rule_set.rules[0].when", "profile.orders"},
		"too dear":      {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{dear}}, "rule_set.rules[0].condition", "may cost"},
		"no action":     {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{{Name: "n"}}}, "rule_set.rules[0].action", ""},
		"same names":    {&attunev1.RuleSet{Id: "s", Rules: []*attunev1.Rule{fine, fine}}, "rule_set", "differ"},
		"no id":         {&attunev1.RuleSet{}, "rule_set.id", ""},
		"ends too soon": {&attunev1.RuleSet{Id: "s", StartTime: timestamppb.New(opened), EndTime: timestamppb.New(opened)}, "rule_set", "after"},
		"no etag":       {&attunev1.RuleSet{Id: "s", Etag: "x"}, "rule_set.etag", "etag"},
	} {
		_, err := c.rules().UpsertRuleSet(context.Background(), &attunev1.UpsertRuleSetRequest{RuleSet: m.set})
		found := false
		for _, d := range status.Convert(err).Details() {
			if b, ok := d.(*errdetails.BadRequest); ok {
				for _, v := range b.GetFieldViolations() {
					found = found || v.GetField() == m.field && strings.Contains(v.GetDescription(), m.says)
				}
			}
		}
		if status.Code(err) != codes.InvalidArgument || !found {
			t.Errorf("%s: got %v with %v, want INVALID_ARGUMENT in %s saying %q", name, err, status.Convert(err).Details(), m.field, m.says)
		}
	}
	if page, err := c.rules().ListRuleSets(context.Background(), &attunev1.ListRuleSetsRequest{}); err != nil || len(page.GetRuleSets()) > 0 {
		t.Errorf("got %v, %v, want that nothing was stored", page, err)
	}
}

func TestDryRunShowsTheEffect(t *testing.T) {
	c := ready(t)
	ctx := context.Background()
	given := &attunev1.RecommendRequest{User: somebody(1), Limit: 6}
	plain := idsOf(c.ask(t, given).GetItems())
	page := c.ask(t, &attunev1.RecommendRequest{Surface: "item", Item: thing(4), Limit: 6})
	c.put(t, &attunev1.RuleSet{Id: "first", Rules: []*attunev1.Rule{pinTo("top", "item.id == 'thing-20'", 1, false)}})
	steered := idsOf(c.ask(t, given).GetItems())
	change := &attunev1.RuleSet{Id: "mugs", EndTime: timestamppb.New(opened), Rules: []*attunev1.Rule{
		keepOnly("only-mugs", "'Mugs' in item.category"), {Name: "never", When: "request.market == 'Mars'", Condition: "true", Action: &attunev1.Rule_Bury{Bury: &attunev1.BuryAction{}}},
	}}
	var run *attunev1.DryRunRulesResponse
	for range 200 { // the record of an answer is written after it
		var err error
		run, err = c.rules().DryRunRules(ctx, &attunev1.DryRunRulesRequest{RuleSet: change, Requests: []*attunev1.RecommendRequest{given, {Surface: "billboard"}}, Recent: 10})
		must(t, err)
		if len(run.GetResults()) == 5 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if len(run.GetResults()) != 5 || run.GetTried() != 4 {
		t.Fatalf("got %d results, %d tried, want the two given and three recent ones, all but one tried", len(run.GetResults()), run.GetTried())
	}
	r := run.GetResults()[0]
	if !slices.Equal(r.GetBefore(), steered) || slices.ContainsFunc(r.GetAfter(), func(id string) bool { return !isMug(id) }) || r.GetAfter()[0] != thing(20) {
		t.Errorf("got before %v and after %v, want %v and mugs, thing-20 first", r.GetBefore(), r.GetAfter(), steered)
	}
	places := slices.Clone(r.GetBefore())
	for _, m := range r.GetMoves() {
		if m.GetFrom() > 0 && places[m.GetFrom()-1] != m.GetItem() || m.GetTo() > 0 && r.GetAfter()[m.GetTo()-1] != m.GetItem() || m.GetFrom() == m.GetTo() {
			t.Errorf("got move %v of %v to %v", m, r.GetBefore(), r.GetAfter())
		}
	}
	if run.GetLeft() == 0 || run.GetChanged() == 0 || r.GetAfterMicros() <= 0 {
		t.Errorf("got %d left, %d changed, %d µs, want more", run.GetLeft(), run.GetChanged(), r.GetAfterMicros())
	}
	if e := run.GetResults()[1].GetError(); e.GetField() != "surface" {
		t.Errorf("an unknown surface: got %v, want its error", e)
	}
	recent := run.GetResults()[2:]
	if i := slices.IndexFunc(recent, func(r *attunev1.DryRunResult) bool { return r.GetRecommendationId() == page.GetRecommendationId() }); i < 0 || recent[i].GetSurface() != "item" || len(recent[i].GetBefore()) == 0 || slices.Contains(recent[i].GetBefore(), thing(4)) {
		t.Errorf("got recent %v, want the item page, asked with its item", recent)
	}
	e := run.GetEffects()
	if len(e) != 2 || e[0].GetRule() != "never" || e[0].GetRequests() != 0 || e[1].GetRequests() != 4 || e[1].GetItems() != things/2 || e[1].GetResidues() != 0 || e[1].GetCost() == 0 {
		t.Errorf("got effects %v, want one of no request, and one of %d items by bitmaps alone", e, things/2)
	}
	if got := idsOf(c.ask(t, given).GetItems()); !slices.Equal(got, steered) {
		t.Errorf("after a dry run: got %v, want %v as before", got, steered)
	}
	run, err := c.rules().DryRunRules(ctx, &attunev1.DryRunRulesRequest{Without: "first", Requests: []*attunev1.RecommendRequest{given}})
	must(t, err)
	if got := run.GetResults()[0].GetAfter(); !slices.Equal(got, plain) {
		t.Errorf("without the set: got %v, want %v", got, plain)
	}
	if _, err := c.rules().DryRunRules(ctx, &attunev1.DryRunRulesRequest{Without: "second"}); status.Code(err) != codes.NotFound {
		t.Errorf("without a set there is not: got %v, want NOT_FOUND", err)
	}
}

// A request's own price range and categories hold on every surface.
func TestRequestsNarrowTheAnswer(t *testing.T) {
	c := ready(t)
	for _, r := range []*attunev1.RecommendRequest{{User: somebody(1)}, {Surface: "item", Item: thing(4)}, {Cart: []string{thing(1)}}} {
		r.PriceFrom, r.PriceTo, r.Categories, r.Limit = 3, 5, []string{"Kitchen/Mugs"}, 20
		got := c.ask(t, r).GetItems()
		for _, it := range got {
			if units := it.GetPrice().GetMicros() / 1e6; !isMug(it.GetItem()) || units < 3 || units > 5 {
				t.Errorf("surface %q: got %s at %d", r.GetSurface(), it.GetItem(), units)
			}
		}
		if len(got) == 0 {
			t.Errorf("surface %q: got nothing", r.GetSurface())
		}
	}
	if _, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{PriceFrom: 5, PriceTo: 3}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a range upside down: got %v, want INVALID_ARGUMENT", err)
	}
}
