package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/attune-rec/attune/features/store"
)

// prepare makes the data directory and sees that it can be written to, so that
// what is wrong is said before anything starts.
func prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explain(dir, err)
	}
	f, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return explain(dir, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return explain(dir, err)
}

// explain says what to do about a data directory that cannot be used.
func explain(dir string, err error) error {
	abs, aerr := filepath.Abs(dir)
	if aerr != nil {
		abs = dir
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("data directory %s is full: make room, or choose another with --data: %w", abs, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data directory %s cannot be written to: give this user the right to, or choose another with --data: %w", abs, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fmt.Errorf("data directory %s is not a directory: choose another with --data: %w", abs, err)
	case errors.Is(err, store.ErrInUse):
		return fmt.Errorf("data directory %s is in use by another server: stop that one, or choose another directory with --data: %w", abs, err)
	case errors.Is(err, store.ErrSchema):
		return fmt.Errorf("data directory %s was written by another version: run that one, or choose another directory with --data: %w", abs, err)
	}
	return fmt.Errorf("data directory %s: %w", abs, err)
}

// listen opens a port; a busy one is named together with the flag that changes
// it.
func listen(flag, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop it, or choose another address with --%s HOST:PORT (port 0 takes a free one)", address, flag)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s may not be listened on by this user: choose a port above 1023 with --%s HOST:PORT", address, flag)
	}
	return nil, fmt.Errorf("--%s %s: %w", flag, address, err)
}

// pageSecret is the secret of page tokens: the given one, or one kept in the
// data directory so that pages outlive a restart.
func pageSecret(given, dir string) ([]byte, error) {
	if given != "" {
		return []byte(given), nil
	}
	path := filepath.Join(dir, "page.key")
	b, err := os.ReadFile(path) // #nosec G304 -- a fixed name in the data directory
	if err == nil && len(b) >= 16 {
		return b, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, explain(dir, err)
	}
	b = make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return b, explain(dir, os.WriteFile(path, b, 0o600))
}
