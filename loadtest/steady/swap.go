package steady

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/stages"
	"github.com/attune-rec/attune/loadtest/wire"
)

// Swap is how releases are swapped under load.
type Swap struct {
	Shop     string
	Versions []string // promoted in turn; the first is served when it begins
	Times    int      // swaps
	Every    time.Duration
	Rate     float64
	InFlight int
	Users    []string // asked in turn
	Market   string
	Surface  string // what is loaded
	Checked  string // the surface whose answers are worked out again, every fourth
	Limit    int32
	Admin    string // the server's operators' address
	Pid      int    // of the server
}

// Judge works answers out anew.
type Judge interface {
	// Wrong says what is wrong with an answer to a request of a user; nil: nothing.
	// Where exact, every score must follow from the release that the answer names.
	Wrong(user string, exact bool, a *attunev1.RecommendResponse) error
}

// answer is kept to be worked out after the run, so that this takes nothing from
// the server.
type answer struct {
	user  string
	exact bool
	raw   []byte
}

// RunSwap loads the server, swaps its releases, and works every answer out from
// the release that it names once the load has ended.
func RunSwap(ctx context.Context, s Swap, client *wire.Client, conn *grpc.ClientConn, judge Judge, said func(string)) (*Verdict, error) {
	var mu sync.Mutex
	var kept []answer
	requests := make([][]byte, 2*len(s.Users))
	start := func(_ context.Context, n uint64, done func(op, code string)) {
		u, exact := int(n/4*7+n)%len(s.Users), n%4 == 0
		at := &requests[2*u]
		surface := s.Surface
		if exact {
			at, surface = &requests[2*u+1], s.Checked
		}
		if *at == nil {
			*at, _ = proto.Marshal(&attunev1.RecommendRequest{ // strings only: it cannot fail
				Shop: s.Shop, User: s.Users[u], Surface: surface, Limit: s.Limit, Context: &attunev1.Context{Market: s.Market},
			})
		}
		client.Call(attunev1.RecommendationService_Recommend_FullMethodName, *at, true, func(code codes.Code, message []byte) {
			if code == codes.OK {
				mu.Lock()
				kept = append(kept, answer{s.Users[u], exact, slices.Clone(message)})
				mu.Unlock()
			}
			done(surface, code.String())
		})
	}
	v := &Verdict{}
	before, calm, err := s.calm(ctx, start)
	if err != nil {
		return nil, err
	}
	memory, err := Resident(s.Pid)
	if err != nil {
		return nil, err
	}
	was, err := stages.Fetch(ctx, s.Admin)
	if err != nil {
		return nil, err
	}
	said(fmt.Sprintf("before: %.0f/s, p50 %.2f p99 %.2f ms, %d MB", before.Achieved, calm.at(50), calm.at(99), memory>>20))

	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	swapping, between := newTimes(), newTimes()
	var spans spans
	var lost [apart + 1]atomic.Int64 // failed, by when
	result := make(chan *load.Result, 1)
	go func() {
		r, err := load.Run(loading, load.Plan{Rate: s.Rate, Length: time.Hour, InFlight: s.InFlight, Saw: func(due time.Time, _, code string, took time.Duration) {
			when := spans.touch(due, due.Add(took))
			if when == apart {
				between.add(took)
			} else {
				swapping.add(took)
			}
			if code != "OK" {
				lost[when].Add(1)
			}
		}}, start)
		if err == nil {
			result <- r
		}
		close(result)
	}()
	peak, err := s.swaps(ctx, conn, &spans, said)
	cancel()
	r := <-result
	if err != nil || r == nil {
		return nil, err
	}
	time.Sleep(settle) // what is no longer used is given back in its own time
	now, err := stages.Fetch(ctx, s.Admin)
	if err != nil {
		return nil, err
	}
	after, err := Resident(s.Pid)
	if err != nil {
		return nil, err
	}
	freed, back := 0., 0.
	for name, n := range now {
		switch {
		case name == fmt.Sprintf(`attune_release_events_total{shop="%s",what="freed"}`, s.Shop):
			freed = n - was[name]
		case strings.HasPrefix(name, "attune_release_rolled_back_total{") && strings.Contains(name, fmt.Sprintf("shop=%q", s.Shop)):
			back += n - was[name]
		}
	}
	at, err := attunev1.NewReleaseServiceClient(conn).GetCurrentRelease(ctx, &attunev1.GetCurrentReleaseRequest{Shop: s.Shop})
	if err != nil {
		return nil, err
	}
	v.ask(r.Codes["OK"] == r.Requests && r.Unsent == 0, fmt.Sprintf("failed requests over %d swaps", s.Times), "none", "%d of %d: %v, unsent %d", r.Requests-r.Codes["OK"], r.Requests, r.Codes, r.Unsent)
	v.ask(swapping.at(99) <= 2*calm.at(99), "p99 during a swap and a second after", fmt.Sprintf("at most twice %.2f ms before", calm.at(99)), "%.2f ms: %.2f times (%d requests)", swapping.at(99), swapping.at(99)/calm.at(99), swapping.count())
	v.ask(float64(peak) <= 2.2*float64(memory), "memory at most", fmt.Sprintf("2.2 times %d MB before", memory>>20), "%d MB: %.2f times", peak>>20, float64(peak)/float64(memory))
	// The one before the served one stays, to go back to at once.
	v.ask(freed >= float64(s.Times-1), "old releases freed", fmt.Sprintf("%d: all but the one before", s.Times-1), "%.0f; %d MB resident at the end", freed, after>>20)
	for _, version := range s.Versions {
		if version == at.GetLoaded() || version == at.GetPrevious() {
			continue
		}
		n, err := mapped(s.Pid, version)
		if err != nil {
			return nil, err
		}
		v.ask(n == 0, "files of "+version+" mapped into memory", "none", "%d", n)
	}
	v.ask(back == 0, "releases that the server went back from by itself", "none: they are as good as one another", "%.0f", back)
	if failed := r.Requests - r.Codes["OK"]; failed > 0 {
		v.note("of those that failed %d met a release being loaded, %d the second after, %d neither", lost[during].Load(), lost[echoing].Load(), lost[apart].Load())
	}
	v.note("a swap takes %.1f s at the median, %.1f s at most, from the call to promote to its answer; p99 at other times %.2f ms", spans.took(50), spans.took(100), between.at(99))
	said(fmt.Sprintf("working %d answers out anew", len(kept)))
	return v, s.check(ctx, v, kept, judge)
}

// calm is the load before any swap.
func (s *Swap) calm(ctx context.Context, start load.Start) (*load.Result, *times, error) {
	t := newTimes()
	r, err := load.Run(ctx, load.Plan{
		Rate: s.Rate, WarmUp: 5 * time.Second, Length: 25 * time.Second, InFlight: s.InFlight,
		Saw: func(_ time.Time, _, _ string, took time.Duration) { t.add(took) },
	}, start)
	return r, t, err
}

// swaps promotes one release after the other, and returns the most memory that
// the server had in the meantime.
func (s *Swap) swaps(ctx context.Context, conn *grpc.ClientConn, spans *spans, said func(string)) (peak int64, err error) {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	seen := make(chan int64, 1)
	go func() {
		most := int64(0)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-watch.Done():
				seen <- most
				return
			case <-tick.C:
				n, _ := Resident(s.Pid) // it was there a moment ago
				most = max(most, n)
			}
		}
	}()
	releases := attunev1.NewReleaseServiceClient(conn)
	for i := 1; i <= s.Times; i++ {
		want := s.Versions[i%len(s.Versions)]
		spans.begin(time.Now())
		cur, err := releases.PromoteRelease(ctx, &attunev1.PromoteReleaseRequest{Shop: s.Shop, Version: want})
		spans.end(time.Now())
		if err != nil {
			return 0, fmt.Errorf("swap %d: %w", i, err)
		}
		if cur.GetLoaded() != want {
			return 0, fmt.Errorf("swap %d: %s is loaded, %s was promoted", i, cur.GetLoaded(), want)
		}
		said(fmt.Sprintf("swap %2d: %s in %.2f s", i, want, spans.last().Seconds()))
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(s.Every):
		}
	}
	stop()
	return <-seen, nil
}

// check works the kept answers out.
func (s *Swap) check(ctx context.Context, v *Verdict, kept []answer, judge Judge) error {
	by := map[string]int{}
	exact, wrong, degraded := 0, 0, 0
	var first error
	for _, a := range kept {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var resp attunev1.RecommendResponse
		err := proto.Unmarshal(a.raw, &resp)
		if err == nil {
			by[resp.GetRelease()]++
			if resp.GetDegraded() {
				degraded++
			}
			err = judge.Wrong(a.user, a.exact && !resp.GetDegraded(), &resp)
		}
		if a.exact && !resp.GetDegraded() {
			exact++
		}
		if err != nil {
			if wrong++; first == nil {
				first = err
			}
		}
	}
	got := fmt.Sprintf("%d of %d wrong, %d of them with every score worked out", wrong, len(kept), exact)
	if first != nil {
		got += ": " + first.Error()
	}
	v.ask(wrong == 0 && exact > 0 && len(by) >= len(s.Versions), "answers of the release they name", "all, scores to 1e-5", "%s", got)
	v.note("answers by release: %v; degraded %d (%.3f %%)", by, degraded, 100*float64(degraded)/float64(max(len(kept), 1)))
	return nil
}

// spans are when swaps were under way. It is safe for concurrent use.
type spans struct {
	mu  sync.Mutex
	all []span
}

type span struct{ from, to time.Time }

func (s *spans) begin(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, span{from: t})
}

func (s *spans) end(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[len(s.all)-1].to = t
}

// echo is how long after a swap answers still count as given during it: the first
// of a release are those it may be cold for.
const echo = time.Second

// When a request was under way.
const (
	during  = iota // a swap
	echoing        // not during one, but within its echo
	apart
)

// touch tells when a request was under way from one time to another.
func (s *spans) touch(from, to time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	when := apart
	for i := len(s.all) - 1; i >= 0; i-- {
		at := &s.all[i]
		switch {
		case at.to.IsZero() || from.Before(at.to):
			if to.After(at.from) {
				return during
			}
		case from.Before(at.to.Add(echo)):
			when = echoing
		default:
			return when
		}
	}
	return when
}

func (s *spans) last() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.all[len(s.all)-1]
	return at.to.Sub(at.from)
}

// took is a quantile of how long swaps took, in seconds.
func (s *spans) took(quantile float64) float64 {
	t := newTimes()
	s.mu.Lock()
	for _, at := range s.all {
		t.add(at.to.Sub(at.from))
	}
	s.mu.Unlock()
	return t.at(quantile) / 1e3
}
