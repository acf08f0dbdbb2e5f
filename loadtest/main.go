// Command loadtest offers a running server the traffic of a shop, open loop,
// and says what it held: latency from the scheduled send, offered and achieved
// rate, late and unsent requests. It loads this machine only, unless told
// otherwise explicitly.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type cli struct {
	Run      runCmd      `cmd:"" help:"Offer one rate and report the latencies."`
	Capacity capacityCmd `cmd:"" help:"Raise the rate until the server no longer holds it."`
	Floor    floorCmd    `cmd:"" help:"Serve answers that cost nothing to find: what a call costs before anything is recommended."`
	Simulate simulateCmd `cmd:"" help:"Ask the pipeline and the models about shops whose truth is known; needs no server."`
	Ingest   ingestCmd   `cmd:"" help:"Measure the way of events: durable events a second, profiles, size, start and training reads."`
	Shop     shopCmd     `cmd:"" help:"Make a shop, with a release, to load a server with."`
	Steady   steadyCmd   `cmd:"" help:"Put a server to overload, swaps, events and a stop, and say what held."`
	Shopper  shopperCmd  `cmd:"" help:"Send simulated shoppers, whose tastes are known, and judge what they were recommended."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, kong.Name("loadtest"), kong.UsageOnError(), kong.DefaultEnvars("ATTUNE_LOADTEST"),
		kong.Description("Offers a running server the traffic of a shop, and says what it held."))
	k.BindTo(ctx, (*context.Context)(nil))
	k.FatalIfErrorf(k.Run())
}
