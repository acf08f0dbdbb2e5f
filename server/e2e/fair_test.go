package e2e

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models/release"
)

// publishJudged publishes a release that was compared as its metrics say.
func publishJudged(t *testing.T, dir string, seed uint64, m release.Metrics) string {
	t.Helper()
	parts := train(t, training(t, dir, items()), seed)
	made, err := release.Publish(context.Background(), releases(dir), release.Draft{Shop: shop, Items: items(), Models: parts, Recipes: recipes(parts), Metrics: m})
	must(t, err)
	return made.Version
}

// A release whose answers surely differ more by group than the shop lets pass is
// not promoted, nor to a share, nor by going back to what never served; one that
// was not compared neither. Who says why may, and the audit log has the words.
func TestPromotionHoldsLimitsOfFairness(t *testing.T) {
	ctx, dir := context.Background(), stock(t)
	first := publish(t, dir, 1, items())
	promote(t, dir, first)
	const gap = "fairness gender/price"
	fair := publishJudged(t, dir, 2, release.Metrics{gap: {Value: .04, Low: .02, High: .06}})
	unsure := publishJudged(t, dir, 3, release.Metrics{gap: {Value: .2, Low: .01, High: .4}})
	unfair := publishJudged(t, dir, 4, release.Metrics{gap: {Value: .2, Low: .15, High: .25}})
	other := publishJudged(t, dir, 5, release.Metrics{"fairness gender/quality": {Value: 0}})
	conf := config(dir)
	conf.FairLimit = []string{string(shop) + "/gender:price=0.05", "elsewhere/gender:quality=0"}
	c := start(t, conf)
	defer c.stop()
	steer := attunev1.NewReleaseServiceClient(c.conn)
	current := func() string {
		t.Helper()
		r, err := steer.GetCurrentRelease(ctx, &attunev1.GetCurrentReleaseRequest{Shop: string(shop)})
		must(t, err)
		return r.GetStable() + r.GetCanary()
	}
	refused := func(how string, err error, words string) {
		t.Helper()
		reason := ""
		for _, d := range status.Convert(err).Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				reason = info.GetReason()
			}
		}
		if status.Code(err) != codes.FailedPrecondition || reason != "RELEASE_UNFAIR" || !strings.Contains(err.Error(), words) || current() != first {
			t.Errorf("%s: got %v (%s), serving %s, want a refusal that says %q and %s", how, err, reason, current(), words, first)
		}
	}
	ask := func(r *attunev1.PromoteReleaseRequest) error {
		r.Shop = string(shop)
		_, err := steer.PromoteRelease(ctx, r)
		return err
	}
	refused("unfair", ask(&attunev1.PromoteReleaseRequest{Version: unfair}), "differ in price by 0.1500 at least, want 0.0500 at most")
	refused("unfair to a share", ask(&attunev1.PromoteReleaseRequest{Version: unfair, CanaryShare: .1}), "differ in price")
	refused("not compared", ask(&attunev1.PromoteReleaseRequest{Version: other}), "was not compared in price by gender")
	_, err := steer.RollbackRelease(ctx, &attunev1.RollbackReleaseRequest{Shop: string(shop), Version: unfair})
	refused("back to what never served", err, "differ in price")
	for _, v := range []string{fair, unsure} {
		must(t, ask(&attunev1.PromoteReleaseRequest{Version: v}))
		if got := current(); got != v {
			t.Errorf("got %s served, want %s", got, v)
		}
	}
	must(t, ask(&attunev1.PromoteReleaseRequest{Version: unfair, Reason: "trial", DespiteFairness: "the goods differ, seen by the board"}))
	if got := current(); got != unfair {
		t.Errorf("in spite of it: got %s served, want %s", got, unfair)
	}
	_, err = steer.RollbackRelease(ctx, &attunev1.RollbackReleaseRequest{Shop: string(shop), Version: first})
	must(t, err) // it was served, before there were limits
	past, err := release.History(ctx, releases(dir), shop, 0)
	must(t, err)
	if got := past[len(past)-2].Reason; got != "trial; despite fairness: the goods differ, seen by the board" {
		t.Errorf("history: got the reason %q", got)
	}
	c.stop()
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	var told []string
	must(t, st.ScanAudit(ctx, shop, func(a *store.Audited) error {
		if strings.HasPrefix(a.Detail, "despite") {
			told = append(told, a.Actor+" "+a.Subject+" "+a.Detail)
		}
		return nil
	}))
	if len(told) != 1 || !strings.HasPrefix(told[0], "anonymous "+unfair+" despite fairness: ") || !strings.Contains(told[0], "by 0.1500 at least") ||
		!strings.HasSuffix(told[0], "because: the goods differ, seen by the board") {
		t.Errorf("audit log: got %q, want one entry of who, what and why", told)
	}
}
