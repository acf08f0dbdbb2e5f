package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/attune-rec/attune/server/app"
)

// What a child of a test serves, and within which limits.
const (
	childDir    = "ATTUNE_E2E_DIR"
	childMemory = "ATTUNE_E2E_DATA_LIMIT" // bytes of writable memory at most
	childKafka  = "ATTUNE_E2E_KAFKA"      // a broker to collect from
)

// served serves the directory that the environment names, in a process of its
// own that tests may kill, and reports whether it was asked to.
func served() bool {
	dir := os.Getenv(childDir)
	if dir == "" {
		return false
	}
	if limit, err := strconv.ParseUint(os.Getenv(childMemory), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Fprintln(os.Stderr, "limit memory:", err)
			os.Exit(1)
		}
	}
	c := config(dir)
	c.MaxMessage = 8 << 20
	if broker := os.Getenv(childKafka); broker != "" {
		c.Kafka = fromKafka(broker)
	}
	s, err := app.Build(context.Background(), c, quiet(), "test")
	if err == nil {
		err = s.Run(context.Background(), func() { fmt.Println("serves", s.GRPC(), s.HTTP(), s.Admin()) })
	}
	fmt.Fprintln(os.Stderr, "server:", err)
	os.Exit(1)
	return true
}

// child is a server in a process of its own.
type child struct {
	cmd               *exec.Cmd
	ended             chan struct{} // closed once the process is gone
	grpc, http, admin string
	conn              *grpc.ClientConn
	up                time.Duration // from its start until it served
}

// startChild starts one and waits until it serves; cancel or kill end it.
func startChild(t *testing.T, dir string, env ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	c.cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	began := time.Now()
	must(t, c.cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[0] == "serves" {
			c.grpc, c.http, c.admin, c.up = f[1], f[2], f[3], time.Since(began)
			break
		}
	}
	if c.grpc == "" {
		t.Fatalf("the server ended before it served: %v", c.cmd.Wait())
	}
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	c.conn, err = grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { c.kill() })
	return c
}

// kill ends it as kill -9 does; a second call does nothing.
func (c *child) kill() {
	_ = c.conn.Close()
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// alive reports whether the process runs.
func (c *child) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// status is a number of /proc/PID/status in bytes, such as VmRSS or VmHWM.
func (c *child) status(t *testing.T, name string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	must(t, err)
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name+":" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			must(t, err)
			return n << 10
		}
	}
	t.Fatalf("/proc says nothing of %s", name)
	return 0
}

// descriptors is the number of open files and connections.
func (c *child) descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.cmd.Process.Pid))
	must(t, err)
	return len(all)
}

// times is a number that the environment names, or what is given.
func times(t *testing.T, name string, short, long int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		return n
	}
	if testing.Short() {
		return short
	}
	return long
}
