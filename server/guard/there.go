package guard

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// What HeapFloor is at least and at most, and the share of the memory that it
// is in between.
const (
	leastFloor = 64 << 20
	mostFloor  = 1 << 30
	floorShare = 8
	floorGuess = 256 << 20
)

// HeapFloor is how much of memory there is may be garbage before any is
// collected; there is 0 where nobody can say.
func HeapFloor(there int64) int64 {
	if there <= 0 {
		return floorGuess
	}
	return min(max(there/floorShare, leastFloor), mostFloor)
}

// MemoryThere is the bytes of memory that this process may have: the machine's,
// or fewer where a control group says so. It is 0 where neither is known, as on
// systems other than Linux.
func MemoryThere() int64 { return memoryThere("/") }

// memoryThere is MemoryThere of the system whose files lie below root.
func memoryThere(root string) int64 {
	least := int64(math.MaxInt64)
	take := func(text string, unit int64) {
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil && n > 0 && n < least/unit {
			least = n * unit
		}
	}
	info, _ := os.ReadFile(filepath.Join(root, "proc/meminfo")) // #nosec G304 -- the system's
	for line := range bytes.Lines(info) {
		if rest, ok := bytes.CutPrefix(line, []byte("MemTotal:")); ok {
			take(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 1024)
		}
	}
	groups, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup")) // #nosec G304 -- the system's
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		at, file := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[1] == "memory": // version 1
			at, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		case parts[1] != "":
			continue
		}
		// A group has no more than those above it. Inside a container its own may be
		// the topmost to be seen.
		for path := filepath.Join("/", parts[2]); ; path = filepath.Dir(path) {
			limit, _ := os.ReadFile(filepath.Join(root, at, path, file)) // #nosec G304 -- the system's
			take(string(limit), 1)
			if path == "/" {
				break
			}
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
