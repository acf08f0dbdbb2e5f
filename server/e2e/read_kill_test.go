package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features/store"
)

// readings is a client that remembers of whom it was answered, and how often.
type readings struct {
	mu    sync.Mutex
	one   map[string]int // by a call for one
	batch map[string]int // among others
}

func (o *readings) reads(profiles attunev1.ProfileServiceClient, rng *rand.Rand) error {
	ctx := context.Background()
	if rng.IntN(2) == 0 {
		p, err := profiles.GetProfile(ctx, &attunev1.GetProfileRequest{Id: somebody(rng.IntN(shoppers))})
		if err != nil {
			return err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.one[p.GetKey()]++
		return nil
	}
	q := &attunev1.BatchGetProfilesRequest{}
	for range 30 {
		q.Ids = append(q.Ids, somebody(rng.IntN(shoppers)))
	}
	all, err := profiles.BatchGetProfiles(ctx, q)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range all.GetProfiles() {
		o.batch[p.GetKey()]++
	}
	return nil
}

// A server that is read from is killed at random moments. Whoever was told of is
// in the audit log, as often as they were told of, and the log's chain holds.
func TestNoReadIsAnsweredUnwritten(t *testing.T) {
	kills := times(t, "ATTUNE_KILLS", 2, 10)
	const callers = 4
	dir := stock(t)
	rng := rand.New(rand.NewPCG(5, 6))
	answered := &readings{one: map[string]int{}, batch: map[string]int{}}
	for life := range kills {
		c := startChild(t, dir)
		profiles := attunev1.NewProfileServiceClient(c.conn)
		soon(t, "profiles", func() bool {
			all, err := profiles.BatchGetProfiles(context.Background(), &attunev1.BatchGetProfilesRequest{Ids: []string{somebody(0), somebody(1)}})
			if err == nil {
				answered.mu.Lock()
				defer answered.mu.Unlock()
				for _, p := range all.GetProfiles() {
					answered.batch[p.GetKey()]++
				}
			}
			return err == nil && len(all.GetProfiles()) == 2
		})
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				own := rand.New(rand.NewPCG(uint64(life), uint64(i)))
				for answered.reads(profiles, own) == nil {
				}
			})
		}
		time.Sleep(time.Duration(50+rng.IntN(300)) * time.Millisecond)
		c.kill()
		wg.Wait()
	}
	st := openStore(t, dir)
	defer func() { must(t, st.Close()) }()
	one, batch := map[string]int{}, map[string]int{}
	must(t, st.ScanAudit(context.Background(), shop, func(a *store.Audited) error {
		switch {
		case a.Method == attunev1.ProfileService_GetProfile_FullMethodName && a.Detail == "called":
			one[a.Subject]++
		case a.Method == attunev1.ProfileService_BatchGetProfiles_FullMethodName && strings.HasPrefix(a.Detail, "read: "):
			for _, key := range strings.Fields(a.Detail)[1:] {
				batch[key]++
			}
		}
		return nil
	}))
	calls := 0
	for _, c := range []struct {
		how          string
		told, stands map[string]int
	}{{"one by one", answered.one, one}, {"among others", answered.batch, batch}} {
		if len(c.told) == 0 {
			t.Errorf("nobody was read %s", c.how)
		}
		for key, n := range c.told {
			calls += n
			if c.stands[key] < n {
				t.Errorf("%s was told of %s %d times: %d are written down", key, c.how, n, c.stands[key])
			}
		}
	}
	figure(t, "kill -9 of a server that is read from: %d kills, %d times somebody was told of: every one in the audit log", kills, calls)
}
