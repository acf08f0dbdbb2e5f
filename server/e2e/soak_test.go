package e2e

import (
	"context"
	"fmt"
	"io"
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

func (c *child) sample(t *testing.T, began time.Time) (s sample) {
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
		at: time.Since(began), resident: float64(c.status(t, "VmRSS")), mapped: float64(c.status(t, "RssFile") + c.status(t, "RssShmem")),
		heap: read("heap"), idle: read("idle") - read("released"), other: read("sys") - read("heap") - read("idle"),
		goroutines: int(read("goroutines")), openFiles: c.descriptors(t),
	}
}

// slope is that of the least squares line through values over hours.
func slope(hours, values []float64) float64 {
	var mx, my, xy, xx float64
	for i := range hours {
		mx, my = mx+hours[i]/float64(len(hours)), my+values[i]/float64(len(hours))
	}
	for i := range hours {
		xy += (hours[i] - mx) * (values[i] - my)
		xx += (hours[i] - mx) * (hours[i] - mx)
	}
	return xy / xx
}

// The server works at 70 % of what it can for a while. Goroutines and
// descriptors must not grow; the slope of memory is reported, and judged where
// the run is long enough to have one.
func TestSoak(t *testing.T) {
	seconds := times(t, "ATTUNE_SOAK", 0, 0)
	if seconds == 0 {
		t.Skip("ATTUNE_SOAK is not set: seconds, as 'make soak' gives them")
	}
	dir := stock(t)
	promote(t, dir, publish(t, dir, 1, items()))
	c := startChild(t, dir)
	recommend, events := attunev1.NewRecommendationServiceClient(c.conn), attunev1.NewEventServiceClient(c.conn)
	var n, late atomic.Int64
	call := func(i int64) error {
		var err error
		if i%5 == 4 {
			_, err = events.Collect(context.Background(), &attunev1.CollectRequest{Event: &attunev1.Event{
				// The log's index grows with the log; so that what leaks can be told
				// from it, the same events come again and again after a while.
				Id:   fmt.Sprintf("soak-%d", i%20_000),
				Type: attunev1.EventType_EVENT_TYPE_VIEW, User: somebody(int(i) % shoppers), Item: thing(int(i) % things),
			}})
		} else {
			_, err = recommend.Recommend(context.Background(), &attunev1.RecommendRequest{User: somebody(int(i) % shoppers), Surface: []string{"home", "item", "cart"}[i%3], Item: thing(int(i) % things)})
		}
		if status.Code(err) == codes.ResourceExhausted || status.Code(err) == codes.Unavailable {
			late.Add(1)
			return nil
		}
		return err
	}
	run := func(d time.Duration, rate float64) float64 { // rate 0: as fast as it goes
		began, from := time.Now(), n.Load()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for time.Since(began) < d && !t.Failed() {
					i := n.Add(1)
					if rate > 0 {
						if ahead := time.Duration(float64(i-from)/rate*float64(time.Second)) - time.Since(began); ahead > 0 {
							time.Sleep(ahead)
						}
					}
					if err := call(i); err != nil {
						t.Errorf("call %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		return float64(n.Load()-from) / time.Since(began).Seconds()
	}
	measured := times(t, "ATTUNE_SOAK_CAPACITY", 0, 0) // elsewhere, on a quiet machine
	capacity := float64(measured)
	if measured == 0 {
		capacity = run(5*time.Second, 0)
	}
	whole := time.Duration(seconds) * time.Second
	warm := whole / 6
	began := time.Now()
	var samples []sample
	var kept float64 // calls a second
	done := make(chan struct{})
	go func() {
		defer close(done)
		kept = run(whole, .7*capacity)
	}()
	tick := time.NewTicker(max(time.Second, whole/180))
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			if time.Since(began) > warm {
				s := c.sample(t, began)
				s.calls = n.Load()
				samples = append(samples, s)
				if len(samples)%10 == 1 {
					t.Log(s)
				}
			}
		}
	}
	if len(samples) < 6 {
		t.Fatalf("got %d samples, want more: a longer run", len(samples))
	}
	var hours, resident, heap []float64
	for _, s := range samples {
		hours, resident, heap = append(hours, s.at.Hours()), append(resident, s.resident), append(heap, s.heap)
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
	perHour := slope(hours, resident) / resident[0] * 100
	if os.Getenv("ATTUNE_SOAK_JUDGE") != "" && perHour > 1 {
		t.Errorf("resident memory grows by %.2f %% an hour, want at most 1", perHour)
	}
	last := samples[len(samples)-1]
	figure(t, "soak of %v at 70 %% of %.0f calls/s (%.0f/s were kept up): %d calls (events repeat after 20,000), %d turned away; resident memory %.0f MiB, slope %+.2f %% an hour after %v, of Go's heap alone %+.2f %%; goroutines at most %d early and %d late; descriptors %d and %d; data in %s",
		whole, capacity, kept, n.Load(), late.Load(), last.resident/(1<<20), perHour, warm, slope(hours, heap)/heap[0]*100,
		most(samples[:third], goroutines), most(samples[len(samples)-third:], goroutines), most(samples[:third], openFiles), most(samples[len(samples)-third:], openFiles), os.TempDir())
}
