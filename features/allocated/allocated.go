// Package allocated tells tests how much memory a piece of code takes.
package allocated

import "runtime"

// Bytes is how many bytes the process allocates while f runs.
func Bytes(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
