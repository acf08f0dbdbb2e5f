package milvustest

import (
	_ "embed" // prepare.py
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pythonEnv names a Python that has the package milvus 2.3.5, the real
// standalone server; .ci/milvus prepares one.
const pythonEnv = "ATTUNE_MILVUS_PYTHON"

//go:embed prepare.py
var prepare string

// Real is a real Milvus of its own. There can be one at a time: its etcd has
// fixed ports.
type Real struct {
	Address  string
	dir, lib string
	cmd      *exec.Cmd
	done     chan struct{}
}

// Available reports whether there is a real Milvus to start.
func Available() bool { return os.Getenv(pythonEnv) != "" }

// Start starts a real Milvus with the given settings and stops it at the end of
// the test. It skips when there is none to start, and fails when that does not
// start.
func Start(t testing.TB, settings ...string) *Real {
	t.Helper()
	python := os.Getenv(pythonEnv)
	if python == "" {
		t.Skipf("set %s to a Python with milvus 2.3.5, as `eval $(.ci/milvus)` does, to run against a real server", pythonEnv)
	}
	s := &Real{dir: t.TempDir(), lib: filepath.Join(filepath.Dir(filepath.Dir(python)), "server")}
	for _, port := range []string{"2379", "2380"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatalf("port %s, which Milvus needs for its etcd, is taken: is another Milvus running? %v", port, err)
		}
		l.Close()
	}
	args := append([]string{"-", s.dir, s.lib, fmt.Sprintf("proxy_port=%d", freePort(t))}, settings...)
	cmd := exec.Command(python, args...) //nolint:gosec // the tests' own interpreter
	cmd.Stdin, cmd.Stderr = strings.NewReader(prepare), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("prepare milvus: %v", err)
	}
	var config struct {
		Port int `json:"proxy_port"`
	}
	if err := json.Unmarshal(out[strings.IndexByte(string(out), '{'):], &config); err != nil {
		t.Fatalf("prepare milvus: %v in %q", err, out)
	}
	s.Address = fmt.Sprintf("localhost:%d", config.Port)
	s.Start(t)
	t.Cleanup(s.stop)
	return s
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Start starts it anew, after Kill, on the data that it had.
func (s *Real) Start(t testing.TB) {
	t.Helper()
	metrics := freePort(t)
	log, err := os.OpenFile(filepath.Join(s.dir, "logs", "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	bin := filepath.Join(s.lib, "bin")
	s.cmd = exec.Command(filepath.Join(bin, "milvus"), "run", "standalone")
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.Env = append(os.Environ(), "DEPLOY_MODE=STANDALONE", fmt.Sprint("METRICS_PORT=", metrics),
		"MILVUS_RUN_DIR="+filepath.Join(s.dir, "run"), "MILVUSCONF="+filepath.Join(s.dir, "configs"), "LD_LIBRARY_PATH="+bin)
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start milvus: %v", err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		select {
		case <-s.done:
			t.Fatalf("milvus ended: %s", s.tail())
		case <-time.After(200 * time.Millisecond):
		}
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/healthz", metrics))
		if err != nil {
			continue
		}
		r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return
		}
	}
	s.stop()
	t.Fatalf("milvus is not healthy after two minutes: %s", s.tail())
}

func (s *Real) tail() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "logs", "output.log"))
	return string(b[max(0, len(b)-2000):])
}

// Kill ends the server at once.
func (s *Real) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
}

// stop ends it politely, then not: SIGTERM may hang.
func (s *Real) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(2 * time.Second):
		s.Kill()
	}
}
