//go:build unix

package release

import (
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// mapFile maps a file for reading; free unmaps it.
func mapFile(path string) (b []byte, free func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() == 0 {
		return nil, func() error { return nil }, nil
	}
	if int64(int(info.Size())) != info.Size() {
		return nil, nil, fmt.Errorf("%s: %d bytes are too many to map", path, info.Size())
	}
	b, err = unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("map %s: %w", path, err)
	}
	return b, func() error {
		letGo(b)
		return unix.Munmap(b)
	}, nil
}

// Pages are let go of so many bytes at a time, with rests between.
const (
	stretch = 2 << 20
	breath  = 100 * time.Microsecond
)

// letGo takes the pages of what is about to be unmapped out of the process. All
// at once, that is tens of milliseconds in which a processor does nothing else.
func letGo(b []byte) {
	for part := range slices.Chunk(b, stretch) {
		forget(part)
		if len(part) == stretch {
			time.Sleep(breath)
		}
	}
}

// forget lets the system take back the memory of what mapFile mapped; it is read
// again from the file when it is touched.
func forget(b []byte) {
	if len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_DONTNEED) // advice only
	}
}
