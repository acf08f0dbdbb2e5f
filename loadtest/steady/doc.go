// Package steady puts a running server to what it must stand without a failed
// request: more than it can answer, releases that are swapped, events that the
// next answer must know, and a stop; and says of each demand whether it held.
//
// It imports proto, features and models. Start reading at Verdict.
package steady

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Demand is one thing that was asked of the server, and what was seen.
type Demand struct {
	Name  string `json:"name"`
	Want  string `json:"want"`
	Got   string `json:"got"`
	Holds bool   `json:"holds"`
}

// Verdict is all that was asked in a scenario.
type Verdict struct {
	Demands []Demand `json:"demands"`
	Notes   []string `json:"notes,omitempty"` // figures that nothing was asked of
}

func (v *Verdict) ask(holds bool, name, want, got string, args ...any) {
	v.Demands = append(v.Demands, Demand{Name: name, Want: want, Got: fmt.Sprintf(got, args...), Holds: holds})
}

func (v *Verdict) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// Holds reports whether every demand does.
func (v *Verdict) Holds() bool {
	for _, d := range v.Demands {
		if !d.Holds {
			return false
		}
	}
	return true
}

// Write prints the verdict.
func (v *Verdict) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "demand\tasked\tseen\t")
	for _, d := range v.Demands {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", d.Name, d.Want, d.Got, map[bool]string{true: "holds", false: "DOES NOT HOLD"}[d.Holds])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range v.Notes {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return err
		}
	}
	return nil
}

// times is a distribution of times, in milliseconds when read. It is safe for
// concurrent use.
type times struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newTimes() *times {
	return &times{h: hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)}
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.h.RecordValue(max(d.Microseconds(), 1)) // ten minutes are longer than any timeout
}

func (t *times) at(quantile float64) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return float64(t.h.ValueAtQuantile(quantile)) / 1e3
}

func (t *times) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.h.TotalCount()
}

// Resident is the bytes of memory that a process of this machine has resident,
// memory-mapped files included.
func Resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("memory of process %d: no VmRSS in its status", pid)
}

// mapped counts the files below a folder of that name that a process has mapped
// into memory.
func mapped(pid int, name string) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, fmt.Errorf("maps of process %d: %w", pid, err)
	}
	return strings.Count(string(b), "/"+name+"/"), nil
}
