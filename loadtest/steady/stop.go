package steady

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/attune-rec/attune/loadtest/load"
)

// gone is how soon a server must have ended after SIGTERM.
const gone = 10 * time.Second

// RunStop loads the server, sends it SIGTERM in the middle, and sends nothing
// more once its health says so, as a load balancer would.
func RunStop(ctx context.Context, pid int, plan load.Plan, conn *grpc.ClientConn, start load.Start) (*Verdict, error) {
	health, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return nil, err
	}
	if first, err := health.Recv(); err != nil || first.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return nil, fmt.Errorf("health before the stop: %v, %w", first.GetStatus(), err)
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	var said, signalled atomic.Int64 // when, by the clock
	var after, failed, failedAfter atomic.Int64
	plan.Saw = func(due time.Time, _, code string, took time.Duration) {
		at := signalled.Load()
		if at != 0 && due.UnixNano() > at {
			after.Add(1)
		}
		if code != "OK" {
			failed.Add(1)
			if at != 0 && due.Add(took).UnixNano() > at {
				failedAfter.Add(1)
			}
		}
	}
	result := make(chan *load.Result, 1)
	go func() {
		r, err := load.Run(loading, plan, start)
		if err == nil {
			result <- r
		}
		close(result)
	}()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			s, err := health.Recv()
			if err != nil || s.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				if err == nil {
					said.Store(time.Now().UnixNano())
				}
				time.Sleep(300 * time.Millisecond) // until a balancer has heard it
				cancel()
				return
			}
		}
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(plan.WarmUp + plan.Length/2):
	}
	signalled.Store(time.Now().UnixNano())
	if err := process.Signal(syscall.SIGTERM); err != nil {
		return nil, fmt.Errorf("SIGTERM to %d: %w", pid, err)
	}
	wg.Wait()
	r := <-result
	for ended := time.Now().Add(2 * gone); time.Now().Before(ended) && !over(process); {
		time.Sleep(10 * time.Millisecond)
	}
	took := time.Duration(time.Now().UnixNano() - signalled.Load())
	if r == nil {
		return nil, fmt.Errorf("the load ended early: %w", load.ErrPlan)
	}
	v := &Verdict{}
	heard := time.Duration(said.Load() - signalled.Load())
	v.ask(said.Load() != 0, "health says so first", "NOT_SERVING before any call fails", "%v after SIGTERM", heard.Round(time.Millisecond/10))
	v.ask(failed.Load() == 0 && after.Load() > 0, "failed requests", "none", "%d of %d, %d of which were sent after SIGTERM: %v", failed.Load(), r.Requests, after.Load(), r.Codes)
	v.note("of those that failed, %d ended after SIGTERM", failedAfter.Load())
	v.ask(over(process) && took <= gone, "exit", fmt.Sprintf("within %v", gone), "%.1f s after SIGTERM", took.Seconds())
	return v, nil
}

// over reports whether a process has ended; one whose end nobody has taken note
// of yet has.
func over(p *os.Process) bool {
	if errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) || errors.Is(p.Signal(syscall.Signal(0)), syscall.ESRCH) {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
	if err != nil {
		return true
	}
	for i := len(b) - 1; i > 0; i-- {
		if b[i] == ')' {
			return i+2 < len(b) && b[i+2] == 'Z'
		}
	}
	return false
}
