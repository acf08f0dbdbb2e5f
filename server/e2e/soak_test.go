package e2e

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"
)

// sample is what a server takes at a moment.
type sample struct {
	at                    time.Duration
	calls                 int64
	resident              float64
	mapped                float64 // of resident: files and shared memory
	heap                  float64 // of resident: Go's objects and what is between them
	idle                  float64 // of resident: what Go has free and keeps
	other                 float64 // of resident: Go's stacks and tables
	asked                 float64 // of the system at most until then: to see whether that grew
	goroutines, openFiles int
}

// String tells where memory is, in MiB; what is neither Go's nor a file is the
// database's, whose pages are kept outside of Go's heap.
func (s sample) String() string {
	return fmt.Sprintf("%v, %d calls: resident %.1f MiB: heap %.1f, free %.1f, stacks and tables %.1f, mapped %.1f, database %.1f; %d goroutines, %d descriptors", s.at.Round(time.Second), s.calls,
		s.resident/(1<<20), s.heap/(1<<20), s.idle/(1<<20), s.other/(1<<20), s.mapped/(1<<20), (s.resident-s.heap-s.idle-s.other-s.mapped)/(1<<20), s.goroutines, s.openFiles)
}

var gauges = map[string]*regexp.Regexp{
	"heap":       regexp.MustCompile(`(?m)^go_memstats_heap_inuse_bytes (\S+)$`),
	"idle":       regexp.MustCompile(`(?m)^go_memstats_heap_idle_bytes (\S+)$`),
	"released":   regexp.MustCompile(`(?m)^go_memstats_heap_released_bytes (\S+)$`),
	"sys":        regexp.MustCompile(`(?m)^go_memstats_sys_bytes (\S+)$`),
	"goroutines": regexp.MustCompile(`(?m)^go_goroutines (\S+)$`),
}

func (c *child) sample(t *testing.T, at time.Duration) (s sample) {
	t.Helper()
	resp, err := http.Get("http://" + c.admin + "/metrics")
	must(t, err)
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	read := func(name string) float64 {
		m := gauges[name].FindSubmatch(b)
		if m == nil {
			t.Fatalf("/metrics lacks %s", name)
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		must(t, err)
		return v
	}
	return sample{
		at: at, resident: float64(c.status(t, "VmRSS")), mapped: float64(c.status(t, "RssFile") + c.status(t, "RssShmem")),
		heap: read("heap"), idle: read("idle") - read("released"), other: read("sys") - read("heap") - read("idle"),
		asked:      read("sys") + float64(c.status(t, "VmPeak")),
		goroutines: int(read("goroutines")), openFiles: c.descriptors(t),
	}
}

// used is the resident memory right after a collection without what Go has free
// and keeps, and what of it Go's objects take.
func (c *child) used(t *testing.T) (used, objects float64) {
	t.Helper()
	resp, err := http.Get("http://" + c.admin + "/debug/pprof/heap?gc=1&debug=1")
	must(t, err)
	resident := float64(c.status(t, "VmRSS"))
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	read := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^# ` + name + ` = (\d+)$`).FindSubmatch(b)
		if m == nil {
			t.Fatalf("the heap profile lacks %s", name)
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		must(t, err)
		return v
	}
	return resident - (read("HeapIdle") - read("HeapReleased")), read("HeapAlloc")
}

// ranFor is the time in which this machine ran: while it stands still, by others'
// will or its own, neither calls nor memory are expected to go on.
type ranFor struct{ ns atomic.Int64 }

func (r *ranFor) now() time.Duration { return time.Duration(r.ns.Load()) }

// tick counts until ctx ends. A step longer than the most is a standstill, and
// counts as one step.
func (r *ranFor) tick(ctx context.Context) {
	const step, most = 20 * time.Millisecond, 500 * time.Millisecond
	every := time.NewTicker(step)
	defer every.Stop()
	for last := time.Now(); ctx.Err() == nil; <-every.C {
		now := time.Now()
		if passed := now.Sub(last); passed <= most {
			r.ns.Add(int64(passed))
		} else {
			r.ns.Add(int64(step))
		}
		last = now
	}
}

// slope is that of the least squares line through values over hours, its standard
// error, and the mean of the values.
func slope(hours, values []float64) (my, a, se float64) {
	var mx, xy, xx float64
	for i := range hours {
		mx, my = mx+hours[i]/float64(len(hours)), my+values[i]/float64(len(hours))
	}
	for i := range hours {
		xy += (hours[i] - mx) * (values[i] - my)
		xx += (hours[i] - mx) * (hours[i] - mx)
	}
	a = xy / xx
	var rest float64
	for i := range hours {
		r := values[i] - my - a*(hours[i]-mx)
		rest += r * r
	}
	return my, a, math.Sqrt(rest / float64(len(hours)-2) / xx)
}

// callsOf makes a soak's calls: of five, four ask for recommendations and one
// collects an event. Memory that grows with the log would hide what leaks, so
// that the same events come again and again.
type callsOf struct {
	recommend attunev1.RecommendationServiceClient
	events    attunev1.EventServiceClient
	n, late   atomic.Int64
}

const soakEvents = 20_000

func (c *callsOf) call(i int64) (err error) {
	if e := int(i/5) % soakEvents; i%5 == 4 {
		_, err = c.events.Collect(context.Background(), &attunev1.CollectRequest{Event: &attunev1.Event{
			Id: fmt.Sprintf("soak-%d", e), Type: attunev1.EventType_EVENT_TYPE_VIEW, User: somebody(e % shoppers), Item: thing(e % things),
		}})
	} else {
		_, err = c.recommend.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(int(i) % shoppers), Surface: []string{"home", "item", "cart"}[i%3], Item: thing(int(i) % things)})
	}
	if status.Code(err) == codes.ResourceExhausted || status.Code(err) == codes.Unavailable {
		c.late.Add(1)
		return nil
	}
	return err
}

// run has callers call until ctx ends at a rate, or as fast as it goes at 0, and
// returns the calls a second. What a slow moment left out is not made up for: that
// would be a peak.
func (c *callsOf) run(ctx context.Context, t *testing.T, clock *ranFor, callers int, rate float64) float64 {
	const late = 50 * time.Millisecond
	began, from := clock.now(), c.n.Load()
	var mu sync.Mutex
	next := began // when the next call is due
	wait := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		now := clock.now()
		next = max(next+time.Duration(float64(time.Second)/rate), now-late)
		return next - now
	}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				if rate > 0 {
					time.Sleep(wait())
				}
				i := c.n.Add(1)
				if err := c.call(i); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	return float64(c.n.Load()-from) / (clock.now() - began).Seconds()
}

// full has callers call for so long as fast as it goes.
func (c *callsOf) full(t *testing.T, clock *ranFor, callers int, d time.Duration) float64 {
	ctx, enough := context.WithTimeout(t.Context(), d)
	defer enough()
	return c.run(ctx, t, clock, callers, 0)
}

// warmth tells when a server is warm: it works for so long at least, every event
// was sent, and it has asked the system for no more memory for half of that time.
type warmth struct {
	least time.Duration
	asked float64       // at most so far
	since time.Duration // when that was first so
}

func (w *warmth) reached(s sample) bool {
	if s.asked > w.asked {
		w.asked, w.since = s.asked, s.at
	}
	return s.at >= w.least && s.calls >= 5*soakEvents && s.at-w.since >= w.least/2
}

// The server works at 70 % of what it can for a while. Before come a peak of many
// callers and the same load until the server is warm: then what is kept for the
// next peak, free spans of Go's heap and pages of the database, is full.
// Goroutines and descriptors must not grow; the slope of memory is reported, and
// judged where the run is long enough to have one: of what is resident, and of
// that without what awaits collection or is kept free, which would hide for a
// while what is never freed. The server runs without the floor that its heap has
// by default, which would hide it too. Time is that in which the machine ran.
func TestSoak(t *testing.T) {
	seconds := times(t, "ATTUNE_SOAK", 0, 0)
	if seconds == 0 {
		t.Skip("ATTUNE_SOAK is not set: seconds, as 'make soak' gives them")
	}
	judge := os.Getenv("ATTUNE_SOAK_JUDGE") != ""
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := startChild(t, dir)
	clock := &ranFor{}
	go clock.tick(t.Context())
	calls := &callsOf{recommend: attunev1.NewRecommendationServiceClient(c.conn), events: attunev1.NewEventServiceClient(c.conn)}
	whole := time.Duration(seconds) * time.Second
	calls.full(t, clock, 64, whole/30)
	capacity := float64(times(t, "ATTUNE_SOAK_CAPACITY", 0, 0)) // elsewhere, on a quiet machine
	if capacity == 0 {
		capacity = calls.full(t, clock, 8, 5*time.Second)
	}
	began, wall := clock.now(), time.Now()
	ctx, enough := context.WithCancel(t.Context())
	defer enough()
	var kept float64 // calls a second
	done := make(chan struct{})
	go func() {
		defer close(done)
		kept = calls.run(ctx, t, clock, 8, .7*capacity)
	}()
	w := warmth{least: whole / 3}
	var warm, said time.Duration // warm: when it was, 0 before
	var samples []sample
	var hours, resident, used []float64 // a thirtieth of the time each
	var objects, sum, count float64
	tick := time.NewTicker(max(time.Second, whole/900))
	defer tick.Stop()
	each := whole / 30
	for at := time.Duration(0); (warm == 0 || at < warm+whole) && !t.Failed(); {
		<-tick.C
		s := c.sample(t, clock.now()-began)
		at = s.at
		s.calls = calls.n.Load()
		switch {
		case warm > 0:
			samples, sum, count = append(samples, s), sum+s.resident, count+1
		case w.reached(s) || !judge && s.at >= whole:
			warm, said = s.at, s.at
		case s.at >= 2*whole:
			t.Fatalf("after %v the server still asked for more memory %v ago: %v", s.at, s.at-w.since, s)
		}
		if s.at-said < each {
			continue
		}
		said += each
		var now float64
		now, objects = c.used(t)
		t.Logf("%v; in use %.1f MiB, %.1f of it Go's objects", s, now/(1<<20), objects/(1<<20))
		if warm > 0 {
			hours, resident, used = append(hours, s.at.Hours()), append(resident, sum/count), append(used, now)
			sum, count = 0, 0
		}
	}
	enough()
	<-done
	if t.Failed() {
		return
	}
	if len(used) < 6 {
		t.Fatalf("got %d figures of memory, want more: a longer run", len(used))
	}
	third := len(samples) / 3
	most := func(of []sample, f func(sample) int) (m int) {
		for _, s := range of {
			m = max(m, f(s))
		}
		return m
	}
	goroutines, openFiles := func(s sample) int { return s.goroutines }, func(s sample) int { return s.openFiles }
	for name, f := range map[string]func(sample) int{"goroutines": goroutines, "descriptors": openFiles} {
		early, end := most(samples[:third], f), most(samples[len(samples)-third:], f)
		if end > early+max(20, early/5) {
			t.Errorf("%s grew from %d to %d", name, early, end)
		}
	}
	mean, grows, growsSE := slope(hours, resident)
	_, leaks, leaksSE := slope(hours, used)
	grows, growsSE, leaks, leaksSE = 100*grows/mean, 100*growsSE/mean, 100*leaks/mean, 100*leaksSE/mean
	if judge && (grows > 1 || leaks > 1) {
		t.Errorf("in an hour resident memory grows by %.2f %%, and by %.2f %% what is in use: want at most 1", grows, leaks)
	}
	figure(t, "soak of %v at 70 %% of %.0f calls/s (%.0f/s were kept up; the machine stood still for %v beside), warm after %v: %d calls (%d events, again and again), %d turned away; resident memory %.0f MiB, slope %+.2f ± %.2f %% of it an hour, that of what is in use after collections (%.0f MiB) %+.2f ± %.2f %%; goroutines at most %d early and %d late; descriptors %d and %d",
		whole, capacity, kept, (time.Since(wall) - (clock.now() - began)).Round(time.Second), warm.Round(time.Second), calls.n.Load(), soakEvents, calls.late.Load(), mean/(1<<20), grows, growsSE, used[len(used)-1]/(1<<20), leaks, leaksSE,
		most(samples[:third], goroutines), most(samples[len(samples)-third:], goroutines), most(samples[:third], openFiles), most(samples[len(samples)-third:], openFiles))
}
