package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/models/release"
)

// marked is the shop's items and one that only this release knows.
func marked(name string) []features.Item {
	return append(items(), features.Item{ID: "marker-" + name, Kind: features.Product, Title: "Marker " + name, Created: opened, Updated: opened})
}

// A hundred swaps between releases with disjoint markers and different scores,
// under traffic: no request fails, and every answer is, to 1e-5, that of the
// release it names. There are two releases of each sort, so that every swap
// loads one and frees another.
func TestSwapsUnderTraffic(t *testing.T) {
	swaps := 100
	if testing.Short() {
		swaps = 20
	}
	dir := stock(t)
	var versions []string
	judges, markers := map[string]*judge{}, map[string]string{}
	for i, sort := range []string{"a", "b", "a", "b"} {
		v := publish(t, dir, uint64(1+i), marked(sort))
		versions = append(versions, v)
		judges[v], markers[v] = newJudge(t, dir, v), "marker-"+sort
	}
	promote(t, dir, versions[0])
	logs := map[string][]features.Event{"newcomer": nil}
	st := openStore(t, dir)
	names, err := st.Pseudonyms(context.Background(), shop)
	must(t, err)
	for i := range 6 {
		logs[somebody(i)], err = st.History(context.Background(), shop, names.User(somebody(i)), features.HistoryCap)
		must(t, err)
	}
	must(t, st.Close())
	c := start(t, config(dir))

	var answered [4]atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for user, log := range logs {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: user, Surface: surfacePlain, Limit: 100})
				if err == nil {
					err = verify(resp, judges, markers, log)
				}
				if err != nil {
					t.Errorf("%s: %v", user, err)
					return
				}
				answered[slices.Index(versions, resp.GetRelease())].Add(1)
			}
		})
	}
	for i := 1; i <= swaps; i++ {
		want := versions[i%len(versions)]
		before := answered[i%len(versions)].Load()
		cur, err := c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: want})
		must(t, err)
		if cur.GetLoaded() != want || cur.GetStable() != want {
			t.Fatalf("swap %d: got %v, want %s loaded", i, cur, want)
		}
		for answered[i%len(versions)].Load() == before && !t.Failed() { // until some were answered by it
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	wg.Wait()
	for i, v := range versions {
		if answered[i].Load() == 0 {
			t.Errorf("release %s answered nothing", v)
		}
	}
}

// verify works an answer out from the release that it names.
func verify(resp *attunev1.RecommendResponse, judges map[string]*judge, markers map[string]string, log []features.Event) error {
	j := judges[resp.GetRelease()]
	if j == nil {
		return fmt.Errorf("got an answer of release %q, which was never promoted", resp.GetRelease())
	}
	if resp.GetDegraded() {
		return fmt.Errorf("degraded: %v", resp.GetDegradations())
	}
	ids := idsOf(resp.GetItems())
	for _, id := range ids {
		if strings.HasPrefix(id, "marker-") && id != markers[resp.GetRelease()] {
			return fmt.Errorf("release %s answers %s of another release", resp.GetRelease(), id)
		}
	}
	if len(log) > 0 && !slices.Contains(ids, markers[resp.GetRelease()]) {
		return fmt.Errorf("release %s does not answer its own %s", resp.GetRelease(), markers[resp.GetRelease()])
	}
	for i, want := range j.scores(log, ids) {
		if got := resp.GetItems()[i].GetScore(); !near(got, float64(want)) {
			return fmt.Errorf("release %s, %s: got score %v, want %v", resp.GetRelease(), ids[i], got, want)
		}
	}
	return nil
}

func TestRollback(t *testing.T) {
	dir := stock(t)
	first, second := publish(t, dir, 1, marked("a")), publish(t, dir, 2, marked("b"))
	promote(t, dir, first)
	promote(t, dir, second)
	c := start(t, config(dir))
	if got := c.ask(t, &attunev1.RecommendRequest{User: somebody(4)}).GetRelease(); got != second {
		t.Fatalf("got release %s, want %s", got, second)
	}
	cur, err := c.releases.RollbackRelease(context.Background(), &attunev1.RollbackReleaseRequest{Reason: "worse"})
	must(t, err)
	if cur.GetStable() != first || cur.GetLoaded() != first || cur.GetNumber() != 3 {
		t.Fatalf("got %v, want %s stable and loaded by state 3", cur, first)
	}
	if got := c.ask(t, &attunev1.RecommendRequest{User: somebody(4)}).GetRelease(); got != first {
		t.Fatalf("got release %s, want %s", got, first)
	}
	list, err := c.releases.ListReleases(context.Background(), &attunev1.ListReleasesRequest{PageSize: 1})
	must(t, err)
	next, err := c.releases.ListReleases(context.Background(), &attunev1.ListReleasesRequest{PageSize: 1, PageToken: list.GetNextPageToken()})
	must(t, err)
	if len(list.GetReleases()) != 1 || list.GetReleases()[0].GetVersion() != second || next.GetReleases()[0].GetVersion() != first || next.GetNextPageToken() != "" {
		t.Fatalf("got %v then %v, want %s then %s", list, next, second, first)
	}
	if r := next.GetReleases()[0]; r.GetItems() != things+1 || r.GetMetrics()["ndcg@10"] != .5 || len(r.GetModels()) == 0 || r.GetEvents() == 0 {
		t.Fatalf("got release %v", r)
	}
}

// A promotion by another program is followed, without a call.
func TestPromotionElsewhereIsFollowed(t *testing.T) {
	dir := stock(t)
	first, second := publish(t, dir, 1, marked("a")), publish(t, dir, 2, marked("b"))
	c := start(t, config(dir))
	_, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(4)})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "trainer publish") {
		t.Fatalf("before any promotion: got %v, want FAILED_PRECONDITION that says what to do", err)
	}
	for _, v := range []string{first, second} {
		promote(t, dir, v)
		eventually(t, "release "+v+" is served", func() bool {
			resp, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(4)})
			return err == nil && resp.GetRelease() == v
		})
	}
}

// eventually waits for what has no signal of its own. It gives up only after a
// time that no machine needs.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 6000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited a minute in vain: %s", what)
}

// A release with one flipped bit is refused, whoever promotes it, and the old
// one keeps serving.
func TestFlippedBitIsRefused(t *testing.T) {
	dir := stock(t)
	good, bad := publish(t, dir, 1, marked("a")), publish(t, dir, 2, marked("b"))
	promote(t, dir, good)
	path := filepath.Join(dir, "releases", string(shop), "releases", bad, "models", "ials.safetensors")
	b, err := os.ReadFile(path)
	must(t, err)
	b[len(b)-3] ^= 1
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, b, 0o600))
	c := start(t, config(dir))

	_, err = c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: bad})
	if status.Code(err) != codes.FailedPrecondition || reasonOf(err) != "RELEASE_CORRUPT" {
		t.Fatalf("promote: got %v, want FAILED_PRECONDITION for RELEASE_CORRUPT", err)
	}
	cur, err := c.releases.GetCurrentRelease(context.Background(), &attunev1.GetCurrentReleaseRequest{})
	must(t, err)
	if cur.GetStable() != good || cur.GetNumber() != 1 {
		t.Fatalf("got %v, want %s by state 1 still", cur, good)
	}

	promote(t, dir, bad) // by someone who did not look
	eventually(t, "the server has seen the state", func() bool {
		cur, err := c.releases.GetCurrentRelease(context.Background(), &attunev1.GetCurrentReleaseRequest{})
		return err == nil && cur.GetNumber() == 2
	})
	_, err = release.Current(context.Background(), releases(dir), shop)
	must(t, err)
	for range 20 {
		if got := c.ask(t, &attunev1.RecommendRequest{User: somebody(4)}).GetRelease(); got != good {
			t.Fatalf("got release %s, want %s", got, good)
		}
		time.Sleep(5 * time.Millisecond)
	}
	cur, err = c.releases.GetCurrentRelease(context.Background(), &attunev1.GetCurrentReleaseRequest{})
	must(t, err)
	if cur.GetLoaded() != good || cur.GetStable() != bad {
		t.Fatalf("got %v, want %s promoted and %s loaded", cur, bad, good)
	}
}

func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
