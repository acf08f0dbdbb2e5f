package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/release"
)

// publishFor publishes a release of a shop with these recipes.
func publishFor(t *testing.T, dir string, id features.ShopID, seed uint64, sold []features.Item, change func(parts []models.Part) []models.Recipe) string {
	t.Helper()
	parts := train(t, training(t, dir, sold), seed)
	m, err := release.Publish(context.Background(), releases(dir), release.Draft{Shop: id, Items: sold, Models: parts, Recipes: change(parts)})
	must(t, err)
	return m.Version
}

// barren is recipes that have nothing for those who were never here.
func barren(parts []models.Part) []models.Recipe {
	all := recipes(parts)
	for i := range all {
		if all[i].Surface == features.SurfaceHome {
			all[i].Sources, all[i].Fallback = []models.SourceSpec{{Name: "recent", Source: "recent", Limit: 10}}, nil
		}
	}
	return all
}

// A canary that leaves its visitors with nothing is gone back from without
// anybody's doing, is written down, and the next canary, which does well, stays.
func TestBadCanaryIsRolledBack(t *testing.T) {
	dir := stock(t)
	good := publishFor(t, dir, shop, 1, items(), recipes)
	bad := publishFor(t, dir, shop, 2, items(), barren)
	next := publishFor(t, dir, shop, 3, items(), recipes)
	promote(t, dir, good)
	cfg := config(dir)
	cfg.Rollback, cfg.RollbackLeast, cfg.RollbackWindow, cfg.RollbackTrial = true, 30, time.Hour, time.Hour
	c := start(t, cfg)
	visit := func(n int) map[string]int {
		t.Helper()
		answered := map[string]int{}
		for i := range n {
			resp, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: fmt.Sprintf("visitor-%d", i), Surface: features.SurfaceHome, Limit: 5})
			must(t, err)
			answered[resp.GetRelease()]++
		}
		return answered
	}
	canary := func(version string) {
		t.Helper()
		_, err := c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: version, CanaryShare: .5})
		must(t, err)
	}
	current := func() *attunev1.CurrentRelease {
		cur, err := c.releases.GetCurrentRelease(context.Background(), &attunev1.GetCurrentReleaseRequest{})
		must(t, err)
		return cur
	}

	canary(bad)
	// It may be gone before the last of them, but not before it was judged by 30.
	if got := visit(200); got[bad] < cfg.RollbackLeast || got[good] < 60 {
		t.Fatalf("got %v, want both releases to answer about half until the rollback", got)
	}
	const rolled = `attune_release_rolled_back_total\{cause="empty",shop="default"\}`
	eventually(t, "the bad canary is gone", func() bool { return c.has(t, rolled) })
	if cur := current(); cur.GetStable() != good || cur.GetNumber() != 3 {
		t.Errorf("got %v, want %s by state 3", cur, good)
	}
	if got := visit(50); got[good] != 50 {
		t.Errorf("after it: got %v, want %s alone", got, good)
	}
	past, err := release.History(context.Background(), releases(dir), shop, 1)
	must(t, err)
	if s := past[0]; s.By != "server" || !strings.HasPrefix(s.Reason, "empty: ") {
		t.Errorf("got %+v in the history, want the server and why", s)
	}

	canary(next)
	for range 3 { // looks of the watcher at plenty of answers
		visit(100)
		time.Sleep(1100 * time.Millisecond)
	}
	if cur := current(); cur.GetCanary() != next {
		t.Errorf("got %v, want the good canary kept", cur)
	}

	// One that is promoted to all is judged by what was served before.
	_, err = c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: bad})
	must(t, err)
	visit(100)
	eventually(t, "the bad promotion is gone back from", func() bool { return c.metric(t, rolled) == 2 })
	if cur := current(); cur.GetStable() != good || cur.GetLoaded() != good {
		t.Errorf("got %v, want %s again", cur, good)
	}
	c.stop()
	st := openStore(t, dir)
	var written []store.Audited
	must(t, st.ScanAudit(context.Background(), shop, func(a *store.Audited) error {
		if a.Actor == "server" {
			written = append(written, *a)
		}
		return nil
	}))
	must(t, st.Close())
	if len(written) != 2 || written[0].Subject != bad || !strings.Contains(written[0].Detail, "by itself: empty") {
		t.Errorf("got %+v in the audit log, want both rollbacks", written)
	}
}

// A shadow answers what the stable release is asked, and nobody sees it.
func TestShadowIsMeasuredAndUnseen(t *testing.T) {
	dir := stock(t)
	first, second := publish(t, dir, 1, marked("a")), publish(t, dir, 2, marked("b"))
	promote(t, dir, first)
	_, err := release.SetShadow(context.Background(), releases(dir), shop, second, release.Change{By: "test"})
	must(t, err)
	cfg := config(dir)
	cfg.ShadowShare = 1
	c := start(t, cfg)
	eventually(t, "the shadow has answered", func() bool {
		resp := c.ask(t, &attunev1.RecommendRequest{User: somebody(4), Limit: 5})
		if resp.GetRelease() != first {
			t.Fatalf("got release %s, want %s", resp.GetRelease(), first)
		}
		return c.has(t, `attune_shadow_answers_total\{how="answered",shop="default"\}`)
	})
	eventually(t, "its answer is compared", func() bool { return c.has(t, `attune_shadow_overlap_count\{shop="default"\}`) })
}

// Two shops in one process have releases, canaries and catalogues of their own.
func TestShopsServeTheirOwnReleases(t *testing.T) {
	dir := stock(t)
	const other = features.ShopID("other")
	mine := publish(t, dir, 1, marked("mine"))
	theirs := publishFor(t, dir, other, 2, marked("theirs"), recipes)
	newer := publishFor(t, dir, other, 3, marked("newer"), recipes)
	promote(t, dir, mine)
	_, err := release.Promote(context.Background(), releases(dir), other, theirs, release.Change{By: "test"})
	must(t, err)
	c := start(t, config(dir))
	for id, want := range map[features.ShopID]string{shop: mine, other: theirs} {
		resp, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{Shop: string(id), User: somebody(4), Surface: surfacePlain, Limit: 100})
		must(t, err)
		if resp.GetRelease() != want {
			t.Errorf("shop %s: got release %s, want %s", id, resp.GetRelease(), want)
		}
		for _, it := range resp.GetItems() {
			if strings.HasPrefix(it.GetItem(), "marker-") && (it.GetItem() == "marker-mine") != (id == shop) {
				t.Errorf("shop %s answers %s", id, it.GetItem())
			}
		}
	}
	_, err = c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: theirs})
	if err == nil {
		t.Error("a shop promoted another's release, want it refused")
	}
	_, err = c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Shop: string(other), Version: newer})
	must(t, err)
	if got := c.serves(t); got != mine {
		t.Errorf("got release %s after the other shop's promotion, want %s", got, mine)
	}
}
