package ingest

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// row is one line of the page: what, what it shall be, what it is.
type row struct{ what, want, got string }

func (r *Result) rows() []row {
	per := func(b int64) string {
		return fmt.Sprintf("%.0f MB, %.0f bytes an event", float64(b)/1e6, float64(b)/max(1, float64(r.Events)))
	}
	all := []row{
		{"events stored before", "10,000,000", fmt.Sprint(r.Events)},
		{"size on disk", "", per(r.Bytes)},
		{"training reads", "1,000,000 events/s", fmt.Sprintf("%.0f/s", r.ReadRate)},
		{"start until events are taken, profiles not made yet", "5 s", fmt.Sprintf("%.2f s", r.FirstStart)},
		{"that start until all profiles are made, in the background", "", fmt.Sprintf("%.1f s", r.CaughtUp)},
		{"start until events are taken, profiles from their file", "5 s", fmt.Sprintf("%.2f s", r.Start)},
	}
	all = append(all, row{"that start until profiles follow the log, in the background", "", fmt.Sprintf("%.1f s", r.Ready)})
	for _, p := range r.Phases {
		all = append(all,
			row{p.Name, fmt.Sprintf("%.0f/s", p.Want), fmt.Sprintf("%.0f/s; p50 %.1f, p99 %.1f ms a call; %d calls turned away and sent again; CPU an event: server %.0f, client %.0f µs",
				p.Rate, p.P50, p.P99, p.Refused, p.ServerCPU, p.ClientCPU)},
			row{"an event visible in its profile meanwhile, p99", "1,000 ms", fmt.Sprintf("%.0f ms (%d probes)", p.Visible, p.Probes)})
	}
	if p := r.ProfileReads; p != nil {
		all = append(all,
			row{"profile reads, 100 a call", "20,000/s at p99 5 ms", fmt.Sprintf("%.0f/s of %.0f/s offered; p50 %.2f, p99 %.2f ms", 100*p.Achieved, 100*p.Offered, p.All.P50, p.All.P99)},
			row{"an event visible in its profile meanwhile, p99", "1,000 ms", fmt.Sprintf("%.0f ms", r.Visible)})
	}
	if p := r.SingleReads; p != nil {
		all = append(all, row{"profile reads, one a call", "", fmt.Sprintf("%.0f/s of %.0f/s offered; p50 %.2f, p99 %.2f ms", p.Achieved, p.Offered, p.All.P50, p.All.P99)})
	}
	return append(all, row{"most memory of the server", "", fmt.Sprintf("%.0f MB", float64(r.Memory)/1e6)})
}

// Table writes the result for a terminal.
func (r *Result) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, x := range r.rows() {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", x.what, x.want, x.got)
	}
	return t.Flush()
}

// Page is the result as a document; machine and command say how it came.
func (r *Result) Page(machine, command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The way of events\n\nWritten by one command, on a machine that does nothing else:\n\n    %s\n\n%s\n\n", command, machine)
	b.WriteString(`Client and server share the cores. Every event has an id, a user and a session; ten make a visit, so that one in ten links a
session to its user. An event counts once it is acknowledged, which is after it is durable. Each way of sending is closed loop: a
caller sends when its last call was answered. Profile reads are open loop, timed from when they were due; of
an answer of 100 the client sees that each has its pseudonym, and unpacks no more. While events are sent and
profiles read, a probe sends an event every 50 ms and asks for the shopper's profile until it has it. Reads begin when the server has
done what writing left, such as sealing.

| what | wanted | measured |
|---|---|---|
`)
	for _, x := range r.rows() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", x.what, x.want, x.got)
	}
	return b.String()
}
