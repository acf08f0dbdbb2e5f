package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/attune-rec/attune/features/usage"
	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/stages"
	"github.com/attune-rec/attune/loadtest/traffic"
	"github.com/attune-rec/attune/loadtest/wire"
)

// common is what both commands take.
type common struct {
	Target      string             `help:"gRPC address of the server." default:"127.0.0.1:9090"`
	REST        string             `name:"rest" help:"Send over REST to this base URL instead; items are still listed over gRPC." placeholder:"URL"`
	AllowRemote bool               `help:"Load a server that is not on this machine."`
	Shop        string             `default:"default" help:"The shop."`
	Surface     string             `default:"home" help:"The surface."`
	Market      string             `help:"The market."`
	Limit       int32              `default:"10" help:"Items an answer."`
	Mix         map[string]float64 `default:"recommend=1" help:"Shares of recommend, similar and collect: recommend=6;similar=3;collect=1."`
	Users       int                `default:"1000" help:"Number of users; their ids are prefix and number."`
	UserPrefix  string             `help:"What stands before the number in a user's id."`
	UserFile    *os.File           `help:"A file of user ids, one a line, instead."`
	Sessions    bool               `help:"Send sessions, not users."`
	Items       int                `default:"10000" help:"Items to ask about, listed from the catalogue."`
	Skew        float64            `default:"1" help:"Exponent of Zipf's law for users and items."`
	Conns       int                `default:"16" help:"Connections."`
	Library     bool               `help:"Send with grpc-go's client, or net/http's, as a service written in Go would; it takes several times the processor time of the generator's own."`
	InFlight    int                `default:"2000" help:"Requests under way at most."`
	Timeout     time.Duration      `default:"5s" help:"Of a request."`
	WarmUp      time.Duration      `default:"3s" help:"Before counting."`
	Length      time.Duration      `default:"15s" help:"Of the counted part, or of each step."`
	Seed        uint64             `default:"1" help:"Of the traffic."`
	Admin       string             `help:"The server's operators' address: what its parts did is read there and reported." placeholder:"URL"`
	JSON        bool               `name:"json" help:"Print JSON."`

	together bool   // calls that fall due together are sent together, by the plan's Flush
	flush    func() // that; nil: calls are sent at once
}

// start connects and builds the traffic.
func (c *common) start(ctx context.Context) (load.Start, func(), error) {
	for _, target := range []string{c.Target, c.REST, c.Admin} {
		if target != "" && !c.AllowRemote {
			if err := traffic.CheckLoopback(target); err != nil {
				return nil, nil, err
			}
		}
	}
	g, err := traffic.DialGRPC(c.Target, c.Conns)
	if err != nil {
		return nil, nil, err
	}
	mix := traffic.Mix{
		Shop: c.Shop, Surface: c.Surface, Market: c.Market, Limit: c.Limit, Shares: c.Mix, Users: c.Users, Prefix: c.UserPrefix,
		Skew: c.Skew, Seed: c.Seed, Run: fmt.Sprintf("load-%d", time.Now().UnixNano()), Personal: !c.Sessions,
	}
	if c.UserFile != nil {
		if mix.UserIDs, err = lines(c.UserFile); err != nil {
			return nil, nil, err
		}
	}
	if c.Mix[traffic.Similar] > 0 || c.Mix[traffic.Collect] > 0 {
		if mix.ItemIDs, err = g.Items(ctx, c.Shop, c.Items); err != nil {
			g.Close()
			return nil, nil, fmt.Errorf("%w: is the server running at %s? start it with 'make demo' or give --target", err, c.Target)
		}
	}
	var backend traffic.Backend = g
	if c.REST != "" {
		backend = traffic.NewREST(c.REST, c.Conns)
	}
	s, err := traffic.NewSender(mix, backend)
	switch {
	case err != nil:
		g.Close()
		return nil, nil, err
	case c.Library:
		return load.Each(s.Send, c.Timeout), g.Close, nil
	case c.REST != "":
		own, err := wire.DialHTTP(ctx, c.REST, c.Conns, c.InFlight, c.Timeout)
		if err != nil {
			g.Close()
			return nil, nil, err
		}
		return s.OverHTTP(own), func() { own.Close(); g.Close() }, nil
	}
	own, err := wire.Dial(ctx, c.Target, c.Conns, c.Timeout)
	if err != nil {
		g.Close()
		return nil, nil, fmt.Errorf("%w: is the server running? start it with 'make demo' or give --target", err)
	}
	closed := func() { own.Close(); g.Close() }
	if c.together {
		batch := &wire.Batch{Client: own}
		c.flush = batch.Flush
		return s.Over(batch), closed, nil
	}
	return s.Over(own), closed, nil
}

func (c *common) plan(rate float64) load.Plan {
	return load.Plan{Rate: rate, Length: c.Length, WarmUp: c.WarmUp, InFlight: c.InFlight, Flush: c.flush}
}

type runCmd struct {
	common
	Rate float64 `default:"100" help:"Requests a second."`
}

// Run implements the command.
func (c *runCmd) Run(ctx context.Context) error {
	c.together = true
	start, done, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer done()
	before, err := c.look(ctx)
	if err != nil {
		return err
	}
	own, idle := watch(start)
	r, err := load.Run(ctx, c.plan(c.Rate), own)
	if err != nil {
		return err
	}
	micros := idle()
	rep, err := c.since(ctx, before)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "result": r, "server": rep, "generator_cpu_us": micros})
	}
	if err := table(os.Stdout, r); err != nil {
		return err
	}
	fmt.Printf("a request: %.0f us of the generator's processor time\n", micros)
	if rep == nil {
		return nil
	}
	return rep.Write(os.Stdout)
}

// look reads the server's metrics; nil without --admin.
func (c *common) look(ctx context.Context) (stages.Metrics, error) {
	if c.Admin == "" {
		return nil, nil
	}
	return stages.Fetch(ctx, c.Admin)
}

// since is what the server did since a look; nil without one.
func (c *common) since(ctx context.Context, before stages.Metrics) (*stages.Report, error) {
	if before == nil {
		return nil, nil
	}
	after, err := stages.Fetch(ctx, c.Admin)
	if err != nil {
		return nil, err
	}
	rep := stages.Between(before, after, c.Surface)
	return &rep, nil
}

type capacityCmd struct {
	common
	Start  float64       `default:"200" help:"The first step's rate."`
	Factor float64       `default:"1.5" help:"Each step's rate over the one before."`
	Steps  int           `default:"20" help:"Steps at most."`
	Refine int           `default:"3" help:"Times the last span is halved."`
	P99    time.Duration `name:"p99" default:"20ms" help:"A step holds with p99 at most this."`
	OK     float64       `name:"ok" default:"0.999" help:"And with at least this share answered OK."`
}

// Run implements the command.
func (c *capacityCmd) Run(ctx context.Context) error {
	c.together = true
	start, done, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer done()
	search := load.Search{
		Start: c.Start, Factor: c.Factor, Steps: c.Steps, Refine: c.Refine, Step: c.plan(c.Start), P99: c.P99, OK: c.OK,
	}
	before, err := c.look(ctx)
	if err != nil {
		return err
	}
	own, idle := watch(start)
	capacity, steps, err := load.Capacity(ctx, search, own, func(step load.Step) {
		fmt.Fprintf(os.Stderr, "%8.0f/s offered, %8.0f/s OK, p50 %6.2f ms, p99 %7.2f ms: %s\n",
			step.Result.Offered, step.Result.Achieved, step.Result.All.P50, step.Result.All.P99, map[bool]string{true: "holds", false: "does not hold"}[step.Holds])
	})
	if err != nil {
		return err
	}
	micros := idle()
	rep, err := c.since(ctx, before)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "capacity_per_s": capacity, "steps": steps, "server": rep, "generator_cpu_us": micros})
	}
	fmt.Printf("capacity: %.0f requests/s with p99 <= %v and %.1f %% OK; a request: %.0f us of the generator's processor time\n", capacity, c.P99, 100*c.OK, micros)
	if rep == nil {
		return nil
	}
	return rep.Write(os.Stdout)
}

// watch counts what is started; what it returns beside it is the program's own
// processor time since, in microseconds of each.
func watch(start load.Start) (load.Start, func() float64) {
	n, before := 0., usage.Processor()
	counted := func(ctx context.Context, i uint64, done func(op, code string)) {
		n++
		start(ctx, i, done)
	}
	return counted, func() float64 { return float64((usage.Processor() - before).Microseconds()) / max(n, 1) }
}

func machine() map[string]any {
	return map[string]any{"cpus": runtime.NumCPU(), "arch": runtime.GOARCH, "go": runtime.Version()}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func table(w io.Writer, r *load.Result) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "operation\trequests\tmean\tp50\tp90\tp99\tp99.9\tmax ms\t")
	row := func(name string, f *load.Figure) {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", name, f.Count, f.Mean, f.P50, f.P90, f.P99, f.P999, f.Max)
	}
	ops := make([]string, 0, len(r.Ops))
	for op := range r.Ops {
		ops = append(ops, op)
	}
	sort.Strings(ops)
	for _, op := range ops {
		row(op, r.Ops[op])
	}
	row("all", r.All)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\noffered %.0f/s, OK %.0f/s (%.2f %%), late %d, unsent %d, codes %v\n",
		r.Offered, r.Achieved, 100*r.OK(), r.Late, r.Unsent, r.Codes)
	return err
}

func lines(f *os.File) ([]string, error) {
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, line := range strings.Split(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n") {
		if line != "" {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: expected user ids, one a line: found none", f.Name())
	}
	return out, nil
}
