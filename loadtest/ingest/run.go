package ingest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/attune-rec/attune/loadtest/load"
	"github.com/attune-rec/attune/loadtest/traffic"
)

// Options say what is measured. Server and Dir are needed.
type Options struct {
	Server string        // the program
	Dir    string        // data directory; it is filled up to Events and used again
	Events int64         // stored before anything is measured
	Users  int           // shoppers
	Length time.Duration // of each phase
	Reads  int           // profiles a second
	Tell   func(format string, args ...any)

	Only     []string // the phases to run, of singles, batches, streams and reads, and nothing that they do not need; nil: all there is
	Profiles string   // directory that a CPU profile of the server in each phase is written to; "": none
}

// Result is what was measured.
type Result struct {
	Events       int64        `json:"events"`
	Bytes        int64        `json:"bytes"`
	ReadRate     float64      `json:"training_reads_per_s"`
	FirstStart   float64      `json:"first_start_s"`   // without the file of profiles
	CaughtUp     float64      `json:"profiles_made_s"` // from that start until every event was in a profile
	Start        float64      `json:"start_s"`         // with it
	Ready        float64      `json:"profiles_read_s"` // from that start until profiles follow the log
	Phases       []Phase      `json:"phases"`
	ProfileReads *load.Result `json:"profile_reads"`  // calls of 100 profiles each
	SingleReads  *load.Result `json:"single_reads"`   // calls of one profile, each written into the audit log
	Visible      float64      `json:"visible_p99_ms"` // during the profile reads
	Memory       int64        `json:"peak_memory_bytes"`
}

// Fill brings the data directory up to the events that a run wants stored.
func Fill(ctx context.Context, o Options) error {
	if o.Users < 1000 || o.Events < 0 || o.Length <= 0 {
		return fmt.Errorf("ingest: expected at least 1000 users, 0 events and a length: got %d, %d, %v", o.Users, o.Events, o.Length)
	}
	last := time.Now()
	o.Tell("filling %s up to %d events", o.Dir, o.Events)
	return fill(ctx, o.Dir, o.Events, o.Users, func(done int64) {
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			o.Tell("  %d", done)
		}
	})
}

// Run measures. It takes as long as the filling, about a minute for 10 million
// events, and seven phases.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	if err := Fill(ctx, o); err != nil {
		return nil, err
	}
	r = &Result{}
	if len(o.Only) == 0 {
		if err := r.still(ctx, &o); err != nil {
			return nil, err
		}
	}
	defer sparing()()
	began := time.Now()
	server, err := serve(ctx, o.Server, o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	r.Start = server.Started.Seconds()
	c, err := traffic.DialGRPC(server.address, 8)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	m := &measure{o: &o, c: c, server: server, run: fmt.Sprintf("%x", time.Now().UnixNano())}
	if err := server.followed(ctx); err != nil {
		return nil, err
	}
	r.Ready = time.Since(began).Seconds()
	wanted := func(name string) bool { return len(o.Only) == 0 || slices.Contains(o.Only, name) }
	for _, p := range []struct {
		short   string
		name    string
		want    float64
		callers int
		send    func(context.Context, *caller) (int, error)
	}{
		{"singles", "64 callers, an event a call", 12_000, 64, m.single},
		{"batches", "16 callers, 100 events a call", 100_000, 16, m.batch},
		{"streams", "16 streams", 20_000, 16, m.stream},
	} {
		if !wanted(p.short) {
			continue
		}
		o.Tell("%s", p.name)
		var phase Phase
		err := m.watched(ctx, fmt.Sprintf("%.0f", p.want), o.Length, func() (err error) {
			phase, err = m.phase(ctx, p.callers, p.send)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		phase.Name, phase.Want = p.name, p.want
		r.Phases = append(r.Phases, phase)
	}
	if wanted("reads") {
		if err := m.reads(ctx, r); err != nil {
			return nil, err
		}
	}
	r.Memory = server.memory()
	return r, nil
}

// sparing lets garbage of this program lie until it is clientMemory, since the
// server needs the processors that would collect it. What it returns undoes that.
func sparing() (undo func()) {
	debug.FreeOSMemory()
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(clientMemory)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}

// clientMemory is what this program may take while it measures.
const clientMemory = 768 << 20

// still measures what needs no load.
func (r *Result) still(ctx context.Context, o *Options) (err error) {
	if err := os.RemoveAll(filepath.Join(o.Dir, "profiles")); err != nil { // made anew, and timed
		return err
	}
	if r.Bytes, err = size(o.Dir); err != nil {
		return err
	}
	o.Tell("reading as training does")
	if r.Events, r.ReadRate, err = read(ctx, o.Dir); err != nil {
		return err
	}
	return r.starts(ctx, o)
}

// starts times a start without the file of profiles, and how long it takes to
// make them.
func (r *Result) starts(ctx context.Context, o *Options) error {
	o.Tell("starting %s without profiles", o.Server)
	server, err := serve(ctx, o.Server, o.Dir)
	if err != nil {
		return err
	}
	r.FirstStart = server.Started.Seconds()
	began := time.Now()
	err = server.followed(ctx)
	r.CaughtUp = time.Since(began).Seconds() + r.FirstStart
	return errors.Join(err, server.stop())
}

// measure is a running server and who speaks to it.
type measure struct {
	o      *Options
	c      *traffic.GRPC
	server *running
	run    string
	n      atomic.Int64 // events made
}
