package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"

	"github.com/attune-rec/attune/features/flagfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parse reads flags as the program does.
func parse(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	var f struct {
		Config
		File kong.ConfigFlag `name:"config"`
	}
	p, err := kong.New(&f, kong.DefaultEnvars("ATTUNE"), kong.Configuration(flagfile.Read), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(args)
	return f.Config, err
}

func TestDefaultsWork(t *testing.T) {
	c, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if c.GRPC != "127.0.0.1:9090" || c.HTTP != "127.0.0.1:8080" || c.Admin != "127.0.0.1:9100" || c.releases() != filepath.Join("data", "releases") {
		t.Fatalf("got %+v", c)
	}
}

func TestWrongFlagsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--grpc", "0.0.0.0:9090"}, "--tls-cert"},
		{[]string{"--http", ":8080"}, "--insecure"},
		{[]string{"--admin", "10.0.0.1:9100", "--tls-cert", "c", "--tls-key", "k"}, "--admin"},
		{[]string{"--grpc", "9090"}, "HOST:PORT"},
		{[]string{"--tls-cert", "c"}, "both"},
		{[]string{"--trace-share", "2"}, "0 to 1"},
		{[]string{"--shoppers", "0"}, "--shoppers"},
		{[]string{"--page-secret", "short"}, "16 characters"},
		{[]string{"--no-such-flag"}, "unknown flag"},
		{[]string{"--log-level", "loud"}, "log-level"},
	} {
		if _, err := parse(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want an error with %q", c.args, err, c.want)
		}
	}
	for _, args := range [][]string{{"--grpc", "0.0.0.0:9090", "--insecure"}, {"--grpc", "[::1]:9090"}, {"--http", "localhost:0"}, {"--admin", ""}} {
		if _, err := parse(t, args...); err != nil {
			t.Errorf("%v: got %v, want none", args, err)
		}
	}
}

func TestFileAndVariablesAndFlags(t *testing.T) {
	path := filepath.Join(t.TempDir(), "attune.yaml")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("grpc: 127.0.0.1:1\nhttp: 127.0.0.1:1\nadmin: 127.0.0.1:1\ncors-origin: [http://a, http://b]\nfollow: 5s\n")
	t.Setenv("ATTUNE_HTTP", "127.0.0.1:2")
	t.Setenv("ATTUNE_ADMIN", "127.0.0.1:2")
	c, err := parse(t, "--config", path, "--admin", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	if c.GRPC != "127.0.0.1:1" || c.HTTP != "127.0.0.1:2" || c.Admin != "127.0.0.1:3" || len(c.Origins) != 2 || c.Follow.Seconds() != 5 {
		t.Fatalf("got %+v, want the file, then the variable, then the flag to win", c)
	}
	write("grcp: 127.0.0.1:1\n")
	if _, err := parse(t, "--config", path); err == nil || !strings.Contains(err.Error(), `"grcp"`) {
		t.Fatalf("got %v, want the unknown name", err)
	}
}

func build(t *testing.T, change func(*Config)) error {
	t.Helper()
	c, err := parse(t, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	change(&c)
	s, err := Build(context.Background(), c, slog.New(slog.DiscardHandler), "test")
	if err == nil {
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	return err
}

func TestBusyPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for flag, set := range map[string]func(*Config){
		"--grpc": func(c *Config) { c.GRPC = l.Addr().String() }, "--http": func(c *Config) { c.HTTP = l.Addr().String() },
		"--admin": func(c *Config) { c.Admin = l.Addr().String() },
	} {
		err := build(t, set)
		if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), flag) {
			t.Errorf("got %v, want the address and %s", err, flag)
		}
	}
}

func TestDataDirectoryThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if err := build(t, func(c *Config) { c.Data = dir }); err == nil || !strings.Contains(err.Error(), "--data") {
			t.Errorf("%s: got %v, want what to do", dir, err)
		}
	}
	for cause, want := range map[error]string{
		syscall.ENOSPC: "is full", syscall.EROFS: "cannot be written to", syscall.EACCES: "cannot be written to", syscall.ENOTDIR: "not a directory",
	} {
		err := explain("dir", fmt.Errorf("write: %w", cause))
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--data") || !errors.Is(err, cause) {
			t.Errorf("%v: got %v, want %q and what to do", cause, err, want)
		}
	}
	dir := t.TempDir()
	c, err := parse(t, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "", "--data", dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Build(context.Background(), c, slog.New(slog.DiscardHandler), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := build(t, func(c *Config) { c.Data = dir }); err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Errorf("a second server: got %v, want that it is in use", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyDataDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("the superuser may write anywhere")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil { // #nosec G302 -- a directory
		t.Fatal(err)
	}
	if err := build(t, func(c *Config) { c.Data = dir }); err == nil || !strings.Contains(err.Error(), "cannot be written to") {
		t.Errorf("got %v, want what to do", err)
	}
}
