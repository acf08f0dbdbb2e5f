// Package stages reads a server's metrics before and after a run, and says what
// each part of its pipelines did in between: candidates by source, distinct
// candidates ranked, time by stage, degraded answers, allocations and processor
// time a request. It imports the standard library only. Start reading at
// Between.
package stages

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Metrics is the values of a server's series by their names with labels, as the
// server writes them.
type Metrics map[string]float64

// Fetch reads the metrics of the server whose operators' address is admin.
func Fetch(ctx context.Context, admin string) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(admin, "/")+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics: %s answers %s: give the operators' address with --admin", admin, resp.Status)
	}
	return parse(resp.Body)
}

func parse(r io.Reader) (Metrics, error) {
	m := Metrics{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metrics: %q: %w", line, err)
		}
		m[line[:i]] = v
	}
	return m, lines.Err()
}

// Part is what a component did, a request.
type Part struct {
	Stage     string  `json:"stage"`
	Component string  `json:"component"`
	Times     float64 `json:"times"`  // that it worked, a request
	Items     float64 `json:"items"`  // candidates given, rows left, items chosen, each time
	Filled    float64 `json:"filled"` // times that it gave something, a request
	Micros    float64 `json:"us"`     // a request, on the request's goroutine: processor time, where nothing waits and the machine is free
}

// Report is what a server did between two looks.
type Report struct {
	Calls       float64 `json:"calls"`    // that ended, of every method
	Requests    float64 `json:"requests"` // that a pipeline of the surface answered
	Parts       []Part  `json:"parts"`
	Steady      int     `json:"sources_in_90_percent"` // sources that give candidates in at least 90 % of requests
	Ranked      float64 `json:"ranked"`                // distinct eligible candidates
	Degraded    float64 `json:"degraded"`              // parts that did not do theirs, a request
	Allocations float64 `json:"allocations"`           // of the whole server, a call
	Bytes       float64 `json:"bytes"`                 // likewise
	CPU         float64 `json:"cpu_us"`                // likewise, collection of garbage included
}

// Between is what happened on a surface from one look to the next.
func Between(before, after Metrics, surface string) Report {
	delta := func(name string) float64 { return after[name] - before[name] }
	var rep Report
	for name := range after {
		const count = "attune_component_seconds_count"
		labels, ok := strings.CutPrefix(name, count)
		if !ok || label(labels, "surface") != surface || delta(name) == 0 {
			continue
		}
		n := delta(name)
		rep.Parts = append(rep.Parts, Part{
			Stage: label(labels, "stage"), Component: label(labels, "component"), Times: n,
			Items: delta("attune_component_items_total"+labels) / n, Filled: delta("attune_component_filled_total" + labels),
			Micros: delta("attune_component_seconds_sum"+labels) * 1e6,
		})
		if label(labels, "stage") == "eligible" { // once a request
			rep.Requests += n
		}
	}
	slices.SortFunc(rep.Parts, func(a, b Part) int {
		return cmp.Or(strings.Compare(a.Stage, b.Stage), cmp.Compare(b.Micros, a.Micros), strings.Compare(a.Component, b.Component))
	})
	for name := range after {
		if strings.HasPrefix(name, "attune_rpc_total") {
			rep.Calls += delta(name)
		}
	}
	if rep.Calls > 0 {
		rep.Allocations = delta("go_memstats_mallocs_total") / rep.Calls
		rep.Bytes = delta("go_memstats_alloc_bytes_total") / rep.Calls
		rep.CPU = delta("process_cpu_seconds_total") / rep.Calls * 1e6
	}
	if rep.Requests == 0 {
		return rep
	}
	for i := range rep.Parts {
		p := &rep.Parts[i]
		p.Times, p.Filled, p.Micros = p.Times/rep.Requests, p.Filled/rep.Requests, p.Micros/rep.Requests
		switch {
		case p.Stage == "source" && p.Filled >= .9:
			rep.Steady++
		case p.Stage == "rank":
			rep.Ranked = p.Items
		}
	}
	for name := range after {
		if labels, ok := strings.CutPrefix(name, "attune_component_degraded_total"); ok && label(labels, "surface") == surface {
			rep.Degraded += delta(name) / rep.Requests
		}
	}
	return rep
}

// label is a label's value in {a="b",c="d"}; the values here have no quotes.
func label(labels, name string) string {
	_, rest, ok := strings.Cut(labels, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// Write prints the report.
func (r Report) Write(w io.Writer) error {
	sum := 0.
	if len(r.Parts) > 0 {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, "\nstage\tcomponent\ttimes\titems\tgives in\tus a request")
		for _, p := range r.Parts {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%.2f\t%.1f\t%.1f %%\t%.1f\n", p.Stage, p.Component, p.Times, p.Items, 100*p.Filled, p.Micros)
			sum += p.Micros
		}
		_, _ = fmt.Fprintf(t, "\n%d sources give candidates in at least 90 %% of requests; %.0f distinct candidates ranked; degraded %.3f %%\n", r.Steady, r.Ranked, 100*r.Degraded)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%.0f calls, %.0f of them through the pipeline; a call: %.0f us of the server's processor time; a request: %.0f us in these parts; a call: %.0f allocations, %.1f KB\n",
		r.Calls, r.Requests, r.CPU, sum, r.Allocations, r.Bytes/1e3)
	return err
}
