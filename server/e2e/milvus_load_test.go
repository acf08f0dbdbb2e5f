package e2e

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/models/vector/milvus/milvustest"
	"github.com/attune-rec/attune/trainer/job"
)

// crowd asks without a pause, many at once, until it is sent home.
type crowd struct {
	asked, open, well atomic.Int64 // answers; those for which the breaker was open; those not degraded
	mu                sync.Mutex
	wrong             map[string]int
	slowest           time.Duration
}

func (k *crowd) ask(c *client, i int) {
	const deadline = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	began := time.Now()
	resp, err := c.Recommend(ctx, &attunev1.RecommendRequest{User: somebody(i % 8), Surface: surfacePlain, Limit: 5})
	took := time.Since(began)
	k.asked.Add(1)
	k.mu.Lock()
	k.slowest = max(k.slowest, took)
	switch {
	case err != nil:
		k.wrong[status.Code(err).String()]++
	case len(resp.GetItems()) != 5:
		k.wrong[fmt.Sprintf("%d items", len(resp.GetItems()))]++
	}
	k.mu.Unlock()
	if err != nil {
		return
	}
	if !resp.GetDegraded() {
		k.well.Add(1)
	}
	for _, d := range resp.GetDegradations() {
		if d.GetComponent() == "milvus" && d.GetWhy() == "open" {
			k.open.Add(1)
		}
	}
}

// Many ask at once while Milvus refuses, hangs, is slow and resets: each is
// answered within its deadline, with all items. How soon the breaker opens and
// closes is the breaker's own test, by its clock, and logged here.
func TestMilvusFaultsUnderLoad(t *testing.T) {
	p := milvustest.NewProxy(t, milvusUnderTest(t))
	dir := stock(t)
	version := publish(t, dir, 1, items())
	flags := faulty(p.Address())
	command(t, &job.Promote{Releases: where(dir), Version: version, Cluster: job.Cluster{Milvus: flags}})
	cfg := config(dir)
	cfg.Milvus, cfg.AnswerIn = flags, 0
	c := start(t, cfg)
	k := &crowd{wrong: map[string]int{}}
	home := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := i; ; n += 16 {
				select {
				case <-home:
					return
				default:
					k.ask(c, n)
				}
			}
		})
	}
	more := func(what string, of *atomic.Int64) time.Duration {
		t.Helper()
		began, was := time.Now(), of.Load()
		eventually(t, what, func() bool { return of.Load() > was })
		return time.Since(began).Round(time.Millisecond)
	}
	more("answers are not degraded", &k.well)
	for _, f := range []milvustest.Fault{milvustest.Refuse, milvustest.Hang, milvustest.Slow, milvustest.Reset} {
		p.Set(t, f)
		opened := more(fmt.Sprintf("%v: the breaker is open", f), &k.open)
		p.Set(t, milvustest.None)
		closed := more(fmt.Sprintf("after %v: answers are not degraded", f), &k.well)
		t.Logf("%v: open after %v; closed %v after its end", f, opened, closed)
	}
	close(home)
	wg.Wait()
	t.Logf("%d answers, the slowest after %v", k.asked.Load(), k.slowest.Round(time.Millisecond))
	if len(k.wrong) > 0 {
		t.Errorf("got %v of %d, want answers with 5 items only", k.wrong, k.asked.Load())
	}
}
