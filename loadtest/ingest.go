package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/attune-rec/attune/loadtest/ingest"
)

type ingestCmd struct {
	Server string        `help:"The server program; 'make build' makes it." default:"bin/server" placeholder:"FILE"`
	Data   string        `help:"Data directory; it is filled, and used again by the next run. Default: a new one that is deleted afterwards." placeholder:"DIR"`
	Events int64         `help:"Events stored before anything is measured." default:"10000000"`
	Users  int           `help:"Shoppers." default:"200000"`
	Length time.Duration `help:"Of each phase." default:"15s"`
	Reads  int           `help:"Profiles read a second." default:"20000"`
	Fill   bool          `help:"Only fill the data directory, so that a later run measures at once."`
	Only   []string      `help:"Run these phases alone: singles, batches, streams, reads." enum:"singles,batches,streams,reads" placeholder:"PHASE,..."`
	Write  string        `help:"Write the page to this file." placeholder:"FILE"`
	Pprof  string        `help:"Write a CPU profile of the server in each phase to this directory." placeholder:"DIR"`
	JSON   bool          `name:"json" help:"Print JSON."`
}

// Run implements the command.
func (c *ingestCmd) Run(ctx context.Context) error {
	dir := c.Data
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "attune-ingest-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	o := ingest.Options{
		Server: c.Server, Dir: dir, Events: c.Events, Users: c.Users, Length: c.Length, Reads: c.Reads, Only: c.Only, Profiles: c.Pprof,
		Tell: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	}
	if c.Fill {
		return ingest.Fill(ctx, o)
	}
	r, err := ingest.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.Write != "" {
		what := fmt.Sprintf("Machine: %d cores, %s/%s, %s%s.", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), busy())
		if err := os.WriteFile(c.Write, []byte(r.Page(what, "make measure-ingest")), 0o644); err != nil { // #nosec G306 -- a page for everyone
			return err
		}
	}
	if c.JSON {
		return writeJSON(os.Stdout, map[string]any{"machine": machine(), "result": r})
	}
	return r.Table(os.Stdout)
}

// busy is the machine's load, where it is told.
func busy() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(b), " ")
	return "; load " + one + " at the end"
}
