package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// running is a server program of ours.
type running struct {
	cmd     *exec.Cmd
	address string
	admin   string // where it is profiled and says how far the profiles are
	said    said
	Started time.Duration // until it answered
	ended   chan struct{} // closed once it has, with err
	err     error
}

// said is the last of what a program wrote.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.Len() > 1<<20 {
		s.b.Reset()
	}
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// free is an address of this machine that nobody listens at.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// serve starts the program on a data directory and waits until it takes events.
func serve(ctx context.Context, program, dir string) (*running, error) {
	r := &running{}
	var err error
	if r.address, err = free(); err != nil {
		return nil, err
	}
	rest, err := free()
	if err != nil {
		return nil, err
	}
	if r.admin, err = free(); err != nil {
		return nil, err
	}
	r.cmd = exec.Command(program, "--data", dir, "--grpc", r.address, "--http", rest, "--admin", r.admin) // #nosec G204 -- the operator names the program
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	began := time.Now()
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w: build it with 'make build'", program, err)
	}
	r.ended = make(chan struct{})
	go func() {
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
	conn, err := grpc.NewClient(r.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	defer conn.Close()
	health := healthpb.NewHealthClient(conn)
	for time.Since(began) < 10*time.Minute && ctx.Err() == nil {
		resp, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: "attune.v1.EventService"})
		if err == nil && resp.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			r.Started = time.Since(began)
			return r, nil
		}
		select {
		case <-r.ended:
			return nil, fmt.Errorf("%s ended before it served: %w: %s", program, cmp.Or(r.err, errors.New("without an error")), r.said.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not serve: %s", program, r.said.String()), ctx.Err(), r.stop())
}

// followed waits until the profiles have every event.
func (r *running) followed(ctx context.Context) error {
	const lag = "attune_profile_lag_events "
	for began := time.Now(); time.Since(began) < 10*time.Minute; time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/metrics", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		_, after, ok := strings.Cut(string(b), "\n"+lag)
		if !ok {
			return fmt.Errorf("%s does not tell %s: is it the program of this version?", r.cmd.Path, lag)
		}
		if strings.HasPrefix(after, "0\n") {
			return nil
		}
	}
	return errors.New("the profiles do not follow the log")
}

// stop ends it in order.
func (r *running) stop() error {
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-r.ended
	return r.err
}

// memory is the most that the program held, in bytes; 0 where that is not told.
func (r *running) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return n << 10
			}
		}
	}
	return 0
}
