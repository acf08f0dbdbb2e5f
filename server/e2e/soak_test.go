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
		goroutines: int(read("goroutines")), openFiles: c.descriptors(t),
	}
}

// live is what of Go's heap is in use right after a collection.
func (c *child) live(t *testing.T) float64 {
	t.Helper()
	resp, err := http.Get("http://" + c.admin + "/debug/pprof/heap?gc=1&debug=1")
	must(t, err)
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	must(t, resp.Body.Close())
	m := regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`).FindSubmatch(b)
	if m == nil {
		t.Fatal("the heap profile does not tell what is in use")
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	must(t, err)
	return v
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

// slope is that of the least squares line through values over hours, and its
// standard error.
func slope(hours, values []float64) (a, se float64) {
	var mx, my, xy, xx float64
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
	return a, math.Sqrt(rest / float64(len(hours)-2) / xx)
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

// run has callers call for so long at a rate, or as fast as it goes at 0, and
// returns the calls a second.
func (c *callsOf) run(t *testing.T, clock *ranFor, callers int, d time.Duration, rate float64) float64 {
	began, from := clock.now(), c.n.Load()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for clock.now()-began < d && !t.Failed() {
				i := c.n.Add(1)
				if rate > 0 {
					time.Sleep(time.Duration(float64(i-from)/rate*float64(time.Second)) - (clock.now() - began))
				}
				if err := c.call(i); err != nil {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	return float64(c.n.Load()-from) / (clock.now() - began).Seconds()
}

// The server works at 70 % of what it can for a while. Before come a peak of many
// callers and a third of that time at the same load: what is kept for the next
// peak, free spans of Go's heap and pages of the database, is full then, and every
// event was sent. Goroutines and descriptors must not grow; the slope of memory is
// reported, and judged where the run is long enough to have one; the server runs
// without the floor that its heap has by default, which would hide it. Time is that in
// which the machine ran.
func TestSoak(t *testing.T) {
	seconds := times(t, "ATTUNE_SOAK", 0, 0)
	if seconds == 0 {
		t.Skip("ATTUNE_SOAK is not set: seconds, as 'make soak' gives them")
	}
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := startChild(t, dir)
	clock := &ranFor{}
	go clock.tick(t.Context())
	calls := &callsOf{recommend: attunev1.NewRecommendationServiceClient(c.conn), events: attunev1.NewEventServiceClient(c.conn)}
	whole := time.Duration(seconds) * time.Second
	warm := whole / 3
	calls.run(t, clock, 64, whole/30, 0)
	capacity := float64(times(t, "ATTUNE_SOAK_CAPACITY", 0, 0)) // elsewhere, on a quiet machine
	if capacity == 0 {
		capacity = calls.run(t, clock, 8, 5*time.Second, 0)
	}
	began, wall := clock.now(), time.Now()
	var samples []sample
	var lives, liveAt []float64
	var before int64 // calls until it was warm
	var kept float64 // calls a second
	done := make(chan struct{})
	go func() {
		defer close(done)
		kept = calls.run(t, clock, 8, warm+whole, .7*capacity)
	}()
	tick := time.NewTicker(max(time.Second, whole/900))
	defer tick.Stop()
	for running, said := true, time.Duration(0); running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			s := c.sample(t, clock.now()-began)
			s.calls = calls.n.Load()
			if s.at > warm {
				samples = append(samples, s)
			} else {
				before = s.calls
			}
			if each := whole / 30; s.at/each != said {
				said = s.at / each
				t.Log(s)
				if s.at > warm {
					lives, liveAt = append(lives, c.live(t)), append(liveAt, s.at.Hours())
				}
			}
		}
	}
	if t.Failed() {
		return
	}
	if os.Getenv("ATTUNE_SOAK_JUDGE") != "" && before < 5*soakEvents {
		t.Errorf("%d calls sent not every event before memory was looked at: a longer run", before)
	}
	if len(samples) < 6 || len(lives) < 6 {
		t.Fatalf("got %d samples, want more: a longer run", len(samples))
	}
	var hours, resident []float64
	for _, s := range samples {
		hours, resident = append(hours, s.at.Hours()), append(resident, s.resident)
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
	// Both in percent of the resident memory: what is kept free would hide for a
	// while what is never freed.
	var mean float64
	for _, v := range resident {
		mean += v / float64(len(resident)) / 100
	}
	grows, growsSE := slope(hours, resident)
	grows, growsSE = grows/mean, growsSE/mean
	leaks, leaksSE := slope(liveAt, lives)
	leaks, leaksSE = leaks/mean, leaksSE/mean
	if os.Getenv("ATTUNE_SOAK_JUDGE") != "" && (grows > 1 || leaks > 1) {
		t.Errorf("in an hour resident memory grows by %.2f %%, and by %.2f %% what is in use: want at most 1", grows, leaks)
	}
	last := samples[len(samples)-1]
	figure(t, "soak of %v at 70 %% of %.0f calls/s (%.0f/s were kept up; the machine stood still for %v beside): %d calls (%d events, again and again), %d turned away; resident memory %.0f MiB, slope %+.2f ± %.2f %% of it an hour, from %v on, that of what is in use after collections (%.1f MiB) %+.2f ± %.2f %%; goroutines at most %d early and %d late; descriptors %d and %d",
		whole, capacity, kept, (time.Since(wall) - (clock.now() - began)).Round(time.Second), calls.n.Load(), soakEvents, calls.late.Load(), last.resident/(1<<20), grows, growsSE, warm, lives[len(lives)-1]/(1<<20), leaks, leaksSE,
		most(samples[:third], goroutines), most(samples[len(samples)-third:], goroutines), most(samples[:third], openFiles), most(samples[len(samples)-third:], openFiles))
}
