package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	attunev1 "github.com/attune-rec/attune/proto/attune/v1"

	"github.com/attune-rec/attune/features"
	"github.com/attune-rec/attune/features/store"
	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/shop"
	"github.com/attune-rec/attune/loadtest/steady"
	"github.com/attune-rec/attune/loadtest/traffic"
	"github.com/attune-rec/attune/loadtest/wire"
	"github.com/attune-rec/attune/models"
	"github.com/attune-rec/attune/models/kind"
	"github.com/attune-rec/attune/models/pipeline"
)

// steadyCmd puts a server to what it must stand.
type steadyCmd struct {
	Overload overloadCmd `cmd:"" help:"Offer several times the capacity: what is not turned away is answered in time, and all is as before soon after."`
	Swap     swapCmd     `cmd:"" help:"Swap releases under load, and work every answer out from the release it names."`
	Fresh    freshCmd    `cmd:"" help:"Send events under load, and see the next answer change."`
	Stop     stopCmd     `cmd:"" help:"Send SIGTERM under load."`
}

// errFalls is the end of a scenario in which something did not hold.
var errFalls = errors.New("not every demand holds")

func tell(line string) { fmt.Fprintln(os.Stderr, line) }

// conclude prints a verdict.
func (c *common) conclude(v *steady.Verdict) error {
	if c.JSON {
		if err := writeJSON(os.Stdout, map[string]any{"machine": machine(), "verdict": v}); err != nil {
			return err
		}
	} else if err := v.Write(os.Stdout); err != nil {
		return err
	}
	if !v.Holds() {
		return errFalls
	}
	return nil
}

type overloadCmd struct {
	common
	Capacity float64       `help:"Requests a second that the server holds; 0: it is looked for."`
	Start    float64       `default:"200" help:"The first step's rate, where it is looked for."`
	Factor   float64       `default:"1.3" help:"Each step's rate over the one before."`
	Times    float64       `default:"3" help:"Of the capacity."`
	Most     float64       `default:"10" help:"Of the capacity, after that."`
	Overload time.Duration `default:"30s" help:"How long the first goes on; the second takes a third of it."`
	Pid      int           `help:"Of the server, to see its memory."`
}

// Run implements the command.
func (c *overloadCmd) Run(ctx context.Context) error {
	start, done, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer done()
	if c.Capacity == 0 {
		c.Capacity, _, err = load.Capacity(ctx, load.Search{
			Start: c.Start, Factor: c.Factor, Steps: 8, Refine: 1, P99: 20 * time.Millisecond, OK: .999,
			Step: load.Plan{Rate: c.Start, WarmUp: c.WarmUp, Length: c.Length, InFlight: c.InFlight},
		}, start, func(s load.Step) {
			tell(fmt.Sprintf("%6.0f/s offered, %6.0f/s OK, p99 %7.2f ms: %v", s.Result.Offered, s.Result.Achieved, s.Result.All.P99, s.Holds))
		})
		if err != nil {
			return err
		}
		if c.Capacity == 0 {
			return errors.New("the server does not hold the first step: give a lower --start")
		}
	}
	v, err := steady.RunOverload(ctx, steady.Overload{
		Capacity: c.Capacity, Times: c.Times, Most: c.Most, Length: c.Overload, Calm: c.Length, WarmUp: c.WarmUp, InFlight: c.InFlight, Pid: c.Pid,
	}, start, tell)
	if err != nil {
		return err
	}
	return c.conclude(v)
}

type swapCmd struct {
	common
	Data     string        `required:"" help:"The server's data directory." placeholder:"DIR" type:"path"`
	Versions []string      `required:"" help:"Releases that are promoted in turn; the first is served already." placeholder:"VERSION"`
	Swaps    int           `default:"20" help:"How often."`
	Every    time.Duration `default:"2s" help:"Between two."`
	Rate     float64       `default:"100" help:"Requests a second: 70 % of the capacity."`
	Pid      int           `required:"" help:"Of the server."`
}

// Run implements the command.
func (c *swapCmd) Run(ctx context.Context) error {
	for _, target := range []string{c.Target, c.Admin} {
		if err := traffic.CheckLoopback(target); err != nil {
			return err
		}
	}
	judges, closed, err := c.judges(ctx, c.Data, c.Versions)
	if err != nil {
		return err
	}
	defer closed()
	if n := judges.Markers(); n < len(c.Versions) || n < 3 {
		return fmt.Errorf("%d of %d releases have items of their own: expected three at least, so that each swap frees one: make them with 'loadtest shop --another NAME'", n, len(c.Versions))
	}
	g, err := traffic.DialGRPC(c.Target, 1)
	if err != nil {
		return err
	}
	defer g.Close()
	own, err := wire.Dial(ctx, c.Target, c.Conns, c.Timeout)
	if err != nil {
		return err
	}
	defer own.Close()
	v, err := steady.RunSwap(ctx, steady.Swap{
		Shop: c.Shop, Versions: c.Versions, Times: c.Swaps, Every: c.Every, Rate: c.Rate, InFlight: c.InFlight, Users: c.users(0, c.Users),
		Market: c.Market, Surface: c.Surface, Checked: shop.SurfaceScored, Limit: c.Limit, Admin: c.Admin, Pid: c.Pid,
	}, own, g.Conn(), judges, tell)
	if err != nil {
		return err
	}
	return c.conclude(v)
}

// judges opens what answers are worked out from, beside the server.
func (c *common) judges(ctx context.Context, data string, versions []string) (*steady.Judges, func(), error) {
	log, err := store.OpenReader(ctx, store.Options{Dir: data, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	j, err := steady.OpenJudges(ctx, log, filepath.Join(data, "releases"), features.ShopID(c.Shop), versions, pipeline.ModelFactors,
		func(name string) (models.Kind, bool) {
			k, err := kind.Of(name)
			return k, err == nil
		})
	if err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	return j, func() { j.Close(); _ = log.Close() }, nil
}

// users are n users' ids from the one of that number.
func (c *common) users(from, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%d", c.UserPrefix, from+i)
	}
	return ids
}

type freshCmd struct {
	common
	Data     string  `required:"" help:"The server's data directory." placeholder:"DIR" type:"path"`
	Rate     float64 `default:"100" help:"Requests a second beside the probes: 70 % of the capacity."`
	Probes   float64 `default:"20" help:"Events a second."`
	Shoppers int     `default:"1000" help:"Known shoppers that are probed: the last of them, of whom Zipf's law makes the load ask least."`
}

// Run implements the command.
func (c *freshCmd) Run(ctx context.Context) error {
	start, done, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer done()
	g, err := traffic.DialGRPC(c.Target, 4)
	if err != nil {
		return err
	}
	defer g.Close()
	items, err := g.Items(ctx, c.Shop, 2000)
	if err != nil {
		return err
	}
	cur, err := attunev1.NewReleaseServiceClient(g.Conn()).GetCurrentRelease(ctx, &attunev1.GetCurrentReleaseRequest{Shop: c.Shop})
	if err != nil {
		return err
	}
	judges, closed, err := c.judges(ctx, c.Data, []string{cur.GetLoaded()})
	if err != nil {
		return err
	}
	defer closed()
	v, err := steady.RunFresh(ctx, steady.Fresh{
		Shop: c.Shop, Surface: shop.SurfaceScored, Judge: judges, Market: c.Market, Limit: c.Limit, Users: c.users(c.Users-c.Shoppers, c.Shoppers), Items: items,
		Run: fmt.Sprintf("fresh-%d", time.Now().UnixNano()), Probes: c.Probes, Load: c.plan(c.Rate),
	}, g.Conn, start)
	if err != nil {
		return err
	}
	return c.conclude(v)
}

type stopCmd struct {
	common
	Rate float64 `default:"100" help:"Requests a second."`
	Pid  int     `required:"" help:"Of the server, which ends."`
}

// Run implements the command.
func (c *stopCmd) Run(ctx context.Context) error {
	start, done, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer done()
	g, err := traffic.DialGRPC(c.Target, 1)
	if err != nil {
		return err
	}
	defer g.Close()
	v, err := steady.RunStop(ctx, c.Pid, c.plan(c.Rate), g.Conn(), start)
	if err != nil {
		return err
	}
	return c.conclude(v)
}
