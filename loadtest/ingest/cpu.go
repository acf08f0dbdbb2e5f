package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks are the units of /proc/PID/stat a second.
const ticks = 100

// cpu is the processor time that a process has used; 0 where that is not told.
// The process is told by its number, or "self".
func cpu(process string) time.Duration {
	b, err := os.ReadFile(filepath.Join("/proc", process, "stat"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may have blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return time.Duration(user+system) * time.Second / ticks
}

// cpu is what the program has used.
func (r *running) cpu() time.Duration { return cpu(strconv.Itoa(r.cmd.Process.Pid)) }

// rest waits until the program has done what is left from a phase before, such
// as sealing: until it uses next to no processor time, or half a minute.
func (r *running) rest(ctx context.Context) {
	const look = 500 * time.Millisecond
	for began := time.Now(); time.Since(began) < 30*time.Second && ctx.Err() == nil; {
		before := r.cpu()
		time.Sleep(look)
		if r.cpu()-before < look/20 {
			return
		}
	}
}

// profile writes where the program spends so many seconds to a file for 'go
// tool pprof'; it returns when they are over.
func (r *running) profile(ctx context.Context, length time.Duration, file string) (err error) {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", r.admin, max(1, int(length.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file) // #nosec G304 -- the operator names the directory
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

// watched runs f and, where profiles are wanted, profiles the program for the
// length meanwhile.
func (m *measure) watched(ctx context.Context, name string, length time.Duration, f func() error) error {
	if m.o.Profiles == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		done <- m.server.profile(ctx, length, filepath.Join(m.o.Profiles, name+".pprof"))
	}()
	err := f()
	return errors.Join(err, <-done)
}
