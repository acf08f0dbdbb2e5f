package load

import (
	"syscall"
	"time"
)

// nap sleeps for a short time, to some 50 microseconds.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // a signal that ends it early lets one request go early
}
