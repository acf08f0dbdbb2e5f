// Command trainer trains models, judges them and publishes releases.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/attune-rec/attune/features/flagfile"
	"github.com/attune-rec/attune/trainer/job"
)

// flags is the program's configuration: flags, ATTUNE_* variables and a YAML
// file, in this order of precedence.
type flags struct {
	Config   kong.ConfigFlag `help:"YAML file of flags." type:"existingfile" placeholder:"FILE"`
	JSON     bool            `help:"Write the result as JSON."`
	LogLevel slog.Level      `help:"Least level of log lines: debug, info, warn or error." default:"info"`

	Demo        job.Demo        `cmd:"" help:"Take the bundled shop from its raw file to a release that is served."`
	Import      job.Import      `cmd:"" help:"Bring in what was made elsewhere: events, or factors."`
	Fit         job.Fit         `cmd:"" help:"Train models and keep them as a release."`
	Evaluate    job.Evaluate    `cmd:"" help:"Train models and judge them on held-out data."`
	Tune        job.Tune        `cmd:"" help:"Search the parameters of a model on validation data."`
	OffPolicy   job.OffPolicy   `cmd:"" name:"offpolicy" help:"Estimate from a log of decisions what another policy would have earned."`
	Validate    job.Validate    `cmd:"" help:"Check files before training on them."`
	Publish     job.Publish     `cmd:"" help:"Add a release that was exported elsewhere."`
	Promote     job.Promote     `cmd:"" help:"Serve a release."`
	Rollback    job.Rollback    `cmd:"" help:"Go back to the release served before."`
	Releases    job.List        `cmd:"" help:"List releases, and remove old ones."`
	Verify      job.Verify      `cmd:"" help:"Check every file of a release."`
	Export      job.Export      `cmd:"" help:"Write a release out for other programs."`
	Rules       job.RulesCmd    `cmd:"" help:"Find what is bought together in a file of baskets."`
	DeadLetters job.DeadLetters `cmd:"" name:"deadletters" help:"Inspect what was refused, and send it again."`
	Forecast    job.ForecastCmd `cmd:"" help:"Forecast series, with intervals."`
	Demand      job.Demand      `cmd:"" help:"Forecast what a shop will sell, by item, category or market."`
	Customers   job.Customers   `cmd:"" help:"Predict which shoppers come back, and what they are worth."`
	Segments    job.Segments    `cmd:"" help:"Find groups of alike shoppers, in words and by rules; or measure whether motives last."`
	Signals     job.Signals     `cmd:"" help:"Tell what rankers look at, and how much a release's ranker rests on each."`
	Risk        job.Risk        `cmd:"" help:"Tell which shoppers look like an attack, and keep nothing."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var f flags
	parser, err := kong.New(&f, kong.Name("trainer"), kong.Description("Trains recommendation models, judges them and publishes releases."),
		kong.DefaultEnvars("ATTUNE"), kong.Configuration(flagfile.Read), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(os.Stderr, "trainer:", err)
		return 2
	}
	cmd, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "trainer:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = cmd.Run(job.NewEnv(ctx, os.Stdout, os.Stderr, f.JSON, f.LogLevel))
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "trainer: stopped")
		return 130
	}
	fmt.Fprintln(os.Stderr, "trainer:", job.Explain(err))
	return 1
}
