package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/models/release"
	"github.com/attune-rec/attune/models/vector/milvus"
	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/trainer/job"
)

// inMilvus is the flags that put every model of the shop into a Milvus. A busy
// machine has time for all that should work.
func inMilvus(address string) milvus.Flags {
	return milvus.Flags{Address: address, From: 1, Search: time.Minute, Wait: time.Minute}
}

// faulty is those of a Milvus that a test lets fail: one that hangs, or answers
// after 2 seconds, does so in vain.
func faulty(address string) milvus.Flags {
	f := inMilvus(address)
	f.Search = 300 * time.Millisecond
	return f
}

// command runs a command of the trainer.
func command(t *testing.T, c interface{ Run(*job.Env) error }) {
	t.Helper()
	var out bytes.Buffer
	must(t, c.Run(job.NewEnv(context.Background(), &out, io.Discard, true, slog.LevelError)))
}

func where(dir string) job.Releases {
	return job.Releases{Store: filepath.Join(dir, "releases"), Shop: string(shop)}
}

// promoteIn is trainer promote with a Milvus.
func promoteIn(t *testing.T, dir, version, address string) {
	t.Helper()
	command(t, &job.Promote{Releases: where(dir), Version: version, Cluster: job.Cluster{Milvus: inMilvus(address)}})
}

// serves is the release that answers.
func (c *client) serves(t *testing.T) string {
	t.Helper()
	resp, err := c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(4), Limit: 3})
	must(t, err)
	return resp.GetRelease()
}

// The trainer fills Milvus and moves its alias, the server searches the
// collection of the release that it serves. A release is not taken before its
// collection can be searched, and never with one of other vectors.
func TestReleasesInMilvus(t *testing.T) {
	s := milvustest.NewServer(t)
	dir := stock(t)
	var versions []string
	judges, markers := map[string]*judge{}, map[string]string{}
	for i, sort := range []string{"a", "b", "c"} {
		v := publish(t, dir, uint64(1+i), marked(sort))
		versions = append(versions, v)
		judges[v], markers[v] = newJudge(t, dir, v), "marker-"+sort
	}
	cfg := config(dir)
	cfg.Milvus = inMilvus(s.Address)
	promoteIn(t, dir, versions[1], s.Address)
	promoteIn(t, dir, versions[0], s.Address)
	c := start(t, cfg)
	right := func(version string) {
		t.Helper()
		before := s.Searches()
		resp := c.ask(t, &attunev1.RecommendRequest{User: "newcomer", Surface: surfacePlain, Limit: 100})
		if resp.GetRelease() != version {
			t.Fatalf("got release %s, want %s", resp.GetRelease(), version)
		}
		must(t, verify(resp, judges, markers, nil))
		c.ask(t, &attunev1.RecommendRequest{User: somebody(4), Surface: surfacePlain, Limit: 5})
		if s.Searches() == before {
			t.Error("milvus was not searched")
		}
	}
	published := func(want string) {
		t.Helper()
		for alias, to := range s.Aliases() {
			if plain := strings.NewReplacer(".", "_", "-", "_").Replace(want); !strings.Contains(to, plain) {
				t.Errorf("alias %s: got %s, want release %s", alias, to, want)
			}
		}
	}
	right(versions[0])
	published(versions[0])

	promote(t, dir, versions[2]) // by someone who did not fill Milvus
	for range 20 {
		right(versions[0])
		time.Sleep(5 * time.Millisecond)
	}
	s.Unready(true)
	promote(t, dir, versions[1]) // filled, but not searchable yet
	for range 20 {
		if got := c.serves(t); got != versions[0] {
			t.Fatalf("before its collection can be searched: got %s, want %s", got, versions[0])
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.Unready(false)
	eventually(t, "the release is served that can be searched now", func() bool { return c.serves(t) == versions[1] })
	promoteIn(t, dir, versions[1], s.Address) // moves the alias
	right(versions[1])
	published(versions[1])

	// New items at once, deleted ones gone, around a frozen collection.
	fresh := &attunev1.Item{Id: "fresh", Title: "Mug No 100", Description: "a ceramic mug for coffee and tea", Category: []string{"Kitchen", "Mugs"}}
	_, err := c.catalog.UpsertItem(context.Background(), &attunev1.UpsertItemRequest{Item: fresh})
	must(t, err)
	_, err = c.catalog.DeleteItem(context.Background(), &attunev1.DeleteItemRequest{Id: thing(2)})
	must(t, err)
	resp := c.ask(t, &attunev1.RecommendRequest{Item: thing(0), Limit: 40})
	var ids []string
	for _, it := range resp.GetItems() {
		ids = append(ids, it.GetItem())
	}
	if !slices.Contains(ids, "fresh") || slices.Contains(ids, thing(2)) {
		t.Errorf("beside %s: got %v, want the new item and not the deleted one", thing(0), ids)
	}

	// The API fills and points too; going back finds the one before.
	_, err = c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: versions[2]})
	must(t, err)
	if got := c.serves(t); got != versions[2] {
		t.Fatalf("promoted by the API: got %s, want %s", got, versions[2])
	}
	published(versions[2])
	command(t, &job.Rollback{Releases: where(dir), Cluster: job.Cluster{Milvus: inMilvus(s.Address)}})
	eventually(t, "the rollback is served", func() bool { return c.serves(t) == versions[1] })
	published(versions[1])

	// A collection of other vectors under the right name is refused.
	c.stop()
	s.Tamper()
	c = start(t, cfg)
	resp, err = c.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(4), Surface: surfacePlain, Limit: 5})
	must(t, err)
	if !resp.GetDegraded() || len(resp.GetItems()) == 0 {
		t.Errorf("with a collection of other vectors: got %v, want the local index, degraded", resp)
	}
	must(t, verifyItems(resp, judges[versions[1]]))
}

// What is published elsewhere is in Milvus when it is promoted there, and not
// before it is told to be.
func TestPublishFillsMilvus(t *testing.T) {
	s := milvustest.NewServer(t)
	dir := stock(t)
	version := publish(t, dir, 1, items())
	from := filepath.Join(dir, "releases", string(shop), "releases", version)
	to := t.TempDir()
	command(t, &job.Publish{Releases: where(to), From: from, Cluster: job.Cluster{Milvus: inMilvus(s.Address)}})
	if got := len(s.Collections()); got != 2 || len(s.Aliases()) != 0 {
		t.Errorf("published: got %d collections and aliases %v, want those of two models and no alias", got, s.Aliases())
	}
	command(t, &job.Promote{Releases: where(to), Cluster: job.Cluster{Milvus: inMilvus(s.Address)}})
	if got := len(s.Collections()); got != 2 || len(s.Aliases()) != 2 {
		t.Errorf("promoted: got %d collections and aliases %v, want two and two", got, s.Aliases())
	}
	p := milvustest.NewProxy(t, s.Address)
	p.Set(t, milvustest.Refuse)
	down := &job.Promote{Releases: where(dir), Version: version, Cluster: job.Cluster{Milvus: inMilvus(p.Address())}}
	if err := down.Run(job.NewEnv(context.Background(), io.Discard, io.Discard, true, slog.LevelError)); !errors.Is(err, milvus.ErrMilvus) {
		t.Errorf("promoted without milvus: got %v, want ErrMilvus", err)
	}
	if _, err := release.Current(context.Background(), releases(dir), shop); !errors.Is(err, release.ErrNotFound) {
		t.Errorf("got %v, want nothing served", err)
	}
}

// verifyItems reports an item that the release does not know.
func verifyItems(resp *attunev1.RecommendResponse, j *judge) error {
	for _, it := range resp.GetItems() {
		if _, ok := j.items.Row(it.GetItem()); !ok && it.GetItem() != "fresh" {
			return fmt.Errorf("%s is not in release %s", it.GetItem(), resp.GetRelease())
		}
	}
	return nil
}

// milvusUnderTest is a real one where there is one to start, or the one in
// memory.
func milvusUnderTest(t *testing.T) string {
	t.Helper()
	if milvustest.Available() {
		return milvustest.Start(t).Address
	}
	return milvustest.NewServer(t).Address
}

// Whatever happens to Milvus, every answer comes within its deadline, degraded
// and by name, and with as many items; none is INTERNAL. Its breaker opens, and
// closes again when Milvus is back.
func TestMilvusFaults(t *testing.T) {
	p := milvustest.NewProxy(t, milvusUnderTest(t))
	dir := stock(t)
	version, second := publish(t, dir, 1, items()), publish(t, dir, 2, items())
	flags := faulty(p.Address())
	command(t, &job.Promote{Releases: where(dir), Version: version, Cluster: job.Cluster{Milvus: flags}})
	cfg := config(dir)
	cfg.Milvus = flags
	c := start(t, cfg)
	ask := func() *attunev1.RecommendResponse {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		resp, err := c.Recommend(ctx, &attunev1.RecommendRequest{User: somebody(4), Surface: surfacePlain, Limit: 5})
		if err != nil {
			t.Fatalf("got %v, want an answer", err)
		}
		if len(resp.GetItems()) != 5 {
			t.Fatalf("got %d items, want 5", len(resp.GetItems()))
		}
		return resp
	}
	why := func(resp *attunev1.RecommendResponse) string {
		for _, d := range resp.GetDegradations() {
			if d.GetComponent() == "milvus" {
				return d.GetWhy()
			}
		}
		return ""
	}
	well := func() bool { return !ask().GetDegraded() }
	eventually(t, "answers are not degraded", well)
	want := map[milvustest.Fault]string{milvustest.Refuse: "error", milvustest.Hang: "timeout", milvustest.Slow: "timeout", milvustest.Reset: "error"}
	for i, f := range []milvustest.Fault{milvustest.Refuse, milvustest.Hang, milvustest.Slow, milvustest.Reset} {
		p.Set(t, f)
		first := ask()
		if got := why(first); !first.GetDegraded() || got != want[f] && got != "timeout" { // a busy machine may be slow besides
			t.Errorf("%v: got %v, want it degraded by milvus for %q", f, first.GetDegradations(), want[f])
		}
		eventually(t, fmt.Sprintf("%v: the breaker is open", f), func() bool { return why(ask()) == "open" })
		opened := c.metric(t, `attune_breaker_opened_total\{dependency="milvus",shop="default",what="ials"\}`)
		if opened < float64(i+1) {
			t.Errorf("%v: got %v openings, want %d at least", f, opened, i+1)
		}
		p.Set(t, milvustest.None)
		began := time.Now()
		eventually(t, fmt.Sprintf("after %v: answers are not degraded", f), well)
		t.Logf("after %v: %v until the first answer that is not degraded", f, time.Since(began).Round(time.Millisecond))
		if state := c.metric(t, `attune_breaker_state\{dependency="milvus",shop="default",what="ials"\}`); state != 0 {
			t.Errorf("after %v: got breaker state %v, want 0, closed", f, state)
		}
	}
	// A release cannot be taken while Milvus is away, and the old one serves.
	p.Set(t, milvustest.Refuse)
	_, err := c.releases.PromoteRelease(context.Background(), &attunev1.PromoteReleaseRequest{Version: second})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("promote without milvus: got %v, want UNAVAILABLE", err)
	}
	if got := ask().GetRelease(); got != version {
		t.Errorf("got release %s, want %s", got, version)
	}
	// Nor does a server wait for it to begin.
	c.stop()
	c = start(t, cfg)
	if resp := ask(); !resp.GetDegraded() || resp.GetRelease() != version {
		t.Errorf("started without milvus: got %v, want the release, degraded", resp)
	}
	p.Set(t, milvustest.None)
	eventually(t, "milvus is searched after all", well)
}

// metric is the value of a series of the server's.
func (c *client) metric(t *testing.T, series string) float64 {
	t.Helper()
	v, ok := c.series(t, series)
	if !ok {
		t.Fatalf("no series %s", series)
	}
	return v
}

// has reports a series that is above 0.
func (c *client) has(t *testing.T, series string) bool {
	t.Helper()
	v, ok := c.series(t, series)
	return ok && v > 0
}

func (c *client) series(t *testing.T, series string) (v float64, ok bool) {
	t.Helper()
	resp, err := http.Get("http://" + c.Admin() + "/metrics")
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	found := regexp.MustCompile(`(?m)^` + series + ` (\S+)$`).FindSubmatch(b)
	if found == nil {
		return 0, false
	}
	_, err = fmt.Sscan(string(found[1]), &v)
	must(t, err)
	return v, true
}
