package stages

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatHappenedBetween(t *testing.T) {
	look := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		look++
		one := func(name, component, stage string, v float64) {
			fmt.Fprintf(w, "%s{component=%q,stage=%q,surface=\"home\"} %g\n", name, component, stage, v*float64(look))
		}
		fmt.Fprintln(w, "# HELP of something")
		for i, c := range []string{"factors", "again"} {
			one("attune_component_seconds_count", c, "source", 100)
			one("attune_component_seconds_sum", c, "source", .01)
			one("attune_component_items_total", c, "source", 5000)
			one("attune_component_filled_total", c, "source", []float64{95, 50}[i])
		}
		one("attune_component_seconds_count", "base", "eligible", 100)
		one("attune_component_seconds_count", "learnt", "rank", 100)
		one("attune_component_seconds_sum", "learnt", "rank", .02)
		one("attune_component_items_total", "learnt", "rank", 32000)
		fmt.Fprintf(w, "attune_component_degraded_total{component=\"factors\",stage=\"source\",surface=\"home\",why=\"timeout\"} %d\n", look)
		fmt.Fprintf(w, "attune_component_seconds_count{component=\"x\",stage=\"rank\",surface=\"cart\"} %d\n", 7*look)
		fmt.Fprintf(w, "attune_rpc_total{code=\"OK\",method=\"a\"} %d\nattune_rpc_total{code=\"NotFound\",method=\"a\"} %d\n", 75*look, 25*look)
		fmt.Fprintf(w, "process_cpu_seconds_total %g\ngo_memstats_mallocs_total %d\ngo_memstats_alloc_bytes_total 1e6\n", .1*float64(look), 5000*look)
	}))
	defer server.Close()
	before, err := Fetch(context.Background(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Fetch(context.Background(), server.URL+"/")
	if err != nil {
		t.Fatal(err)
	}
	r := Between(before, after, "home")
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-6 }
	if r.Steady != 1 || !near(r.Ranked, 320) || !near(r.Degraded, .01) || !near(r.CPU, 1000) || !near(r.Allocations, 50) || len(r.Parts) != 4 || !near(r.Requests, 100) || !near(r.Calls, 100) {
		t.Errorf("got %+v", r)
	}
	if p := r.Parts[1]; p.Stage != "rank" || !near(p.Micros, 200) {
		t.Errorf("got %+v second, want the ranker", p)
	}
	var b bytes.Buffer
	if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "1 sources give") {
		t.Errorf("got %v, %s", err, b.String())
	}
	if r := Between(after, after, "home"); r.Requests != 0 || len(r.Parts) != 0 {
		t.Errorf("between a look and itself: got %+v", r)
	}
	if _, err := Fetch(context.Background(), server.URL+"x"); err == nil {
		t.Error("no server: got no error")
	}
	if _, err := parse(strings.NewReader("name x")); err == nil {
		t.Error("a value that is none: got no error")
	}
}
