package guard

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryThere(t *testing.T) {
	const machine = "MemTotal:       8000000 kB\nMemFree: 1 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing is known", nil, 0},
		{"the machine's", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n"}, 8_000_000 * 1024},
		{"no limit", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"}, 8_000_000 * 1024},
		{"the group's", map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "536870912\n"}, 512 << 20},
		{"a group's above", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "1073741824\n", "sys/fs/cgroup/a/memory.max": "536870912\n",
		}, 512 << 20},
		{"a container's, whose group is the topmost", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "0::/../../elsewhere\n", "sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20},
		{"version 1", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "536870912\n",
		}, 512 << 20},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": machine, "proc/self/cgroup": "4:memory:/a\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
		}, 8_000_000 * 1024},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := memoryThere(root); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestHeapFloor(t *testing.T) {
	for _, c := range []struct{ there, want int64 }{
		{0, 256 << 20}, {256 << 20, 64 << 20}, {512 << 20, 64 << 20}, {2 << 30, 256 << 20}, {8 << 30, 1 << 30}, {64 << 30, 1 << 30},
	} {
		if got := HeapFloor(c.there); got != c.want {
			t.Errorf("of %d: got %d, want %d", c.there, got, c.want)
		}
	}
}
