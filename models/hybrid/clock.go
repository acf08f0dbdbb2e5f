package hybrid

import (
	"time"

	"github.com/attune-rec/attune/features/usage"
)

// clock measures what a fit has taken: the processor time of the process
// shared among its workers, which other work on the machine does not lengthen,
// and never more than has passed on the wall, since other fits of the same
// process spend processor time too.
type clock struct {
	start   time.Time
	used    time.Duration // of the process, at start
	workers int
}

func newClock(workers int) clock {
	return clock{start: time.Now(), used: usage.Processor(), workers: max(workers, 1)}
}

// seconds since the start.
func (c clock) seconds() float64 {
	wall := time.Since(c.start)
	if used := usage.Processor(); used > 0 {
		return min(wall, (used-c.used)/time.Duration(c.workers)).Seconds()
	}
	return wall.Seconds()
}
