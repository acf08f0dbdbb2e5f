// Command server answers recommendations and takes events, by gRPC and REST,
// and makes the keys that it is called with.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
	"google.golang.org/grpc/grpclog"

	"github.com/attune-rec/attune/features/flagfile"
	"github.com/attune-rec/attune/server/app"
	"github.com/attune-rec/attune/server/guard"
	"github.com/attune-rec/attune/server/telemetry"
)

// flags is the program's configuration: flags, ATTUNE_* variables and a YAML
// file, in this order of precedence.
type flags struct {
	app.Config

	File    kong.ConfigFlag  `name:"config" help:"YAML file of flags." type:"existingfile" placeholder:"FILE"`
	Tour    bool             `help:"Once it serves, show one shopper's history, recommendations and the calls to ask for more."`
	Once    bool             `help:"With --tour: stop after it."`
	TourKey string           `help:"With --tour: the key to call with, where calls need one; better given as ATTUNE_TOUR_KEY, since others see flags." placeholder:"KEY"`
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve struct{}  `cmd:"" default:"1" help:"Serve; what happens when no command is given."`
	Keys  app.Keys  `cmd:"" help:"Keys of programs that call the server."`
	Audit app.Audit `cmd:"" help:"Who did what."`

	Backup  app.Backup  `cmd:"" help:"Copy the data directory while the server runs."`
	Restore app.Restore `cmd:"" help:"Make a data directory of a backup, checked file by file."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var f flags
	parser, err := kong.New(&f, kong.Name("server"), kong.Description("Answers recommendations and takes events, by gRPC and REST."),
		kong.DefaultEnvars("ATTUNE"), kong.Configuration(flagfile.Read), kong.Vars{"version": version()})
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		return 2
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err, "(see server --help)")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if command.Command() == "serve" {
		err = serve(ctx, &f)
	} else {
		command.BindTo(ctx, (*context.Context)(nil))
		command.BindTo(os.Stdout, (*io.Writer)(nil))
		err = command.Run(&f.Config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, f *flags) error {
	// Libraries log what callers sent them; nothing of that belongs into a log.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	ballast := heapFloor(f.HeapFloor)
	defer runtime.KeepAlive(ballast)
	log := telemetry.NewLogger(os.Stderr, f.LogFormat == "json", f.LogLevel)
	s, err := app.Build(ctx, f.Config, log, version())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var tour error
	err = s.Run(ctx, func() {
		if !f.Tour {
			return
		}
		if tour = s.Tour(ctx, os.Stdout, f.TourKey); tour != nil || f.Once {
			if ctx.Err() != nil {
				tour = nil // stopped before it could show anything
			}
			stop()
		} else {
			fmt.Println("\nServing until Ctrl-C.")
		}
	})
	return errors.Join(tour, err)
}

// heapFloor is memory that is never touched, so that the machine need not have
// it, but counts as in use: garbage is collected when the heap has twice what is
// in use. Below 0 stands for what suits the machine.
func heapFloor(bytes int64) []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	if bytes < 0 {
		bytes = guard.HeapFloor(guard.MemoryThere())
	}
	return make([]byte, bytes/2)
}

// version is the program's, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}
