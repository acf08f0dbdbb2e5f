package load

import (
	"syscall"
	"time"
)

// nap sleeps for a short time, to some 50 microseconds; a signal may end it early.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil)
}
