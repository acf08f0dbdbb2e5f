package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/attune-rec/attune/models/vector"
	"golang.org/x/sys/unix"
)

// inFile is x opened from a mapped file; done gives everything back.
func inFile(x *vector.Exact) (opened *vector.Exact, done func() error, err error) {
	f, err := os.CreateTemp("", "peers")
	if err != nil {
		return nil, nil, err
	}
	remove := func() error { return os.Remove(f.Name()) }
	size, err := x.WriteTo(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close(), remove())
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close(), remove())
	}
	saved, err := vector.OpenAt(b, f)
	if err != nil {
		return nil, nil, errors.Join(err, unix.Munmap(b), remove())
	}
	opened, ok := saved.(*vector.Exact)
	if !ok {
		return nil, nil, errors.Join(fmt.Errorf("%s: got %T, want an exact index", f.Name(), saved), saved.Close(), unix.Munmap(b), remove())
	}
	return opened, func() error { return errors.Join(opened.Close(), unix.Munmap(b), remove()) }, nil
}
