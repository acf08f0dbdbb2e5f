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
	"github.com/attune-rec/attune/trainer/job"
)

// flags is the program's configuration: flags, ATTUNE_* variables and a YAML
// file, in this order of precedence.
type flags struct {
	Config   kong.ConfigFlag `help:"YAML file of flags." type:"existingfile" placeholder:"FILE"`
	JSON     bool            `help:"Write the result as JSON."`
	LogLevel slog.Level      `help:"Least level of log lines: debug, info, warn or error." default:"info"`

	Fit      job.Fit      `cmd:"" help:"Train models and keep them as a release."`
	Evaluate job.Evaluate `cmd:"" help:"Train models and judge them on held-out data."`
	Publish  job.Publish  `cmd:"" help:"Take a release that was made elsewhere into the store."`
	Promote  job.Promote  `cmd:"" help:"Serve a release, to everyone or to a share."`
	Rollback job.Rollback `cmd:"" help:"Go back to what was served before, or end a canary."`
	Releases job.List     `cmd:"" help:"List releases with their metrics."`
	Verify   job.Verify   `cmd:"" help:"Check every file of a release."`
	Import   job.Import   `cmd:"" help:"Make a release of item vectors trained elsewhere."`
	Export   job.Export   `cmd:"" help:"Write a release to a directory or a tar file."`
	Validate job.Validate `cmd:"" help:"Check files before training on them."`
	Rules    job.RulesCmd `cmd:"" help:"Find what is bought together in a file of baskets."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var f flags
	parser, err := kong.New(&f, kong.Name("trainer"), kong.Description("Trains recommendation models, judges them and publishes releases."),
		kong.DefaultEnvars("ATTUNE"), kong.Configuration(job.Config), kong.UsageOnError())
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
	fmt.Fprintln(os.Stderr, "trainer:", err)
	return 1
}
