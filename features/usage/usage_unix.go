//go:build unix

package usage

import (
	"syscall"
	"time"
)

// Processor is the time that the process has used of all cores; 0 where that is
// not told.
func Processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
